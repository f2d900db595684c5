"""Masks: pseudorandom whole numbers modulo 2^32, a stream of ChaCha20 (RFC 8439)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

RING: Final = np.dtype("<u4")  # numpy adds these up modulo 2^32 by itself
SIGNED: Final = np.dtype("<i4")
NONCE: Final = bytes(16)  # each key makes one mask


SMALL: Final = 1 << 15  # words of a mask that is worth storing: both ends of a pair ask for it


def mask(key: bytes, n_params: int) -> NDArray[np.uint32]:
    """The mask (n_params,) of a key of 32 bytes, which is read-only."""
    return _stored(key, n_params) if n_params <= SMALL else _drawn(key, n_params)


def _drawn(key: bytes, n_params: int) -> NDArray[np.uint32]:
    stream = Cipher(algorithms.ChaCha20(key, NONCE), mode=None).encryptor()
    return np.frombuffer(stream.update(_zeros(RING.itemsize * n_params)), RING)


_stored = lru_cache(maxsize=256)(_drawn)


@lru_cache(maxsize=4)
def _zeros(n: int) -> bytes:
    return bytes(n)


def to_ring(steps: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Whole numbers from -2^31 to 2^31 - 1 as members of the ring."""
    return steps.astype(SIGNED).view(RING)


def from_ring(total: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The whole numbers from -2^31 to 2^31 - 1 that members of the ring stand for."""
    return total.view(SIGNED).astype(np.float64)
