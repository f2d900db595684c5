"""ClippedClustering (Li et al., 2023, arXiv:2302.07173)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Remembering, chosen, shortening
from aggregators.linalg import cosine_distances, lengths, level, mixed
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Lengths:
    """The lengths of all rows of all rounds so far, (n_rows of all rounds,)."""

    all: NDArray[np.float64]


@dataclass(frozen=True)
class ClippedClustering(Remembering[Lengths]):
    """The average of the larger of two clusters, clipped to the median length of all rows so far.

    The clusters with the least average cosine distance between their rows are joined until two are
    left, always two; of pairs that tie any may be joined. Of clusters of one size that of the first
    row counts.
    """

    state: ClassVar[type] = Lengths
    about: ClassVar[About] = About(
        title="ClippedClustering",
        paper=(
            "Li et al., An Experimental Study of Byzantine-Robust Aggregation Schemes"
            " in Federated Learning"
        ),
        year=2023,
        sees="rows of few hospitals each",
        limit="n_rows >= 3",
        cost="n²d",
        promise=(
            "no longer than the median of all lengths so far;"
            " nothing about its direction, as the larger cluster may be hostile"
        ),
    )

    @property
    def min_rows(self) -> int:
        """Least number of rows of which two clusters have a larger one."""
        return 3

    def remember(self, view: View, state: Lengths | None) -> Lengths:
        """All lengths with those of this round."""
        return Lengths(np.append(() if state is None else state.all, lengths(view.rows)))

    def weigh_by(self, view: View, state: Lengths, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows in the larger cluster."""
        from scipy.cluster.hierarchy import cut_tree, linkage
        from scipy.spatial.distance import squareform

        apart = level(cosine_distances(view.rows))
        joined = linkage(squareform(apart, checks=False), "average")
        labels = cut_tree(joined, n_clusters=2)[:, 0]
        sizes = np.bincount(labels)[labels]
        return chosen(np.flatnonzero(labels == labels[sizes.argmax()]), len(labels))

    def combined_by(
        self, view: View, shares: NDArray[np.float64], state: Lengths, rng: np.random.Generator
    ) -> Vector:
        """The average of clipped rows, (n_params,)."""
        clipped = shortening(lengths(view.rows), float(np.median(state.all)))
        return mixed(shares * clipped, view.rows)
