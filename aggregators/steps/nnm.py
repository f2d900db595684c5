"""Nearest neighbor mixing (Allouah et al., 2023, arXiv:2302.01772)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Mixing
from aggregators.linalg import ranks_by_row, squared_distances
from sim.types import About, View


@dataclass(frozen=True)
class Nnm(Majority, Mixing):
    """The average of the ``n_rows - n_hostile`` rows nearest to each row, itself included.

    Of rows that are equally near the first are taken.

    Args:
        n_hostile: hostile rows to withstand.
    """

    about: ClassVar[About] = About(
        title="Nnm",
        paper=(
            "Allouah et al.,"
            " Fixing by Mixing: A Recipe for Optimal Byzantine ML under Heterogeneity"
        ),
        year=2023,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
        promise=(
            "nothing by itself: a far row still moves the mean of the mixed rows,"
            " and a robust rule has to follow"
        ),
    )

    def mixing(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the neighbors of each row."""
        gaps = squared_distances(view.rows)
        n_used = len(gaps) - self.n_hostile
        nearest = ranks_by_row(gaps).argsort(axis=1, kind="stable")[:, :n_used]
        mixing = np.zeros_like(gaps)
        np.put_along_axis(mixing, nearest, 1 / n_used, axis=1)
        return mixing
