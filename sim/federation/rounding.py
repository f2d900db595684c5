"""The draws of stochastic rounding: each hospital's own, from its key."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sim.seeds import Key, stream
from sim.types import Quantizing, Vector

BITS = 52  # of a seed: a number of a reply is held by a float64
SMALL = 1 << 15  # draws that are worth storing: runs of a comparison that share a seed share them


@lru_cache(maxsize=4096)
def seed(key: Key, number: int) -> int:
    """The seed of a hospital's rounding in a round, which its ``key`` gives."""
    return int(key.stream("secagg-rounding", number).integers(1 << BITS))


def generator(of: int) -> np.random.Generator:
    """The generator of the draws with this seed."""
    return stream(of, "secagg-rounding")


def noise(of: int, n_params: int) -> NDArray[np.float64]:
    """The draws with this seed, (n_params,) in [0, 1): do not write to them."""
    return _stored(of, n_params) if n_params <= SMALL else _drawn(of, n_params)


def contributed(quantization: Quantizing | None, key: Key, number: int, update: Vector) -> Vector:
    """The part of an update that enters a round's sum, rounded as its hospital does by its key."""
    if quantization is None:
        return update
    draws = noise(seed(key, number), len(update))
    steps, _ = quantization.rounded(update[None], [draws])
    return quantization.value(steps[0], 1)


def _drawn(of: int, n_params: int) -> NDArray[np.float64]:
    # float64, to which they are added, though they are of float32's precision
    return generator(of).random(n_params, dtype=np.float32).astype(np.float64)


_stored = lru_cache(maxsize=1024)(_drawn)
