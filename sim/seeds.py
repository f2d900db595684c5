"""Every random draw has a name; equal names give equal streams, whatever ran before and in whatever order."""

import zlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The generator for ``(seed, *name)``, for example ``stream(0, "batches", round, hospital)``."""
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) if isinstance(word, str) else word for word in name)])
