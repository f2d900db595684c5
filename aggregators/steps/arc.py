"""Adaptive robust clipping (Allouah et al., 2025, arXiv:2405.14432)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Scaling, shortening
from sim.types import About


@dataclass(frozen=True)
class Arc(Majority, Scaling):
    """The ``k`` longest rows, clipped to the length of the next one.

    ``k = floor(2 * n_hostile / n_rows * (n_rows - n_hostile))``.

    Args:
        n_hostile: hostile rows to withstand.
    """

    about: ClassVar[About] = About(
        title="Arc",
        paper="Allouah et al., Adaptive Gradient Clipping for Robust Federated Learning",
        year=2025,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
        promise="with at most n_hostile hostile rows no row is longer than the longest honest one",
    )

    def factors(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factors of at most 1, (n_rows,)."""
        n_clipped = 2 * self.n_hostile * (len(norms) - self.n_hostile) // len(norms)
        return shortening(norms, float(np.sort(norms)[len(norms) - n_clipped - 1]))
