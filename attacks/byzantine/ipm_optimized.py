"""IPM with the factor that hurts a known defense most (Allouah et al., 2023, arXiv:2302.01772)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.honest import mean, repeated, seen
from attacks._shared.search import checked, damage, furthest
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class IPMOptimized:
    """All send ``-epsilon`` times the honest mean, with the ``epsilon`` that hurts most.

    Most is furthest from the honest mean. Every ``epsilon`` is tried on the whole defense, steps
    included: the search costs ``evals`` aggregations a round.

    Args:
        evals: looks of the search, 3 to 1,000.
        scale: the first step from 0. With 36 looks the search comes as near as a 64th of it, and
            goes as far as 500,000 times it where the damage grows without end.
    """

    evals: int = 36
    scale: float = 10.0
    about: ClassVar[About] = About(
        title="IPMOptimized",
        paper=(
            "Allouah et al., Fixing by Mixing: A Recipe for Optimal Byzantine ML under"
            " Heterogeneity"
        ),
        year=2023,
        sees="honest updates and the aggregator's defense",
        needs="updates_and_rule",
        uses="updates_and_rule",
    )

    def __post_init__(self) -> None:
        checked(self.evals, self.scale)

    @property
    def tries(self) -> int:
        """Aggregations that are tried in a round."""
        return self.evals

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` without the defense.
        """
        center = mean(seen(known))
        hurt = damage(known, center)
        epsilon = furthest(
            lambda epsilon: hurt(repeated(-epsilon * center, known)), self.evals, self.scale
        )
        return repeated(-epsilon * center, known)
