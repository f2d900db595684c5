"""Majority vote of signs (Bernstein et al., 2019, arXiv:1810.05291)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.checks import enough
from sim.errors import number
from sim.types import About, Vector, View


@dataclass(frozen=True)
class SignMajority:
    """A step of one size in every coordinate, the way that most rows go; none on a tie.

    Args:
        step: size of the step.
    """

    step: float
    about: ClassVar[About] = About(
        title="SignMajority",
        paper=(
            "Bernstein et al.,"
            " signSGD with Majority Vote is Communication Efficient And Fault Tolerant"
        ),
        year=2019,
        sees="rows of few hospitals each",
        limit="n_rows >= 1",
        cost="nd",
        promise=(
            "steps of one length;"
            " n_hostile votes decide every coordinate in which honest votes differ by less"
        ),
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, step=self.step)

    @property
    def min_rows(self) -> int:
        """Least number of rows."""
        return 1

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The steps, (n_params,). Raises ``RefusedError`` for too few rows."""
        enough(self, view)
        return np.asarray(self.step * np.sign(np.sign(view.rows).sum(axis=0, dtype=np.float64)))
