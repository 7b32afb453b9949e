"""Kernels that numba compiles to machine code, for ``backend="numba"``.

They compute what the NumPy kernels compute, but without Python's overhead, with fewer passes over memory, and without
Python's lock, so that threads do not wait for each other. Nothing but the private layers of
`skcnn._engine.compiled_layers` uses them, and importing any module but this one imports numba.

Three rules make the code fast:

- A kernel receives whole arrays, and computes on runs of consecutive elements, given by where they start. numba cannot
  tell that two views of arrays do not overlap, and then compiles loops that take one element at a time.
- Such indices are unsigned (`uintp`), or numba would count a negative index from the end at every access.
- Constants have the type of the array, as in ``x.dtype.type(4)``: an int times a float32 is a float64.
"""
