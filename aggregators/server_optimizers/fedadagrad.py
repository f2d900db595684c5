"""Fedadagrad (Reddi et al., 2021, arXiv:2003.00295)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.server_optimizers.adaptive import PAPER, Adaptive
from sim.types import About


@dataclass(frozen=True)
class Fedadagrad(Adaptive):
    """Steps that shrink with all that a coordinate has moved before; ``beta2`` is not used."""

    about: ClassVar[About] = About(
        title="Fedadagrad", paper=PAPER, year=2021, sees="the aggregate of every round"
    )

    def second(
        self, moment: NDArray[np.float64], square: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The sum of all squares so far."""
        return moment + square
