"""Divide and conquer (Shejwalkar and Houmansadr, 2021, NDSS)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing, chosen
from aggregators.linalg import embedded, ranks, top_projections
from sim.errors import number, whole
from sim.limits import REPEATS
from sim.types import About, View


@dataclass(frozen=True)
class Dnc(Weighing):
    """The average of rows that never stand out where some coordinates drawn at random vary most.

    Each iteration draws coordinates and leaves out the ``floor(filter * n_hostile)`` rows with the
    greatest squared projections on the direction of greatest variance; of rows that tie (to within
    1e-9 of the greatest) the last are left out. Where several directions share the greatest
    variance, the projection on all of them together counts. If that leaves out all rows in the end
    the aggregate is zero.

    Args:
        n_hostile: hostile rows to withstand.
        iterations: how often coordinates are drawn.
        n_dims: coordinates drawn each time, all if there are fewer.
        filter: rows left out in an iteration, for each hostile one.
    """

    n_hostile: int
    iterations: int = 1
    n_dims: int = 10_000
    filter: float = 1.0
    about: ClassVar[About] = About(
        title="Dnc",
        paper=(
            "Shejwalkar and Houmansadr, Manipulating the Byzantine: Optimizing Model"
            " Poisoning Attacks and Defenses for FL"
        ),
        year=2021,
        sees="rows of few hospitals each",
        limit="n_rows >= max(2*n_hostile, int(filter*n_hostile)) + 1",
        cost="n² n_dims",
        promise=(
            "nothing for certain: it leaves out what stands out in one direction,"
            " and far rows in independent directions can hide behind each other"
        ),
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)
        whole(1, REPEATS, iterations=self.iterations)
        whole(1, n_dims=self.n_dims)
        number(0, open_low=True, filter=self.filter)

    @property
    def min_rows(self) -> int:
        """Least number of rows: a majority of honest ones, and one that is not left out."""
        return max(2 * self.n_hostile, int(self.filter * self.n_hostile)) + 1

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows that every iteration keeps."""
        n_rows, n_params = view.rows.shape
        n_used = n_rows - int(self.filter * self.n_hostile)
        used = np.ones(n_rows, dtype=bool)
        for _ in range(self.iterations):
            drawn = np.sort(rng.choice(n_params, min(self.n_dims, n_params), replace=False))
            outlying = top_projections(embedded(view.rows[:, drawn]), np.ones(n_rows))[1]
            nearest = ranks(outlying, outlying.max()).argsort(kind="stable")[:n_used]
            used &= np.isin(np.arange(n_rows), nearest)
        return chosen(np.flatnonzero(used), n_rows)
