"""Loops over pixels that Numba compiles to machine code, for what TensorFlow's operations are too slow or too coarse.

Compiled functions let go of Python's lock while they run, and are kept on disk after their first call. Arithmetic is in
whole numbers wherever TensorFlow must give the same pixels elsewhere.
"""

import math
from collections.abc import Callable

import numpy as np
from numba import config, njit

_ALIGNMENT = 64  # bytes, EIGEN_MAX_ALIGN_BYTES with AVX-512; less without

# Pixels of three channels are added as vectors of four only where straight lines of code may become vectors too.
config.SLP_VECTORIZE = 1


def compiled(function: Callable) -> Callable:
    """A decorator: Python over numbers and NumPy arrays, as machine code; divisions by zero give infinities, not errors.

    Where neither the package nor the user's cache folder can be written, every process compiles anew.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # Numba's, for want of a folder
        return njit(function, **options)


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised array uint8 whose first byte lies where TensorFlow wants a tensor's, so that it need not copy it."""
    size = math.prod(shape)
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].reshape(shape)
