"""Centered clipping (Karimireddy et al., 2021, arXiv:2012.10333)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from aggregators.base import shortening
from aggregators.checks import enough
from aggregators.linalg import lengths, mixed
from sim.errors import number, one_of, whole
from sim.limits import REPEATS
from sim.shortened import Shortened, median_length
from sim.types import About, Stateful, Vector, View


@dataclass(frozen=True)
class Center(Shortened):
    """The point moved to in the last round, (n_params,), with all that was shortened so far."""

    center: Vector | None = None


@dataclass(frozen=True)
class CenteredClipping(Stateful[View, Vector, Center]):
    """A point moved ``iterations`` times by the average step to a row, each at most ``tau`` long.

    It ends at most ``iterations * tau`` from its start whatever is sent. The paper's theorem covers
    up to a tenth of hostile rows, and ``tau`` must suit the spread of the honest ones.

    Args:
        tau: clipping radius, as in the paper; None takes, once a round, the median distance of the
            rows from the start, which a hostile minority cannot move beyond the distances of honest
            rows (a variant).
        iterations: number of moves.
        start: ``previous`` aggregate (zero in round 1), or ``zero``.
    """

    tau: float | None
    iterations: int = 3
    start: Literal["previous", "zero"] = "previous"
    state: ClassVar[type] = Center
    about: ClassVar[About] = About(
        title="CenteredClipping",
        paper="Karimireddy et al., Learning from History for Byzantine Robust Optimization",
        year=2021,
        sees="rows of few hospitals each",
        limit="n_rows >= 1",
        cost="nd an iteration",
        variants=("start=zero", "tau=1.0"),
        promise=(
            "at most iterations * tau (None: the median distance of the rows) from its start"
            " in one round; nothing about how far that leads over many rounds"
        ),
    )

    def __post_init__(self) -> None:
        if self.tau is not None:
            number(0, open_low=True, tau=self.tau)
        whole(1, REPEATS, iterations=self.iterations)
        one_of(("previous", "zero"), start=self.start)

    @property
    def min_rows(self) -> int:
        """Least number of rows."""
        return 1

    def advance(
        self, view: View, state: Center | None, rng: np.random.Generator
    ) -> tuple[Vector, Center]:
        """The point moved to, (n_params,), and the next state, which holds it as well.

        Raises ``RefusedError`` for too few rows.
        """
        enough(self, view)
        before = state or Center("centered_clipping", self.tau)
        center: Vector = np.zeros(view.rows.shape[1])
        if self.start == "previous" and before.center is not None:
            center = before.center
        gaps = lengths(view.rows, center)
        radius = median_length(gaps) if self.tau is None else self.tau
        after = before.after(gaps, radius)
        for iteration in range(self.iterations):
            gaps = gaps if iteration == 0 else lengths(view.rows, center)
            shares = shortening(gaps, radius) / len(view.rows)
            center = mixed(shares, view.rows) + (1 - shares.sum()) * center
        return center, replace(after, center=center)
