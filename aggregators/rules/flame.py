"""FLAME (Nguyen et al., 2022, arXiv:2101.02281)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing, chosen, shortening
from aggregators.linalg import cosine_distances, lengths, level, mixed
from sim.errors import RefusedError, number
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Flame(Weighing):
    """The average of rows whose models form one majority cluster, clipped to a length, plus noise.

    Local models (the weights sent out plus a row) are clustered by HDBSCAN on cosine distances;
    rows are clipped to the median length of all rows, and the standard deviation of the noise is
    ``noise`` times that length. Without a cluster of more than half of the models all rows count.

    Args:
        noise: noise over median length (lambda in the paper).
    """

    noise: float = 0.001
    about: ClassVar[About] = About(
        title="Flame",
        paper="Nguyen et al., FLAME: Taming Backdoors in Federated Learning",
        year=2022,
        sees="rows of few hospitals each, and the weights sent out",
        limit="n_rows >= 3",
        cost="n²d",
        promise=(
            "no longer than the median length, but for noise; nothing about its direction,"
            " as all rows count where no cluster holds more than half"
        ),
    )

    def __post_init__(self) -> None:
        number(0, noise=self.noise)

    @property
    def min_rows(self) -> int:
        """Least number of rows that can have a majority."""
        return 3

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows in the cluster.

        Raises ``RefusedError`` without the weights sent out.
        """
        from sklearn.cluster import HDBSCAN

        if view.model is None:
            raise RefusedError("model=None: Flame needs the weights that were sent out")
        apart = level(cosine_distances(view.rows, -view.model))
        n_rows = len(apart)
        clusters = HDBSCAN(
            min_cluster_size=n_rows // 2 + 1,
            min_samples=1,
            metric="precomputed",
            allow_single_cluster=True,
            copy=True,
        )
        inside = np.flatnonzero(clusters.fit_predict(apart) >= 0)
        return chosen(inside if len(inside) else np.arange(n_rows), n_rows)

    def combined(self, view: View, shares: NDArray[np.float64], rng: np.random.Generator) -> Vector:
        """The average of clipped rows plus noise, (n_params,)."""
        norms = lengths(view.rows)
        middle = float(np.median(norms))
        mean = mixed(shares * shortening(norms, middle), view.rows)
        return np.asarray(mean + self.noise * middle * rng.normal(size=len(mean)))
