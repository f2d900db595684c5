"""Covariance-bound agnostic filter (Allouah et al., 2025, arXiv:2505.01874)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Weighing
from aggregators.linalg import TIE, embedded, top_projections
from sim.types import About, View


@dataclass(frozen=True)
class Caf(Majority, Weighing):
    """The mean under weights of least variance, taken from rows that stand out where it is most.

    Each pass scales a row's weight by one minus its squared projection on the direction of greatest
    variance, over the largest such projection (of rows that have weight left, so that every pass
    takes all weight of one row), until at most ``n_rows - 2*n_hostile`` of the weight is left. The
    pass with the least top eigenvalue of the weighted covariance counts, of passes that tie the
    first. A projection within 1e-9 of the largest counts as the largest. Where several directions
    share the greatest variance, the projection on all of them together counts.

    Args:
        n_hostile: hostile rows to withstand.
    """

    about: ClassVar[About] = About(
        title="Caf",
        paper="Allouah et al., Towards Trustworthy Federated Learning with Untrusted Participants",
        year=2025,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
        cost="n²d + n⁴",
        promise=(
            "with at most n_hostile hostile rows far ones do not move it far,"
            " the less so the larger n_rows - 2*n_hostile"
        ),
    )

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """The weights of the best pass over their sum."""
        points = embedded(view.rows)
        weights = np.ones(len(points))
        best = weights
        least = np.inf
        while weights.sum() > (len(points) - 2 * self.n_hostile) * (1 + TIE):
            spread, outlying = top_projections(points[weights > 0], weights[weights > 0])
            if spread < least * (1 - TIE):
                best = weights
                least = spread
            if not spread > 0:
                break
            left = 1 - outlying / outlying.max()
            weights = weights.copy()
            weights[weights > 0] *= np.where(left > TIE, left, 0.0)
        return np.asarray(best / best.sum())
