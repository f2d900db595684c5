"""Rows drawn for tests, and a view that sees each."""

import numpy as np

from sim.seeds import stream
from sim.types import View

RNG = stream(0, "unused")


def clear(rows: np.ndarray, weights: np.ndarray | None = None) -> View:
    return View(rows, tuple((f"h{i:02}",) for i in range(len(rows))), weights)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)
