"""Fedadam (Reddi et al., 2021, arXiv:2003.00295)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.server_optimizers.adaptive import PAPER, Adaptive
from sim.types import About


@dataclass(frozen=True)
class Fedadam(Adaptive):
    """Steps that shrink with the distance that a coordinate moved lately."""

    about: ClassVar[About] = About(
        title="Fedadam", paper=PAPER, year=2021, sees="the aggregate of every round"
    )

    def second(
        self, moment: NDArray[np.float64], square: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The running average of squares."""
        return self.beta2 * moment + (1 - self.beta2) * square
