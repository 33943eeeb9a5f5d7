"""How the kernel is compiled, and its 128-bit integers: sums of squares in minor units do not fit into 64 bits."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from fraud.features import derive

__all__ = ["NOTHING", "jit", "kept", "less", "plus", "product", "spread"]


jit = njit(nogil=True, error_model="numpy")
"""Compile on the first call; the code runs without the interpreter's lock."""


def kept(function: Any) -> Any:
    """The same, and keep the code on disk: in NUMBA_CACHE_DIR, beside the source, or in the user's own cache.

    Numba looks for changes in the function's own file only, so the kept code is named by a digest of all that it
    is compiled from. Where no folder can be written to, every process compiles anew.
    """
    function.__qualname__ = f"{function.__qualname__}-{_digest()}"
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:
        return jit(function)


@cache
def _digest() -> str:
    sources = [Path(derive.__file__), *sorted(Path(__file__).parent.glob("kernel*.py"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


_U32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)

NOTHING = (_ZERO, _ZERO)
"""128 bits are a pair, (high, low)."""


@jit
def product(a: Any, b: Any) -> Any:
    """The 128 bits of a 64 by 64 bit product, as (high, low)."""
    a0, a1 = a & _U32, a >> _S32
    b0, b1 = b & _U32, b >> _S32
    low = a0 * b0
    middle = a1 * b0 + (low >> _S32)
    other = a0 * b1 + (middle & _U32)
    return a1 * b1 + (middle >> _S32) + (other >> _S32), (other << _S32) | (low & _U32)


@jit
def plus(a: Any, b: Any) -> Any:
    """The sum of two pairs (high, low), modulo 2**128."""
    low = a[1] + b[1]
    return a[0] + b[0] + (_ONE if low < b[1] else _ZERO), low


@jit
def less(a: Any, b: Any) -> Any:
    """The difference of two pairs (high, low), modulo 2**128."""
    return a[0] - b[0] - (_ONE if a[1] < b[1] else _ZERO), a[1] - b[1]


@jit
def _rounded(high: Any, low: Any) -> Any:
    """An unsigned 128-bit integer as the nearest float, ties to even, as Python's float() gives it."""
    if high == _ZERO:
        return np.float64(low)
    shift = 0
    while high != _ZERO:
        # What is shifted out stays as a sticky last bit, far below the place that is rounded.
        low = ((low >> _ONE) | (low & _ONE)) | (high << np.uint64(63))
        high >>= _ONE
        shift += 1
    return np.ldexp(np.float64(low), shift)


@jit
def spread(count: Any, total: Any, high: Any, low: Any) -> Any:
    """count times the sum of squares, minus total squared, rounded once; see `fraud.features.derive.spread`."""
    n, t = np.uint64(count), np.uint64(total)
    scaled = product(n, low)
    found = less((scaled[0] + n * high, scaled[1]), product(t, t))
    return _rounded(found[0], found[1])
