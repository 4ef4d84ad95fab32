"""How columns are allocated."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LINE_BYTE = 64
_STAGGER_BYTE = 5 * _LINE_BYTE
_PAGE_BYTE = 4096


def aligned(count: int, dtype: DTypeLike, place: int) -> NDArray[Any]:
    """Return zeros on a 64-byte boundary, staggered by the column's *place* in its table.

    Vectors that straddle cache lines cost twice, and columns that start at the same offset of a
    page compete for the same lines of the cache.
    """
    item = np.dtype(dtype).itemsize
    buffer = np.zeros(count + (_PAGE_BYTE + _LINE_BYTE) // item, dtype)
    skip = -buffer.ctypes.data % _LINE_BYTE + place * _STAGGER_BYTE % _PAGE_BYTE
    return buffer[skip // item : skip // item + count]
