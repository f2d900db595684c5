"""SignGuard (Xu et al., 2022, arXiv:2109.05872), the form without a similarity feature."""

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing, chosen, shortening
from aggregators.linalg import TIE, lengths, mixed
from sim.errors import number
from sim.types import About, Vector, View

SAME = 1e-6  # share of a bound on lengths: lengths of float32 updates have no more digits


@dataclass(frozen=True)
class Signguard(Weighing):
    """The average of rows of usual length and usual signs, clipped to the median length.

    Used are rows with between ``lower`` and ``upper`` times the median length, if the shares of
    positive, zero and negative values among some coordinates drawn at random put them in the
    largest cluster; of clusters of one size that of the first row. Clusters are those of mean
    shift, as wide as half of the rows are near to each other on average; where that width is 0 they
    are the groups of rows with the same shares. Where no row is used the aggregate is zero.

    Args:
        lower: least length, over the median.
        upper: greatest length, over the median.
        fraction: share of the coordinates that is drawn.
    """

    lower: float = 0.1
    upper: float = 3.0
    fraction: float = 0.1
    about: ClassVar[About] = About(
        title="Signguard",
        paper=(
            "Xu et al., Byzantine-robust Federated Learning through"
            " Collaborative Malicious Gradient Filtering"
        ),
        year=2022,
        sees="rows of few hospitals each",
        limit="n_rows >= 3",
        cost="nd",
        promise=(
            "no longer than the median length;"
            " nothing about its direction, as the largest cluster may be hostile"
        ),
    )

    def __post_init__(self) -> None:
        number(0, 1, lower=self.lower)
        number(1, upper=self.upper)
        number(0, 1, open_low=True, fraction=self.fraction)

    @property
    def min_rows(self) -> int:
        """Least number of rows that can have a majority."""
        return 3

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows used."""
        norms = lengths(view.rows)
        n_params = view.rows.shape[1]
        middle = np.median(norms)
        least = self.lower * middle * (1 - SAME)
        greatest = self.upper * middle * (1 + SAME)
        usual = (norms >= least) & (norms <= greatest)
        drawn = rng.choice(n_params, ceil(self.fraction * n_params), replace=False)
        signs = np.sign(view.rows[:, drawn])
        features = np.stack([(signs == sign).mean(axis=1) for sign in (1, 0, -1)], axis=1)
        return chosen(np.flatnonzero(usual & _largest_cluster(features)), len(norms))

    def combined(self, view: View, shares: NDArray[np.float64], rng: np.random.Generator) -> Vector:
        """The average of clipped rows, (n_params,)."""
        norms = lengths(view.rows)
        return mixed(shares * shortening(norms, float(np.median(norms))), view.rows)


def _largest_cluster(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each row is in the largest cluster, (n_rows,)."""
    from sklearn.cluster import MeanShift, estimate_bandwidth

    bandwidth = estimate_bandwidth(features, quantile=max(0.5, 2 / len(features)))
    if bandwidth > 0:
        shift = MeanShift(bandwidth=bandwidth * (1 + TIE), cluster_all=False)
        labels = shift.fit_predict(features)
    else:
        labels = np.unique(features, axis=0, return_inverse=True)[1]
    sizes = np.where(labels >= 0, np.bincount(labels + 1)[labels + 1], 0)
    return np.asarray(labels == labels[sizes.argmax()])
