"""Rows of one length, as FLTrust makes them first (Cao et al., 2021, arXiv:2012.13995)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Scaling
from sim.errors import number
from sim.types import About


@dataclass(frozen=True)
class Normalize(Scaling):
    """Every row scaled to length ``norm``: only its direction counts; a row of zeros stays.

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
        """Factors ``norm`` over length, (n_rows,)."""
        return self.norm / np.where(norms > 0, norms, self.norm)
