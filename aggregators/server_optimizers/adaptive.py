"""Adaptive federated optimization, its three forms' shared code (Reddi et al., 2021)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.errors import number
from sim.types import Stateful, Vector

PAPER = "Reddi et al., Adaptive Federated Optimization"


@dataclass(frozen=True)
class Moments:
    """Momentum and second moment of every coordinate, (n_params,) each."""

    first: Vector
    second: NDArray[np.float64]


@dataclass(frozen=True)
class Adaptive(Stateful[Vector, Vector, Moments]):
    """Steps of ``lr`` times the momentum over ``tau`` plus the root of the second moment.

    As in algorithm 2 of the paper (arXiv:2003.00295): every coordinate has its own moments,
    momentum starts at zero, the second moment at ``tau`` squared, and neither is corrected for it.

    Args:
        lr: server learning rate.
        beta1: share of the momentum that stays.
        beta2: share of the second moment that stays (Adam, Yogi).
        tau: degree of adaptivity: the larger, the less.
    """

    lr: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 0.001
    state: ClassVar[type] = Moments

    def __post_init__(self) -> None:
        number(0, open_low=True, lr=self.lr, tau=self.tau)
        number(0, 1, beta1=self.beta1, beta2=self.beta2)

    @abstractmethod
    def second(
        self, moment: NDArray[np.float64], square: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The next second moment from the last one and the square of the aggregate."""

    def advance(
        self, aggregate: Vector, state: Moments | None, rng: np.random.Generator
    ) -> tuple[Vector, Moments]:
        """The step of the model, (n_params,), and both moments."""
        momentum = 0.0 if state is None else state.first
        moment = np.full(len(aggregate), self.tau**2) if state is None else state.second
        first = self.beta1 * momentum + (1 - self.beta1) * aggregate
        second = self.second(moment, np.square(aggregate, dtype=np.float64))
        return np.asarray(self.lr * first / (np.sqrt(second) + self.tau)), Moments(first, second)
