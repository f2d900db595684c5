"""Robust federated aggregation (Pillutla et al., 2022, arXiv:1912.13445)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Counting, Weighing
from aggregators.linalg import lengths, mixed
from sim.errors import number, one_of, whole
from sim.limits import REPEATS
from sim.types import About, View


@dataclass(frozen=True)
class Rfa(Counting, Weighing):
    """A smoothed geometric median: some of Weiszfeld's steps, with distances of at least ``nu``.

    Three steps from the mean do not come close to the geometric median when rows are very far out;
    from zero (the weights that the hospitals received) they do.

    Args:
        n_hostile: hostile rows to withstand.
        nu: smoothing distance.
        steps: Weiszfeld steps.
        start: ``mean`` of the rows, or ``zero``.
        weighting: ``count`` weighs distances by record counts, ``size`` by numbers of hospitals, as
            in ``Counting``.
    """

    nu: float = 1e-6
    steps: int = 3
    start: Literal["mean", "zero"] = "mean"
    about: ClassVar[About] = About(
        title="Rfa",
        paper="Pillutla et al., Robust Aggregation for Federated Learning",
        year=2022,
        sees="rows of few hospitals each; record counts with weighting=count",
        limit="n_rows >= 2*n_hostile + 1",
        cost="nd a step",
        variants=("start=zero", "weighting=count", "weighting=size"),
        promise=(
            "nothing with start=mean: three steps do not come back from rows far out;"
            " with start=zero at most (1 + n_rows / (n_rows - n_hostile))^steps - 1 lengths"
            " of the longest honest row from zero, however far hostile rows are"
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(1, REPEATS, steps=self.steps)
        number(1e-45, nu=self.nu)  # the least length above 0 of rows of float32
        one_of(("mean", "zero"), start=self.start)

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Weight over distance, as of the last step."""
        weights = self.weights(view)
        weights = weights / weights.sum()
        shares = weights if self.start == "mean" else np.zeros_like(weights)
        for _ in range(self.steps):
            nearness = weights / np.maximum(lengths(view.rows, mixed(shares, view.rows)), self.nu)
            shares = nearness / nearness.sum()
        return np.asarray(shares)
