"""Mean around the median (Xie et al., 2018, arXiv:1802.10116)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority
from aggregators.checks import enough
from aggregators.linalg import TIE, sorted_columns
from sim.types import About, Updates, Vector, View


@dataclass(frozen=True)
class Meamed(Majority):
    """In every coordinate the mean of the ``n_rows - n_hostile`` values nearest to the median.

    Of two values that are equally near the smaller is taken.

    Args:
        n_hostile: hostile rows to withstand, and values left out of every coordinate.
    """

    about: ClassVar[About] = About(
        title="Meamed",
        paper="Xie et al., Generalized Byzantine-tolerant SGD",
        year=2018,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
        cost="nd log n",
        promise=(
            "with at most n_hostile hostile rows every coordinate stays between honest values,"
            " or at most their range beyond"
        ),
    )

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The mean around the median, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        return mean_around_median(view.rows, len(view.rows) - self.n_hostile)


def mean_around_median(rows: Updates, n_used: int) -> NDArray[np.float64]:
    """Mean of the ``n_used`` values of each column that are nearest to its median, (n_params,).

    They are neighbors in the sorted column. The window of them starts at the bottom and moves up
    past a value as long as the one that comes in is nearer to the median.
    """
    n = len(rows)
    means = np.empty(rows.shape[1])
    for block, columns in sorted_columns(rows):
        doubled_median = np.add(columns[:, (n - 1) // 2], columns[:, n // 2], dtype=np.float64)
        low = columns[:, : n - n_used]
        high = columns[:, n_used:]
        nearer = doubled_median[:, None] - np.add(low, high, dtype=np.float64)
        passed = nearer > TIE * np.subtract(high, low, dtype=np.float64)
        inside = np.ones(columns.shape, dtype=bool)
        inside[:, n_used:] = passed
        inside[:, : n - n_used] ^= passed
        np.matmul((columns * inside).astype(np.float64), np.full(n, 1 / n_used), out=means[block])
    return means
