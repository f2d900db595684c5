"""Coordinate-wise trimmed mean (Yin et al., 2018, arXiv:1803.01498)."""

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
class TrimmedMean(Majority):
    """Drop the ``n_hostile`` largest and smallest values of every coordinate, average the rest.

    Stays between the least and the largest honest value of every coordinate. By count it drops at
    each end the weight of the ``n_hostile`` heaviest rows, a part of a value's weight where that is
    needed, and refuses if that is half of the total.

    Args:
        n_hostile: hostile rows to withstand, and values dropped at each end (the paper's ``beta *
        n_rows``).
        weighting: ``uniform``; ``count``: a row counts as often as it has records, as far as the
        party learns them.
    """

    weighting: Literal["uniform", "count"] = "uniform"
    about: ClassVar[About] = About(
        title="TrimmedMean",
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
        """The trimmed mean, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        if self.weighting == "count":
            weights = minority(self, view)
            return weighted_trimmed_mean(
                view.rows, weights, np.sort(weights)[len(weights) - self.n_hostile :].sum()
            )
        n_used = len(view.rows) - 2 * self.n_hostile
        means, shares = np.empty(view.rows.shape[1]), np.full(n_used, 1 / n_used)
        for block, columns in sorted_columns(view.rows):
            np.matmul(
                columns[:, self.n_hostile :][:, :n_used].astype(np.float64),
                shares,
                out=means[block],
            )
        return means


def weighted_trimmed_mean(
    rows: Updates, weights: NDArray[np.float64], trimmed: float
) -> NDArray[np.float64]:
    """Weighted mean of each column without the weight ``trimmed`` at each end, (n_params,)."""
    mean = np.empty(rows.shape[1])
    for block, values, reached in ordered(rows, weights):
        inside = np.diff(reached.clip(trimmed, weights.sum() - trimmed), axis=0, prepend=trimmed)
        mean[block] = (inside * values).sum(axis=0) / (weights.sum() - 2 * trimmed)
    return mean
