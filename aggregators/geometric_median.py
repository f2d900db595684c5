"""Geometric median (Chen et al., 2017, arXiv:1705.05491; Weiszfeld, 1937; Vardi and Zhang, 2000)."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from aggregators.geometry import embedded
from aggregators.kinds import Majority, Weighing
from aggregators.limits import minority
from sim.errors import number, one_of, whole
from sim.types import About, View

SAME = 1e-6  # distance, relative to a row's length, below which rows count as equal: ``embedded`` keeps no more digits


@dataclass(frozen=True)
class GeometricMedian(Majority, Weighing):
    """The point with the least sum of Euclidean distances to all rows, by Weiszfeld's iteration without smoothing.

    At a row the step of Vardi and Zhang is taken, so a row that is the minimizer is returned itself. The iteration starts from
    the row that the others pull least and only descends. It ends where the unit vectors to the rows sum to at most
    ``tolerance * n_rows`` (plus the number of rows at that point), or after ``max_steps``.
    The point is right to about 1e-7 of the rows' distances from their coordinate-wise median, and rows closer than 1e-6 of
    that to each other count as one.
    By count it refuses where the ``n_hostile`` heaviest rows weigh half of the total.
    Where the minimizer is not unique (an even number of rows on one line) one of the two middle rows is returned.

    Args:
        n_hostile: hostile rows to withstand.
        tolerance: length of the gradient at which to stop, per row.
        max_steps: most Weiszfeld steps.
        weighting: ``uniform``; ``count``: distances are weighed by record counts, as far as the party learns them.
    """

    tolerance: float = 1e-10
    max_steps: int = 10_000
    weighting: Literal["uniform", "count"] = "uniform"
    about: ClassVar[About] = About(
        title="GeometricMedian",
        paper="Chen et al., Distributed Statistical Machine Learning in Adversarial Settings: Byzantine Gradient Descent",
        year=2017,
        sees="rows of few hospitals each; record counts with weighting=count",
        limit="n_rows >= 2*n_hostile + 1",
        cost="n²d",
        variants=("weighting=count",),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(1, max_steps=self.max_steps)
        number(0, 1, open_low=True, tolerance=self.tolerance)
        one_of(("uniform", "count"), weighting=self.weighting)

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """How much of each row the geometric median is."""
        points = embedded(view.rows)
        digits = SAME * np.linalg.norm(points, axis=1)
        weights = minority(self, view) if self.weighting == "count" else np.ones(len(points))
        weights = weights / weights.mean()
        point = points[_excess(points, weights, digits).argmin()]
        for _ in range(self.max_steps):
            gaps = points - point
            nearness, here = _nearness(np.sqrt(np.vecdot(gaps, gaps)), weights, digits)
            pull, held = nearness @ gaps, here.sum()
            strength = math.sqrt(pull @ pull)
            if strength <= held + self.tolerance * len(points):
                break
            point = point + (1 - held / strength) / nearness.sum() * pull
        shares = here if held else nearness
        return np.asarray(shares / shares.sum())


Floats = NDArray[np.float64]


def _nearness(lengths: Floats, weights: Floats, digits: Floats) -> tuple[Floats, Floats]:
    """Weight over distance, 0 for the points that are here; and the weight of each point that is here, 0 for the others."""
    here = lengths <= digits
    return np.where(here, 0.0, weights) / np.where(here, 1.0, lengths), np.where(here, weights, 0.0)


def _excess(points: Floats, weights: Floats, digits: Floats) -> Floats:
    """For each point how much the others' pull exceeds the hold of those there; above 0 by rounding at most at a minimizer.

    From directions and not from sums of distances: those lose their digits to one row far out.
    """
    nearness, here = _nearness(cdist(points, points), weights, digits)
    pulls = nearness @ points - nearness.sum(1, keepdims=True) * points
    return np.asarray(np.linalg.norm(pulls, axis=1) - here.sum(1))
