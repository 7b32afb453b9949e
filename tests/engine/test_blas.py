"""The threads of BLAS, which belong to the whole process."""

import sys
import threading

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skcnn import NumpyCNNClassifier
from skcnn._engine import blas
from skcnn._engine.blas import BlasLimit, allowed_threads
from skcnn._engine.calculation import calculate
from skcnn._engine.surely import surely


def blas_threads():
    return {
        library.filepath: library.num_threads
        for library in ThreadpoolController().select(user_api="blas").lib_controllers
    }


def set_numbers(number):
    """Set the number of threads, whichever thread set it before."""
    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        getattr(library, "_real_set_num_threads", library.set_num_threads)(number)


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(limits=2, user_api="blas"):
        yield


def limited(work):
    """Call a function while BLAS is limited."""
    limit = BlasLimit()
    return surely(lambda: (limit.hold(), work())[1], limit.release)


def test_limit_is_one_thread_and_is_released():
    before = blas_threads()

    def inside():
        assert set(blas_threads().values()) == {1}
        assert limited(allowed_threads) == max(before.values())
        assert set(blas_threads().values()) == {1}

    limited(inside)
    assert blas_threads() == before


def test_limit_is_released_after_an_error():
    before = blas_threads()

    def fail():
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        limited(fail)
    assert blas_threads() == before


def test_limit_in_a_thread_when_another_has_set_limits():
    """threadpoolctl lets only the first thread that sets OpenBLAS's limit set it again."""
    seen = []
    with threadpool_limits(limits=2, user_api="blas"):
        thread = threading.Thread(target=lambda: seen.append(limited(blas_threads)))
        thread.start()
        thread.join(10)
        assert set(seen[0].values()) == {1}
        assert set(blas_threads().values()) == {2}


def test_limits_that_overlap():
    """The first one ends first. If each restored what it found, BLAS would keep one thread in the end."""
    before = blas_threads()
    first, second = BlasLimit(), BlasLimit()
    first.hold()
    second.hold()
    first.release()
    assert set(blas_threads().values()) == {1}
    second.release()
    assert blas_threads() == before


def test_a_change_by_another_is_noticed_undone_and_restored_at_the_end():
    limit = BlasLimit()
    n_changes = limit.hold()
    assert limit.hold() == n_changes
    set_numbers(3)
    assert limit.hold() > n_changes, "the change is noticed"
    assert set(blas_threads().values()) == {1}
    assert limit.hold() == blas.n_changes()
    limit.release()
    assert set(blas_threads().values()) == {3}, "as the other one left it"


def test_a_change_just_before_the_end_stays():
    limit = BlasLimit()
    limit.hold()
    set_numbers(3)
    limit.release()
    assert set(blas_threads().values()) == {3}


def test_a_released_limit_holds_nothing():
    """A thread may still work on a shard after an exception has ended the calculation."""
    before, limit = blas_threads(), BlasLimit()
    limit.hold()
    limit.release()
    limit.hold()
    assert blas_threads() == before


def change_that_another_calculation_undoes():
    set_numbers(2)
    limited(lambda: None)


def fork_in_miniature():
    """Do what a child process does, in which the calculation goes on."""
    set_numbers(2)
    blas._after_fork_in_child()


@pytest.mark.parametrize("change", [lambda: set_numbers(2), change_that_another_calculation_undoes, fork_in_miniature])
def test_work_is_done_again_if_something_changes_the_limit(change):
    calls = []

    def work():
        calls.append(1)
        if len(calls) == 1:
            change()
        return len(calls)

    result, is_exact = calculate(lambda calculation: (calculation.exact(work), calculation.is_exact))
    assert (result, is_exact) == (2, True)


def test_changes_without_end_are_told(make, data):
    def augment(images, rng):
        set_numbers(2)
        return images

    with pytest.warns(UserWarning, match="repeatedly changed the number of BLAS threads, so"):
        clf = make(augment=augment).fit(*data)
    assert (clf.predict_proba(data[0]) == make().fit(*data).predict_proba(data[0])).all()


def test_each_thread_sets_a_limit_that_belongs_to_a_thread(monkeypatch):
    """This is so if OpenBLAS was built with OpenMP."""

    class OfThread(threading.local):
        number = 4

        def numbers(self):
            return [self.number]

        def is_limited(self):
            return self.number == 1

        def change(self, old, new):
            self.number = new[0]

    def numbers_in_threads(calculation):
        both = threading.Barrier(2)
        return list(calculation.workers.map(lambda _: (both.wait(10), *of_thread.numbers())[1], range(2)))

    of_thread = OfThread()
    monkeypatch.setattr(blas, "_blas", lambda: of_thread)
    assert calculate(numbers_in_threads, n_threads=2) == [1, 1]
    assert of_thread.numbers() == [4]


def interrupted(work, at):
    """Call a function, and raise KeyboardInterrupt before an instruction. Return whether there is one."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        frame.f_trace_opcodes = True
        count += 1
        if count == at:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return count == at


def test_an_interruption_at_any_point_leaves_the_limits_as_before():
    before, at = blas_threads(), 1
    while interrupted(lambda: limited(lambda: None), at):
        assert blas_threads() == before, f"interruption {at}"
        other = threading.Thread(target=lambda: limited(lambda: None), daemon=True)
        other.start()
        other.join(10)
        assert not other.is_alive(), f"after interruption {at}, another thread waits for ever"
        at += 1
    assert at > 100, "the interruptions must have met the limit's own code"


def test_blas_threads_are_the_same_after_fit_predict_and_failure(uint8_images):
    X, y = uint8_images
    for limit in (1, 2):
        with threadpool_limits(limits=limit, user_api="blas"):
            before = blas_threads()
            clf = NumpyCNNClassifier(max_iter=1).fit(X, y)
            clf.predict(X)
            with pytest.raises(ValueError, match="too large"):
                clf.set_params(scaling=None).fit(X.astype(float), y).predict(X / 255 * 1.7e308)
            assert blas_threads() == before


def test_a_signal_handler_may_predict_at_any_point():
    def nested():
        calculate(lambda calculation: None)

    before, n = blas_threads(), 1
    while called_at(n, nested, lambda: calculate(lambda calculation: calculation.exact(blas_threads))):
        assert blas_threads() == before, n
        n += 1
    assert n > 100


def called_at(n, handler, function):
    """Call a function, and `handler` before the n-th bytecode of `skcnn._engine.blas`. Return if there are so many."""
    seen = 0

    def trace(frame, event, arg):
        nonlocal seen
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen += 1
            if seen == n:
                handler()  # tracing is off meanwhile
        return trace

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: trace if frame.f_code.co_filename == blas.__file__ else None)
    try:
        function()
    finally:
        sys.settrace(before)
    return seen >= n
