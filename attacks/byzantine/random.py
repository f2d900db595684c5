"""Random updates, as common code has them (He et al., 2020: FedML's attack, mode random)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class Random:
    """Uniform noise in place of an update; each hostile hospital draws its own.

    Args:
        bound: every parameter is drawn from ``[-bound, bound]``.
    """

    bound: float = 1.0
    about: ClassVar[About] = About(
        title="Random",
        paper="He et al., FedML: A Research Library and Benchmark for Federated Machine Learning",
        year=2020,
        sees="nothing",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, bound=self.bound)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        return rng.uniform(-self.bound, self.bound, size=known.own.shape)
