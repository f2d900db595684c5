"""MoNNA, the nearest neighbors of a trusted update (Farhadkhani et al., 2023, arXiv:2302.11772)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Weighing, chosen
from aggregators.checks import root_row
from aggregators.linalg import gaps_from, ranks
from sim.types import About, View


@dataclass(frozen=True)
class Monna(Majority, Weighing):
    """The average of the ``n_rows - n_hostile`` rows nearest to one trusted row, itself included.

    In the paper each hospital does this with its own update, which it trusts; here the aggregator
    does it with that of ``root``. If that hospital is hostile, nothing is promised. Of rows that
    are equally near the first are taken.

    Args:
        n_hostile: hostile rows to withstand, and rows left out.
        root: name of the trusted hospital.
    """

    root: str | None
    about: ClassVar[About] = About(
        title="Monna",
        paper="Farhadkhani et al., Robust Collaborative Learning with Linear Gradient Overhead",
        year=2023,
        sees="rows of few hospitals each, and the trusted hospital's own",
        limit="n_rows >= 2*n_hostile + 1",
        cost="nd",
        promise=(
            "while the trusted hospital is honest the rows averaged are no farther from its own"
            " than honest ones"
        ),
    )

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the neighbors.

        Raises ``RefusedError`` if the trusted hospital has no row of its own.
        """
        gaps = gaps_from(view.rows, root_row(self, view))
        return chosen(ranks(gaps).argsort(kind="stable")[: len(gaps) - self.n_hostile], len(gaps))
