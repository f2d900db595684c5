"""Rows of one length (Cao et al., 2021, arXiv:2012.13995: FLTrust normalizes every update before it
averages).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Scaling
from sim.errors import number
from sim.types import About


@dataclass(frozen=True)
class Normalize(Scaling):
    """Scale every row to length ``norm``, so that only its direction counts; a row of zeros stays.

    Args:
        norm: Euclidean length of every update.
    """

    norm: float
    about: ClassVar[About] = About(
        title="Normalize",
        paper="Cao et al., FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping",
        year=2021,
        sees="rows of few hospitals each",
        promise="all rows that are not zero are of one length",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, norm=self.norm)

    def factors(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """``norm`` over length."""
        return self.norm / np.where(norms > 0, norms, self.norm)
