"""ALIE with the shift that hurts a known defense most (Allouah et al., 2023, arXiv:2302.01772)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.honest import deviation, mean, repeated
from attacks._shared.search import checked, damage, furthest
from attacks._shared.spread import at_least_two
from sim.errors import InputError
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class ALIEOptimized:
    """All send ``mean + sign * z * standard deviation``, with the ``z`` that hurts most.

    Most is furthest from the honest mean. Every ``z`` is tried on the whole defense, steps
    included: the search costs ``evals`` aggregations a round.

    Args:
        sign: direction of the shift, -1 or 1.
        evals: looks of the search, 3 to 1,000.
        scale: the first step from 0. With 36 looks the search comes as near as a 64th of it, and
            goes as far as 500,000 times it where the damage grows without end.
    """

    sign: Literal[-1, 1] = -1
    evals: int = 36
    scale: float = 10.0
    about: ClassVar[About] = About(
        title="ALIEOptimized",
        paper=(
            "Allouah et al., Fixing by Mixing: A Recipe for Optimal Byzantine ML under"
            " Heterogeneity"
        ),
        year=2023,
        sees="honest updates and the aggregator's defense",
        needs="updates_and_rule",
        uses="updates_and_rule",
        variants=("sign=-1", "sign=1"),
    )

    def __post_init__(self) -> None:
        checked(self.evals, self.scale)
        if self.sign not in (-1, 1):
            raise InputError("sign", self.sign, "expected -1 or 1")

    @property
    def tries(self) -> int:
        """Aggregations that are tried in a round."""
        return self.evals

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` for fewer than two known updates, and without the defense.
        """
        rows = at_least_two(self, known)
        center = mean(rows)
        shift = self.sign * deviation(rows, ddof=1)
        hurt = damage(known, center)
        z = furthest(lambda z: hurt(repeated(center + z * shift, known)), self.evals, self.scale)
        return repeated(center + z * shift, known)
