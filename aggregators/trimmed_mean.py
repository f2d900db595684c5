"""Coordinate-wise trimmed mean (Yin et al., 2018, arXiv:1803.01498)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.limits import enough
from sim.errors import whole
from sim.types import About, Vector, View


@dataclass(frozen=True)
class TrimmedMean:
    """Drop the ``n_hostile`` largest and smallest values of every coordinate, average the rest.

    Stays between the least and the largest honest value of every coordinate. Takes rows as equals, whatever their records.

    Args:
        n_hostile: hostile rows to withstand, and values dropped at each end (the paper's ``beta * n_rows``).
    """

    n_hostile: int
    about: ClassVar[About] = About(
        title="TrimmedMean",
        paper="Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
        year=2018,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)

    @property
    def min_rows(self) -> int:
        """Least number of rows: one value is left."""
        return 2 * self.n_hostile + 1

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The trimmed mean, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        ordered = np.sort(view.rows, axis=0)
        return np.asarray(ordered[self.n_hostile : len(ordered) - self.n_hostile].mean(axis=0, dtype=np.float64))
