"""A fingerprint of arrays: equal bytes, equal digest."""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


def array_digest(columns: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the SHA-256 of all *columns*, by name, type, shape and bytes; order is by name.

    Raises TypeError for a column of Python objects, whose bytes are addresses.
    """
    digest = sha256()
    for name in sorted(columns):
        column = np.ascontiguousarray(columns[name])
        if column.dtype.hasobject:
            raise TypeError(f"{name} holds objects")
        digest.update(f"{name}|{column.dtype.str}|{column.shape}|".encode())
        digest.update(column.tobytes())
    return digest.hexdigest()
