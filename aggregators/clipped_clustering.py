"""ClippedClustering (Li et al., 2023, arXiv:2302.07173)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.geometry import cosine_distances, lengths, level, mixed
from aggregators.kinds import Weighing, chosen, shortening
from sim.types import About, Vector, View

MEMORY = "clipped_clustering"


@dataclass(frozen=True)
class ClippedClustering(Weighing):
    """Average of the larger of two clusters of rows, clipped to the median length of all rows of all rounds so far.

    The two clusters with the least average cosine distance between their rows are joined until two are
    left, always two; of pairs that tie any may be the one. Of clusters of one size that of the first
    row counts.
    """

    about: ClassVar[About] = About(
        title="ClippedClustering",
        paper="Li et al., An Experimental Study of Byzantine-Robust Aggregation Schemes in Federated Learning",
        year=2023,
        sees="rows of few hospitals each",
        limit="n_rows >= 3",
        cost="n²d",
        promise=(
            "no longer than the median of all lengths so far; nothing about its direction, as the larger cluster may be hostile"
        ),
    )

    @property
    def min_rows(self) -> int:
        """Least number of rows of which two clusters have a larger one."""
        return 3

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows in the larger cluster; lengths are kept in the memory."""
        view.memory[MEMORY] = np.append(view.memory.get(MEMORY, ()), lengths(view.rows))
        apart = level(cosine_distances(view.rows))
        from scipy.cluster.hierarchy import cut_tree, linkage
        from scipy.spatial.distance import squareform

        joined = linkage(squareform(apart, checks=False), "average")
        labels = cut_tree(joined, n_clusters=2)[:, 0]
        sizes = np.bincount(labels)[labels]
        return chosen(np.flatnonzero(labels == labels[sizes.argmax()]), len(labels))

    def combined(self, view: View, shares: NDArray[np.float64], rng: np.random.Generator) -> Vector:
        """The average of clipped rows, (n_params,)."""
        return mixed(shares * shortening(lengths(view.rows), float(np.median(view.memory[MEMORY]))), view.rows)
