"""Gaussian noise (Blanchard et al., 2017, arXiv:1703.02757)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class Gaussian:
    """Normal noise in place of an update, or on top of it; each hostile hospital draws its own.

    Args:
        std: standard deviation of every parameter (200 in the paper, 1 in common code).
        added: add the noise to the honest update instead of sending noise alone.
    """

    std: float = 1.0
    added: bool = False
    about: ClassVar[About] = About(
        title="Gaussian",
        paper=(
            "Blanchard et al.,"
            " Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent"
        ),
        year=2017,
        sees="nothing; added=true: its own update",
        variants=("added=false", "added=true"),
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, std=self.std)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        sent = rng.standard_normal(size=known.own.shape)
        sent *= self.std
        if self.added:
            sent += known.own
        return sent
