"""Robust federated aggregation, the smoothed geometric median (Pillutla et al., 2022,
arXiv:1912.13445).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Weighing
from aggregators.checks import minority
from aggregators.linalg import lengths, mixed
from sim.errors import number, one_of, whole
from sim.limits import REPEATS
from sim.types import About, View


@dataclass(frozen=True)
class Rfa(Majority, Weighing):
    """A few steps of Weiszfeld's iteration toward the geometric median, with distances below ``nu``
    taken as ``nu``.

    Three steps from the mean do not come close to the geometric median when rows are very far out;
    from zero (the weights that the hospitals received) they do.

    Args:
        n_hostile: hostile rows to withstand.
        nu: smoothing distance.
        steps: Weiszfeld steps.
        start: ``mean`` of the rows, or ``zero``.
        weighting: ``uniform``, or ``count``: distances are weighed by the record counts that the
        party learns.
    """

    nu: float = 1e-6
    steps: int = 3
    start: Literal["mean", "zero"] = "mean"
    weighting: Literal["uniform", "count"] = "uniform"
    about: ClassVar[About] = About(
        title="Rfa",
        paper="Pillutla et al., Robust Aggregation for Federated Learning",
        year=2022,
        sees="rows of few hospitals each; record counts with weighting=count",
        limit="n_rows >= 2*n_hostile + 1",
        cost="nd a step",
        variants=("start=zero", "weighting=count"),
        promise=(
            "nothing with start=mean: three steps do not come back from rows far out; with"
            " start=zero at most (1 + n_rows / (n_rows - n_hostile))^steps - 1 lengths of the"
            " longest honest row from zero, however far hostile rows are"
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(1, REPEATS, steps=self.steps)
        number(1e-45, nu=self.nu)  # the least length above 0 of rows of float32
        one_of(("mean", "zero"), start=self.start)
        one_of(("uniform", "count"), weighting=self.weighting)

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Weight over distance, as of the last step."""
        weights = minority(self, view) if self.weighting == "count" else np.ones(len(view.rows))
        weights = weights / weights.sum()
        shares = weights if self.start == "mean" else np.zeros_like(weights)
        for _ in range(self.steps):
            nearness = weights / np.maximum(lengths(view.rows, mixed(shares, view.rows)), self.nu)
            shares = nearness / nearness.sum()
        return np.asarray(shares)
