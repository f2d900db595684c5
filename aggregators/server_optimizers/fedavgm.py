"""Server momentum (Hsu et al., 2019, arXiv:1909.06335)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Stateful, Vector


@dataclass(frozen=True)
class Pace:
    """The momentum, (n_params,): every aggregate so far, each the less the longer ago."""

    momentum: Vector


@dataclass(frozen=True)
class Fedavgm(Stateful[Vector, Vector, Pace]):
    """Steps of ``lr`` times the momentum: the aggregate plus ``beta`` times the momentum before.

    Args:
        lr: step over momentum.
        beta: share of the momentum that stays.
    """

    lr: float = 1.0
    beta: float = 0.9
    state: ClassVar[type] = Pace
    about: ClassVar[About] = About(
        title="Fedavgm",
        paper=(
            "Hsu et al., Measuring the Effects of Non-Identical Data Distribution"
            " for Federated Visual Classification"
        ),
        year=2019,
        sees="the aggregate of every round",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, lr=self.lr)
        number(0, 1, beta=self.beta)

    def advance(
        self, aggregate: Vector, state: Pace | None, rng: np.random.Generator
    ) -> tuple[Vector, Pace]:
        """The step of the model, (n_params,), and the momentum."""
        momentum = aggregate + self.beta * (0.0 if state is None else state.momentum)
        return np.asarray(self.lr * momentum), Pace(momentum)
