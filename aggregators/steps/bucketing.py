"""Bucketing (Karimireddy et al., 2022, arXiv:2006.09365)."""

from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Mixing
from sim.errors import whole
from sim.types import About, View


@dataclass(frozen=True)
class Bucketing(Mixing):
    """Averages of ``size`` rows drawn at random, over hospitals; the last may hold fewer rows.

    Rows differ less then, and the rule sees fewer of them: as many as before may be hostile, out of
    ``ceil(n_rows / size)``.

    Args:
        size: rows in a bucket.
    """

    size: int
    about: ClassVar[About] = About(
        title="Bucketing",
        paper=(
            "Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing"
        ),
        year=2022,
        sees="rows of few hospitals each",
        promise=(
            "nothing by itself: each hostile row may spoil a bucket,"
            " and a robust rule has to follow"
        ),
    )

    def __post_init__(self) -> None:
        whole(1, size=self.size)

    def n_rows(self, n_rows: int) -> int:
        """Rows that are left of ``n_rows``."""
        return -(-n_rows // self.size)

    def mixing(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Shares of the hospitals of one bucket in each new row."""
        order = rng.permutation(len(view.rows))
        mixing = np.zeros((self.n_rows(len(order)), len(order)))
        mixing[np.arange(len(order)) // self.size, order] = view.sizes[order]
        return np.asarray(mixing / mixing.sum(axis=1, keepdims=True))

    def mix(self, view: View, mixing: NDArray[np.float64]) -> View:
        """The view with a row for each bucket, its hospitals and the sum of their weights."""
        inside = mixing > 0
        groups = [[view.members[row] for row in np.flatnonzero(line)] for line in inside]
        members = tuple(tuple(sorted(chain.from_iterable(group))) for group in groups)
        weights = None if view.weights is None else inside @ view.weights
        return replace(super().mix(view, mixing), members=members, weights=weights)
