"""Geometric median (Chen et al., 2017, arXiv:1705.05491; Vardi and Zhang, 2000)."""

import math
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Counting, Weighing
from aggregators.linalg import embedded, ranks
from sim.errors import RefusedError, number, whole
from sim.limits import MOST_STEPS
from sim.types import About, View

SAME = 1e-10  # distance, relative to a row's length, below which rows count as equal
ROUNDING = 1e-15  # of a distance, relative to the lengths of the two points
HALVINGS = 60  # most halvings of one of Newton's steps, and most such steps in the end


@dataclass(frozen=True)
class GeometricMedian(Counting, Weighing):
    """The point with the least sum of Euclidean distances to all rows, without smoothing.

    Steps of Weiszfeld's iteration (1937; at a row that of Vardi and Zhang, so a row that is the
    minimizer is returned itself) take turns with Newton's, which are shortened until they only
    descend. The iteration starts from the row that the others pull least. It ends where the unit
    vectors to the rows sum to at most ``tolerance * n_rows`` (plus the number of rows at that
    point, plus rounding), and the rule refuses if ``max_steps`` do not reach that.

    Rows closer to each other than 1e-10 of their distance from the row of median length count as
    one. Where the sum of distances is level to rounding (between two clusters of one weight that
    are tighter than 1e-7 of the distance between them) the point is one of those between them.
    Where the minimizer is not unique (an even number of rows on one line) that of the two middle
    rows which comes first is returned.

    Args:
        n_hostile: hostile rows to withstand.
        tolerance: length of the gradient at which to stop, per row.
        max_steps: most steps.
        weighting: ``count`` weighs distances by record counts, ``size`` by numbers of hospitals, as
            in ``Counting``.
    """

    tolerance: float = 1e-10
    max_steps: int = 10_000
    about: ClassVar[About] = About(
        title="GeometricMedian",
        paper=(
            "Chen et al., Distributed Statistical Machine Learning in Adversarial Settings:"
            " Byzantine Gradient Descent"
        ),
        year=2017,
        sees="rows of few hospitals each; record counts with weighting=count",
        limit="n_rows >= 2*n_hostile + 1",
        cost="n²d",
        variants=("weighting=count", "weighting=size"),
        promise=(
            "with at most n_hostile hostile rows it stays within 2(n - f)/(n - 2f) honest radii"
            " of the honest mean"
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(1, MOST_STEPS, max_steps=self.max_steps)
        number(0, 1, open_low=True, tolerance=self.tolerance)

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Share of each row in the geometric median.

        Raises ``RefusedError`` where it is not found.
        """
        points = embedded(view.rows)
        weights = self.weights(view)
        pulls = Pulls(points, weights / weights.mean(), self.tolerance * len(points))
        place = pulls.at(pulls.lightest_row())
        for _ in range(self.max_steps):
            if pulls.balanced(place):
                return pulls.settled(place).shares
            place = pulls.refined(pulls.weiszfeld(place))
        raise RefusedError(
            f"max_steps={self.max_steps}: GeometricMedian did not converge"
            f" to tolerance={self.tolerance:g}"
        )


Floats = NDArray[np.float64]


class Place(NamedTuple):
    """A point, and the pulls of the rows at it.

    ``gaps`` (n_rows, n_dims): from the point to each row. ``nearness``: weight over distance of
    each row, 0 here; ``here``: weight of each row here, 0 elsewhere, ``weight`` in all. A row is
    here if it is at the point, to its digits. ``pull``: the sum over all rows.
    """

    point: Floats
    gaps: Floats
    nearness: Floats
    here: Floats
    weight: float
    pull: Floats

    @property
    def shares(self) -> Floats:
        """Share of each row in the point, (n_rows,)."""
        shares = self.here if self.weight else self.nearness
        return np.asarray(shares / shares.sum())


class Pulls:
    """Pulls of weighted points at another point: each with its weight, in its direction."""

    def __init__(self, points: Floats, weights: Floats, tolerance: float) -> None:
        self.points = points
        self.weights = weights
        self.tolerance = tolerance
        self.lengths = np.linalg.norm(points, axis=1)
        self.digits = SAME * self.lengths
        self.unit = np.eye(points.shape[1])
        self.nobody = np.zeros(len(points))

    def lightest_row(self) -> Floats:
        """The point among all at which the pull of the others exceeds the weight there least.

        Found from directions and not from sums of distances: those lose their digits to one row far
        out.
        """
        from scipy.spatial.distance import cdist

        nearness, here = self._nearness(cdist(self.points, self.points))
        pulls = nearness @ self.points - nearness.sum(1, keepdims=True) * self.points
        excess = np.linalg.norm(pulls, axis=1) - here.sum(1)
        row: Floats = self.points[ranks(excess, self.weights.sum()).argmin()]
        return row

    def at(self, point: Floats) -> Place:
        """The pulls at a point."""
        gaps = self.points - point
        lengths = np.sqrt(np.vecdot(gaps, gaps))
        if not np.count_nonzero(lengths <= self.digits):  # most often, and in half of the time
            nearness = self.weights / lengths
            return Place(point, gaps, nearness, self.nobody, 0.0, np.asarray(nearness @ gaps))
        nearness, here = self._nearness(lengths)
        return Place(point, gaps, nearness, here, float(here.sum()), np.asarray(nearness @ gaps))

    def balanced(self, place: Place) -> bool:
        """Whether the pulls cancel, or are no stronger than the weight of rows at the point."""
        size = self.lengths + _length(place.point)
        slack = self.tolerance + ROUNDING * float(place.nearness @ size)
        return _length(place.pull) <= place.weight + slack

    def weiszfeld(self, place: Place) -> Place:
        """The next place of Weiszfeld's iteration; from a row, of Vardi and Zhang's."""
        rest = 1 - place.weight / _length(place.pull)
        return self.at(place.point + rest / np.add.reduce(place.nearness) * place.pull)

    def refined(self, place: Place) -> Place:
        """The place after one of Newton's steps, halved until the sum of distances only falls."""
        if place.weight:
            return place
        point, gaps, nearness, _, _, pull = place
        total = np.add.reduce(nearness)
        units = gaps * (nearness / self.weights)[:, None]
        curvature = total * self.unit - (units.T * nearness) @ units
        step = np.linalg.solve(curvature + ROUNDING * total * self.unit, pull)
        for _ in range(HALVINGS):
            moved = self.at(point + step)
            if moved.pull @ step >= 0:
                return moved
            step = step / 2
        return place

    def settled(self, place: Place) -> Place:
        """The place after Newton's steps until they move it no more."""
        for _ in range(HALVINGS):
            moved = self.refined(place)
            distances = np.linalg.norm(place.gaps, axis=1).tolist()
            if _length(moved.point - place.point) <= SAME * median(distances):
                return moved
            place = moved
        return place

    def _nearness(self, lengths: Floats) -> tuple[Floats, Floats]:
        here = lengths <= self.digits
        nearness = np.where(here, 0.0, self.weights) / np.where(here, 1.0, lengths)
        return nearness, np.where(here, self.weights, 0.0)


def _length(vector: Floats) -> float:
    """The Euclidean length of a vector, without what ``np.linalg.norm`` does for all others."""
    return math.sqrt(vector @ vector)
