"""Array functions where the time goes.

Images are (n, h, w, c), channels last and C-contiguous; kernels are (kh, kw, c, k). The layers call these and know
nothing of how they are fast.
"""
