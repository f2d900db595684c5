"""Coordinate-wise median (Yin et al., 2018, arXiv:1803.01498)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Counting
from aggregators.checks import enough
from aggregators.linalg import ordered, sorted_columns
from sim.types import About, Updates, Vector, View


@dataclass(frozen=True)
class Median(Counting):
    """The middle value of every coordinate, or the average of two: between honest values.

    Args:
        n_hostile: hostile rows to withstand.
        weighting: ``count`` counts a row as often as it has records, ``size`` as often as it has
            hospitals, as in ``Counting``.
    """

    about: ClassVar[About] = About(
        title="Median",
        paper=(
            "Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates"
        ),
        year=2018,
        sees="rows of few hospitals each; record counts with weighting=count",
        limit="n_rows >= 2*n_hostile + 1",
        cost="nd log n",
        variants=("weighting=count", "weighting=size"),
        promise="with at most n_hostile hostile rows every coordinate stays between honest values",
    )

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The median, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        if self.weighting != "uniform":
            return weighted_median(view.rows, self.weights(view))
        n = len(view.rows)
        doubled = np.empty(view.rows.shape[1])
        for block, columns in sorted_columns(view.rows):
            low = columns[:, (n - 1) // 2]
            high = columns[:, n // 2]
            np.add(low, high, out=doubled[block], dtype=np.float64)
        return doubled / 2


def weighted_median(rows: Updates, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of each column with half of the weight on either side, (n_params,).

    Where two values have, it is their average.
    """
    median = np.empty(rows.shape[1])
    for block, values, reached in ordered(rows, weights):
        half = weights.sum() / 2
        lower = (reached < half).sum(axis=0)
        upper = (reached <= half).sum(axis=0)
        middle = np.take_along_axis(values, np.stack([lower, upper]), axis=0)
        median[block] = middle.mean(axis=0, dtype=np.float64)
    return median
