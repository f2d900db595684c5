"""Masks: pseudorandom whole numbers modulo 2^32, a stream of ChaCha20 (RFC 8439)."""

from __future__ import annotations

from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

RING: Final = np.dtype("<u4")  # numpy adds these up modulo 2^32 by itself
NONCE: Final = bytes(16)  # each key makes one mask


def mask(key: bytes, n_params: int) -> NDArray[np.uint32]:
    """The mask (n_params,) of a key of 32 bytes."""
    stream = Cipher(algorithms.ChaCha20(key, NONCE), mode=None).encryptor()
    return np.frombuffer(stream.update(bytes(RING.itemsize * n_params)), RING)


def to_ring(steps: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Whole numbers with a sign as members of the ring."""
    return steps.astype(RING)


def from_ring(total: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The whole numbers from -2^31 to 2^31 - 1 that members of the ring stand for."""
    return total.view(np.dtype("<i4")).astype(np.int64)
