"""Multi-Krum (Blanchard et al., 2017, arXiv:1703.02757; bound on m: Damaskinos et al., 2019)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing, chosen
from aggregators.linalg import ranks
from aggregators.rules.krum import krum_scores
from sim.errors import one_of, whole
from sim.types import About, View


@dataclass(frozen=True)
class MultiKrum(Weighing):
    """The average of the ``m`` rows with the least Krum scores; of rows that tie the first.

    Args:
        n_hostile: hostile rows to withstand.
        m: rows to average; None: ``n_rows - n_hostile - 2``, the most for which resilience is
            proved.
        variant: ``paper``; ``byzfl`` scores with one neighbor more.
    """

    n_hostile: int
    m: int | None = None
    variant: Literal["paper", "byzfl"] = "paper"
    about: ClassVar[About] = About(
        title="MultiKrum",
        paper=(
            "Blanchard et al.,"
            " Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent"
        ),
        year=2017,
        sees="rows of few hospitals each",
        limit="n_rows >= max(2*n_hostile + 3, m or 0)",
        cost="n²d",
        variants=("variant=byzfl",),
        promise=(
            "as Krum for each row averaged while m <= n_rows - n_hostile;"
            " a larger m averages hostile rows, however far they are"
        ),
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)
        whole(1, m=1 if self.m is None else self.m)
        one_of(("paper", "byzfl"), variant=self.variant)

    @property
    def min_rows(self) -> int:
        """Least number of rows for which the paper's theorem holds, and ``m`` of them."""
        return max(2 * self.n_hostile + 3, self.m or 0)

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """One m-th of each of the best rows."""
        n_rows = len(view.rows)
        places = ranks(krum_scores(view.rows, self.n_hostile, self.variant))
        m = self.m or n_rows - self.n_hostile - 2
        return chosen(places.argsort(kind="stable")[:m], n_rows)
