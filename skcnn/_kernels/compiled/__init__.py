"""Kernels that numba compiles to machine code, for ``backend="numba"``.

They compute what the NumPy kernels compute, but without Python's overhead and with fewer passes over memory. They
release Python's lock, so threads do not wait for each other. Only the modules `skcnn._engine.compiled_*` call them.
Importing any module of this package imports numba; importing the package itself does not.

Three rules make the code fast:

- A kernel receives whole arrays and start indices, and computes on runs of consecutive elements. If it received views
  instead, numba could not tell that they do not overlap, and would compile loops without vector instructions.
- Indices into runs are unsigned (`uintp`). Otherwise, numba would check at every access whether the index is negative,
  because a negative index counts from the end.
- Constants have the dtype of the array, as in ``x.dtype.type(4)``. In numba, an int times a float32 is a float64.
"""
