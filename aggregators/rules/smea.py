"""Smallest maximum eigenvalue averaging (Allouah et al., 2023, arXiv:2302.04787)."""

from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Weighing, chosen
from aggregators.linalg import FLAT, TIE, embedded
from sim.errors import RefusedError
from sim.types import About, View

MOST_SETS = 100_000
CHUNK = 2048  # sets looked at together


@dataclass(frozen=True)
class Smea(Majority, Weighing):
    """The average of the ``n_rows - n_hostile`` rows whose covariance has the least top eigenvalue.

    Of sets that tie (to within 1e-9) the first in the order of the rows is taken. The rule looks at
    every set of that many rows, and refuses if there are more than ``MOST_SETS``.

    Args:
        n_hostile: hostile rows to withstand, and rows left out.
    """

    about: ClassVar[About] = About(
        title="Smea",
        paper="Allouah et al., On the Privacy-Robustness-Utility Trilemma in Distributed Learning",
        year=2023,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
        cost="n²d + n³ C(n, f)",
        promise=(
            "with at most n_hostile hostile rows the rows averaged vary no more in any direction"
            " than the honest ones in their widest"
        ),
    )

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows used. Raises ``RefusedError`` for too many sets of rows."""
        n_rows = len(view.rows)
        n_sets = comb(n_rows, self.n_hostile)
        if n_sets > MOST_SETS:
            raise RefusedError(
                f"n_rows={n_rows}, n_hostile={self.n_hostile}: Smea looks at all {n_sets} sets"
                f" of rows, more than {MOST_SETS}"
            )
        points = embedded(view.rows)
        sets = combinations(range(n_rows), n_rows - self.n_hostile)
        least = np.inf
        used = np.empty(0, np.intp)
        while chunk := list(islice(sets, CHUNK)):
            spreads = _spreads(points[np.array(chunk)])
            best = int((spreads <= spreads.min() * (1 + TIE)).argmax())
            if spreads[best] < least * (1 - TIE):
                least = float(spreads[best])
                used = np.array(chunk[best])
        return chosen(used, n_rows)


def _spreads(sets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Top eigenvalue of the scatter of each set of points, (n_sets,); 0 if they coincide.

    ``sets``: (n_sets, n_points, n_dims).
    """
    gaps = sets - sets.mean(axis=1, keepdims=True)
    spreads = np.linalg.eigvalsh(gaps @ gaps.transpose(0, 2, 1))[:, -1]
    return np.asarray(np.where(spreads > FLAT * np.vecdot(sets, sets).max(axis=1), spreads, 0.0))
