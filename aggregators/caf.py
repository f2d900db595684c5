"""Covariance-bound agnostic filter (Allouah et al., 2025, arXiv:2505.01874)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.geometry import embedded
from aggregators.kinds import Majority, Weighing
from sim.types import About, View


@dataclass(frozen=True)
class Caf(Majority, Weighing):
    """Take weight from the rows that stand out in the direction of greatest variance; the weighted mean of least variance.

    Each pass scales a row's weight by one minus its squared projection over the largest one (of rows that have weight left, so
    that every pass takes all weight of one row), until at most ``n_rows - 2*n_hostile`` of the weight is left; the pass with the
    least top eigenvalue of the weighted covariance counts.

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
    )

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """The weights of the best pass over their sum."""
        points = embedded(view.rows)
        weights, best, least = np.ones(len(points)), np.ones(len(points)), np.inf
        while weights.sum() > len(points) - 2 * self.n_hostile:
            gaps = points - weights @ points / weights.sum()
            values, vectors = np.linalg.eigh((gaps.T * weights) @ gaps / weights.sum())
            if values[-1] < least:
                best, least = weights, values[-1]
            outlying = np.where(weights > 0, gaps @ vectors[:, -1], 0.0) ** 2
            if not outlying.max() > 0:
                break
            weights = weights * (1 - outlying / outlying.max())
        return np.asarray(best / best.sum())
