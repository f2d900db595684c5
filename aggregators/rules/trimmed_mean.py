"""Coordinate-wise trimmed mean (Yin et al., 2018, arXiv:1803.01498)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Counting
from aggregators.checks import enough
from aggregators.linalg import ordered, sorted_columns
from sim.types import About, Updates, Vector, View


@dataclass(frozen=True)
class TrimmedMean(Counting):
    """The average of every coordinate without its ``n_hostile`` largest and smallest values.

    It stays between the least and the largest honest value. By count or size it drops at each end
    the weight of the ``n_hostile`` heaviest rows, a part of a value's weight where that is needed.

    Args:
        n_hostile: hostile rows to withstand, and values dropped at each end (the paper's
            ``beta * n_rows``).
        weighting: ``count`` counts a row as often as it has records, ``size`` as often as it has
            hospitals, as in ``Counting``.
    """

    about: ClassVar[About] = About(
        title="TrimmedMean",
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
        """The trimmed mean, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        if self.weighting != "uniform":
            weights = self.weights(view)
            trimmed = np.sort(weights)[len(weights) - self.n_hostile :].sum()
            return weighted_trimmed_mean(view.rows, weights, trimmed)
        n_used = len(view.rows) - 2 * self.n_hostile
        means = np.empty(view.rows.shape[1])
        shares = np.full(n_used, 1 / n_used)
        for block, columns in sorted_columns(view.rows):
            middle = columns[:, self.n_hostile :][:, :n_used].astype(np.float64)
            np.matmul(middle, shares, out=means[block])
        return means


def weighted_trimmed_mean(
    rows: Updates, weights: NDArray[np.float64], trimmed: float
) -> NDArray[np.float64]:
    """Weighted mean of each column without the weight ``trimmed`` at each end, (n_params,)."""
    mean = np.empty(rows.shape[1])
    for block, values, reached in ordered(rows, weights):
        ends = reached.clip(trimmed, weights.sum() - trimmed)
        inside = np.diff(ends, axis=0, prepend=trimmed)
        mean[block] = (inside * values).sum(axis=0) / (weights.sum() - 2 * trimmed)
    return mean
