"""Exceptions at any point of some code, as signal handlers raise them."""

import gc
import sys

_NOT = ("__init__", "__del__", "close")


def raised_at(n, error, modules, function):
    """Call a function, and raise an error before the n-th bytecode of some modules.

    Return whether there are so many. The error must come out of the function.
    """
    seen, paths = 0, {module.__file__ for module in modules}

    def trace(frame, event, arg):
        nonlocal seen
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen += 1
            if seen == n:
                raise error
        return trace

    def trace_calls(frame, event, arg):
        code = frame.f_code
        # Python ignores errors while it deletes an object, also if its constructor was interrupted
        return trace(frame, event, arg) if code.co_filename in paths and code.co_name not in _NOT else None

    before, found = sys.gettrace(), None
    gc.disable()  # it would delete objects of earlier calls, in which errors are ignored
    sys.settrace(trace_calls)
    try:
        function()
    except type(error) as raised:
        found = raised
    finally:
        sys.settrace(before)
        gc.enable()
    assert found is (error if seen >= n else None)
    return found is not None
