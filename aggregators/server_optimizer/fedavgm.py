"""Server momentum (Hsu et al., 2019, arXiv:1909.06335)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Vector

MEMORY = "fedavgm"


@dataclass(frozen=True)
class Fedavgm:
    """Add ``beta`` times the last step to every aggregate, and move by ``lr`` times that.

    Args:
        lr: step over momentum.
        beta: share of the last step that is kept.
    """

    lr: float = 1.0
    beta: float = 0.9
    about: ClassVar[About] = About(
        title="Fedavgm",
        paper="Hsu et al., Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification",
        year=2019,
        sees="the aggregate of every round",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, lr=self.lr)
        number(0, 1, beta=self.beta)

    def __call__(self, aggregate: Vector, memory: dict[str, Any]) -> Vector:
        """The step of the model, (n_params,); the momentum is kept in ``memory``."""
        memory[MEMORY] = aggregate + self.beta * memory.get(MEMORY, 0.0)
        return np.asarray(self.lr * memory[MEMORY])
