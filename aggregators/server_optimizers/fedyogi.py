"""Fedyogi (Reddi et al., 2021, arXiv:2003.00295)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.server_optimizers.adaptive import PAPER, Adaptive
from sim.types import About


@dataclass(frozen=True)
class Fedyogi(Adaptive):
    """Steps as Adam's, but the second moment falls no faster than it rises."""

    about: ClassVar[About] = About(
        title="Fedyogi", paper=PAPER, year=2021, sees="the aggregate of every round"
    )

    def second(
        self, moment: NDArray[np.float64], square: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The second moment after a step of fixed size toward the square."""
        return moment - (1 - self.beta2) * square * np.sign(moment - square)
