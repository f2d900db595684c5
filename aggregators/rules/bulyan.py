"""Bulyan (El Mhamdi et al., 2018, arXiv:1802.07927)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.checks import enough
from aggregators.linalg import ranks, squared_distances
from aggregators.rules.krum import nearest_sums
from aggregators.rules.meamed import mean_around_median
from sim.errors import one_of, whole
from sim.types import About, Updates, Vector, View


@dataclass(frozen=True)
class Bulyan:
    """The mean around the median, in every coordinate, of rows that Krum chooses one by one.

    Of ``n_rows - 2*n_hostile`` choices each is Krum's among the rows not chosen yet. Of the values
    chosen in a coordinate ``2*n_hostile`` are left out. The last choices often tie (two rows that
    are nearest to each other): the row that is closer to all others then goes first.

    Args:
        n_hostile: hostile rows to withstand.
        variant: ``paper``; ``one_shot`` takes the rows with the least scores among all at once.
    """

    n_hostile: int
    variant: Literal["paper", "one_shot"] = "paper"
    about: ClassVar[About] = About(
        title="Bulyan",
        paper="El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium",
        year=2018,
        sees="rows of few hospitals each",
        limit="n_rows >= 4*n_hostile + 3",
        cost="n²d + n³ log n",
        variants=("variant=one_shot",),
        promise=(
            "with at most n_hostile hostile rows every coordinate stays between honest values,"
            " or at most their range beyond"
        ),
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)
        one_of(("paper", "one_shot"), variant=self.variant)

    @property
    def min_rows(self) -> int:
        """Least number of rows for which the paper's theorem holds."""
        return 4 * self.n_hostile + 3

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The aggregated update, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        choose = self._one_shot if self.variant == "one_shot" else self._iterated
        chosen = choose(view.rows)
        return mean_around_median(view.rows[chosen], len(chosen) - 2 * self.n_hostile)

    def _one_shot(self, rows: Updates) -> NDArray[np.intp]:
        scores = nearest_sums(squared_distances(rows), len(rows) - self.n_hostile - 2)
        return ranks(scores).argsort(kind="stable")[: len(rows) - 2 * self.n_hostile]

    def _iterated(self, rows: Updates) -> NDArray[np.intp]:
        gaps = squared_distances(rows)
        left = np.arange(len(rows))
        chosen = np.empty(0, np.intp)
        for _ in range(len(rows) - 2 * self.n_hostile):
            among = gaps[np.ix_(left, left)]
            scores = nearest_sums(among, max(0, len(left) - self.n_hostile - 2))
            best = np.lexsort((ranks(among.sum(axis=1)), ranks(scores)))[0]
            chosen = np.append(chosen, left[best])
            left = np.delete(left, best)
        return chosen
