"""Coordinate-wise median (Yin et al., 2018, arXiv:1803.01498)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority
from aggregators.checks import enough, minority
from aggregators.linalg import ordered, sorted_columns
from sim.errors import one_of
from sim.types import About, Updates, Vector, View


@dataclass(frozen=True)
class Median(Majority):
    """Middle value of every coordinate; the average of the two middle ones for an even number of
    rows.

    Stays between the least and the largest honest value of every coordinate. By count it refuses
    where the ``n_hostile`` heaviest rows weigh half of the total.

    Args:
        n_hostile: hostile rows to withstand.
        weighting: ``uniform``; ``count``: a row counts as often as it has records, as far as the
        party learns them.
    """

    weighting: Literal["uniform", "count"] = "uniform"
    about: ClassVar[About] = About(
        title="Median",
        paper=(
            "Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates"
        ),
        year=2018,
        sees="rows of few hospitals each; record counts with weighting=count",
        limit="n_rows >= 2*n_hostile + 1",
        cost="nd log n",
        variants=("weighting=count",),
        promise="with at most n_hostile hostile rows every coordinate stays between honest values",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("uniform", "count"), weighting=self.weighting)

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The median, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        if self.weighting == "count":
            return weighted_median(view.rows, minority(self, view))
        n, doubled = len(view.rows), np.empty(view.rows.shape[1])
        for block, columns in sorted_columns(view.rows):
            np.add(
                columns[:, (n - 1) // 2], columns[:, n // 2], out=doubled[block], dtype=np.float64
            )
        return doubled / 2


def weighted_median(rows: Updates, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Value of each column with half of the weight on either side, the average of two if there are
    two, (n_params,).
    """
    median = np.empty(rows.shape[1])
    for block, values, reached in ordered(rows, weights):
        half = weights.sum() / 2
        lower, upper = (reached < half).sum(axis=0), (reached <= half).sum(axis=0)
        middle = np.take_along_axis(values, np.stack([lower, upper]), axis=0)
        median[block] = middle.mean(axis=0, dtype=np.float64)
    return median
