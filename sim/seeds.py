"""Every random draw has a name; equal names give equal streams, whatever ran before and in whatever order."""

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

STATE = (4, np.uint64)  # what PCG64 asks of a seed


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The generator for ``(seed, *name)``, for example ``stream(0, "batches", round, hospital)``."""
    named: Any = _named(seed, *name)  # numpy's own types do not know that PCG64 takes it
    return np.random.Generator(np.random.PCG64(named))


class _Seed(ISeedSequence):
    """What a ``SeedSequence`` of these numbers gives, worked out once: making it takes longer than the rest of a generator."""

    def __init__(self, numbers: list[int]) -> None:
        self._state = np.random.SeedSequence(numbers).generate_state(*STATE)

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> NDArray[np.uint32 | np.uint64]:
        """The first state, and no other."""
        assert (n_words, dtype) == STATE
        return self._state


@lru_cache(maxsize=4096)
def _named(*name: str | int) -> _Seed:
    """Kept, because the runs of a comparison that share a seed ask for the same streams."""
    return _Seed([zlib.crc32(word.encode()) if isinstance(word, str) else word for word in name])
