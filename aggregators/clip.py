"""Norm clipping (Sun et al., 2019, arXiv:1911.07963)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.kinds import Scaling, shortening
from sim.errors import number
from sim.types import About


@dataclass(frozen=True)
class Clip(Scaling):
    """Scale every row that is longer than ``max_norm`` down to that length; leave the others as they are.

    Args:
        max_norm: greatest Euclidean length of an update.
    """

    max_norm: float
    about: ClassVar[About] = About(
        title="Clip",
        paper="Sun et al., Can You Really Backdoor Federated Learning?",
        year=2019,
        sees="rows of few hospitals each",
        promise="no row is longer than max_norm",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, max_norm=self.max_norm)

    def factors(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """At most 1."""
        return shortening(norms, self.max_norm)
