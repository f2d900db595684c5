"""Krum (Blanchard et al., 2017, arXiv:1703.02757)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.geometry import squared_distances
from aggregators.limits import enough
from sim.errors import whole
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Krum:
    """The row with the least sum of squared distances to its ``n_rows - n_hostile - 2`` nearest other rows.

    As in the paper; common libraries count one neighbor more, or the row itself. Of rows that tie the first is taken.

    Args:
        n_hostile: hostile rows to withstand.
    """

    n_hostile: int
    about: ClassVar[About] = About(
        title="Krum",
        paper="Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent",
        year=2017,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 3",
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)

    @property
    def min_rows(self) -> int:
        """Least number of rows for which the paper's theorem holds."""
        return 2 * self.n_hostile + 3

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The chosen row, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        gaps = squared_distances(view.rows)
        np.fill_diagonal(gaps, np.inf)  # a row is not its own neighbor, even among identical rows
        nearest = np.sort(gaps, axis=1)[:, : len(gaps) - self.n_hostile - 2]
        return np.asarray(view.rows[nearest.sum(axis=1).argmin()], dtype=np.float64)
