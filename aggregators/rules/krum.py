"""Krum (Blanchard et al., 2017, arXiv:1703.02757), and three more functions under that name."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing, chosen
from aggregators.linalg import ranks, squared_distances
from sim.errors import one_of, whole
from sim.types import About, Updates, View

Variant = Literal["paper", "byzfl", "ndss21", "distance4"]
# Other rows that are not neighbors, beyond n_hostile. Public code has the latter three.
LEFT_OUT: dict[Variant, int] = {"paper": 2, "byzfl": 1, "ndss21": 3, "distance4": 2}


@dataclass(frozen=True)
class Krum(Weighing):
    """The row nearest to others, by the sum of squared distances to its neighbors.

    Its neighbors are the ``n_rows - n_hostile - 2`` nearest other rows. Of rows that tie the first
    is taken.

    Args:
        n_hostile: hostile rows to withstand.
        variant: ``paper``; ``byzfl`` counts one neighbor more; ``ndss21`` counts the row itself as
            one of the neighbors; ``distance4`` sums fourth powers of distances.
    """

    n_hostile: int
    variant: Variant = "paper"
    about: ClassVar[About] = About(
        title="Krum",
        paper=(
            "Blanchard et al.,"
            " Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent"
        ),
        year=2017,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 3",
        cost="n²d",
        variants=("variant=byzfl", "variant=ndss21", "variant=distance4"),
        promise=(
            "with at most n_hostile hostile rows an honest row is at most"
            " sqrt(n_rows - n_hostile) honest diameters from the one taken"
        ),
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)
        one_of(tuple(LEFT_OUT), variant=self.variant)

    @property
    def min_rows(self) -> int:
        """Least number of rows for which the paper's theorem holds."""
        return 2 * self.n_hostile + 3

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """The whole share for the chosen row."""
        places = ranks(krum_scores(view.rows, self.n_hostile, self.variant))
        return chosen(places.argsort(kind="stable")[:1], len(view.rows))


def krum_scores(rows: Updates, n_hostile: int, variant: Variant) -> NDArray[np.float64]:
    """Krum's score of every row, (n_rows,): the less, the closer it is to its neighbors."""
    gaps = squared_distances(rows)
    if variant == "distance4":
        gaps **= 2
    return nearest_sums(gaps, len(rows) - n_hostile - LEFT_OUT[variant])


def nearest_sums(gaps: NDArray[np.float64], n_neighbors: int) -> NDArray[np.float64]:
    """The sum of the ``n_neighbors`` least entries of each row, its own left out, (n_rows,)."""
    apart = gaps.copy()
    np.fill_diagonal(apart, np.inf)  # a row is not its own neighbor, even among identical rows
    return np.asarray(np.sort(apart, axis=1)[:, :n_neighbors].sum(axis=1))
