"""Centered clipping (Karimireddy et al., 2021, arXiv:2012.10333)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from aggregators.geometry import lengths, mixed
from aggregators.kinds import shortening
from aggregators.limits import enough
from sim.clipping import median_length, note
from sim.errors import number, one_of, whole
from sim.plain import REPEATS
from sim.types import About, Vector, View

MEMORY = "centered_clipping"


@dataclass(frozen=True)
class CenteredClipping:
    """From a start, move by the average of what leads to each row, each at most ``tau`` long; ``iterations`` times.

    Ends at most ``iterations * tau`` from its start whatever is sent. The paper's theorem covers up to a tenth of hostile rows,
    and ``tau`` must suit the spread of the honest ones.

    Args:
        tau: clipping radius, as in the paper; None takes, once a round, the median distance of the rows from the start, which
            a hostile minority cannot move beyond the distances of honest rows (a variant).
        iterations: number of moves.
        start: ``previous`` aggregate (zero in round 1), or ``zero``.
    """

    tau: float | None
    iterations: int = 3
    start: Literal["previous", "zero"] = "previous"
    about: ClassVar[About] = About(
        title="CenteredClipping",
        paper="Karimireddy et al., Learning from History for Byzantine Robust Optimization",
        year=2021,
        sees="rows of few hospitals each",
        limit="n_rows >= 1",
        cost="nd an iteration",
        variants=("start=zero", "tau=1.0"),
        promise="at most iterations * tau (None: the median distance of the rows) from its start in one round; nothing about how "
        "far that leads over many rounds",
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

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The point moved to, (n_params,); it is kept in the memory. Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        center = np.zeros(view.rows.shape[1])
        if self.start == "previous":
            center = view.memory.get(MEMORY, center)
        gaps = lengths(view.rows, center)
        radius = median_length(gaps) if self.tau is None else self.tau
        note(view.memory, MEMORY, self.tau, gaps, radius)
        for iteration in range(self.iterations):
            gaps = gaps if iteration == 0 else lengths(view.rows, center)
            shares = shortening(gaps, radius) / len(view.rows)
            center = mixed(shares, view.rows) + (1 - shares.sum()) * center
        view.memory[MEMORY] = center
        return center
