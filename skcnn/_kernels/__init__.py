"""The array functions that take most of the time.

Images are (n, h, w, c), channels last and C-contiguous. Kernels are (kh, kw, c, k). The layers call these functions and
do not depend on how they work.
"""
