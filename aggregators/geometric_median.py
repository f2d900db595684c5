"""Geometric median (Chen et al., 2017, arXiv:1705.05491; Weiszfeld, 1937; Vardi and Zhang, 2000)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from aggregators.geometry import centered
from aggregators.limits import enough
from sim.errors import number, whole
from sim.types import About, Vector, View


@dataclass(frozen=True)
class GeometricMedian:
    """The point with the least sum of Euclidean distances to all rows, by Weiszfeld's iteration without smoothing.

    If a row is the minimizer (Vardi and Zhang's condition) it is returned exactly. Otherwise the iteration starts from the row
    with the least sum of distances and only descends, so it meets no other row. It ends when the unit vectors to
    the rows sum to at most ``tolerance * n_rows``, or after ``max_steps`` at a point that is no worse than the best row.
    Where the minimizer is not unique (an even number of rows on one line) one of the two middle rows is returned.

    Args:
        n_hostile: hostile rows to withstand.
        tolerance: length of the gradient, per row, at which to stop.
        max_steps: most Weiszfeld steps.
    """

    n_hostile: int
    tolerance: float = 1e-10
    max_steps: int = 10_000
    about: ClassVar[About] = About(
        title="GeometricMedian",
        paper="Chen et al., Distributed Statistical Machine Learning in Adversarial Settings: Byzantine Gradient Descent",
        year=2017,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)
        whole(1, max_steps=self.max_steps)
        number(0, 1, open_low=True, tolerance=self.tolerance)

    @property
    def min_rows(self) -> int:
        """Least number of rows: a majority of honest ones."""
        return 2 * self.n_hostile + 1

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The geometric median, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        # A rotation keeps distances: R of QR has the rows as n_rows points of at most n_rows coordinates.
        # Householder QR keeps each row's own digits, which a Gram matrix would not beside a row of size 1e30.
        points = np.transpose(np.asarray(np.linalg.qr(centered(view.rows).T, mode="r")))
        return np.asarray(self._shares(points) @ view.rows.astype(np.float64))

    def _shares(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much of each point the geometric median is: (n,), at least 0, sum 1."""
        gaps = cdist(points, points)
        best = int(gaps.sum(axis=1).argmin())
        points = points - points[best]  # from here on the best row is the origin: a point close to it keeps its digits
        away = gaps[best] > 0
        nearness = 1 / gaps[best, away]
        pull = nearness @ points[away]
        strength, n_here = float(np.linalg.norm(pull)), int((~away).sum())
        if strength <= n_here:
            return np.asarray(np.arange(len(points)) == best, dtype=np.float64)
        return self._descend(points, (1 - n_here / strength) / nearness.sum() * pull)

    def _descend(self, points: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
        for _ in range(self.max_steps):
            gaps = points - point
            nearness = 1 / np.linalg.norm(gaps, axis=1)
            shares = nearness / nearness.sum()
            if np.linalg.norm(nearness @ gaps) <= self.tolerance * len(points):
                break
            point = shares @ points
        return np.asarray(shares)
