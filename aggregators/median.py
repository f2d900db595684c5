"""Coordinate-wise median (Yin et al., 2018, arXiv:1803.01498)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.limits import enough
from sim.errors import whole
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Median:
    """Middle value of every coordinate; the average of the two middle ones for an even number of rows.

    Stays between the least and the largest honest value of every coordinate. Takes rows as equals, whatever their records.

    Args:
        n_hostile: hostile rows to withstand.
    """

    n_hostile: int
    about: ClassVar[About] = About(
        title="Median",
        paper="Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
        year=2018,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)

    @property
    def min_rows(self) -> int:
        """Least number of rows: a majority of honest ones."""
        return 2 * self.n_hostile + 1

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The median, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        n = len(view.rows)
        ordered = np.sort(view.rows, axis=0)
        return np.asarray(ordered[(n - 1) // 2 : n // 2 + 1].mean(axis=0, dtype=np.float64))
