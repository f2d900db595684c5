"""The attack tailored to a known aggregation (Shejwalkar & Houmansadr, 2021)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.directions import DIRECTIONS, PUSHES, Direction
from attacks._shared.honest import cloud, repeated
from attacks._shared.search import checked, damage, furthest
from attacks._shared.spread import at_least_two
from sim.errors import one_of
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class AggregationTailored:
    """All send ``mean + gamma * direction``, with the ``gamma`` that hurts the aggregate most.

    Most is furthest from the honest mean. Every ``gamma`` is tried on the whole defense, steps
    included: the search costs ``evals`` aggregations a round.

    Args:
        along: ``unit``, ``std`` or ``sign``: the paper's three directions.
        evals: looks of the search, 3 to 1,000.
        scale: the first step from 0, in standard deviations, in lengths of the honest mean
            (``along=unit``) or in its largest parameter (``along=sign``). With 36 looks the search
            comes as near as a 64th of it, and goes as far as 500,000 times it where the damage
            grows without end.
    """

    along: Direction = "std"
    evals: int = 36
    scale: float = 10.0
    about: ClassVar[About] = About(
        title="AggregationTailored",
        paper=(
            "Shejwalkar & Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning"
            " Attacks and Defenses"
        ),
        year=2021,
        sees="honest updates and the aggregator's defense",
        needs="updates_and_rule",
        uses="updates_and_rule",
        variants=tuple(f"along={name}" for name in DIRECTIONS),
    )

    def __post_init__(self) -> None:
        checked(self.evals, self.scale)
        one_of(DIRECTIONS, along=self.along)

    @property
    def tries(self) -> int:
        """Aggregations that are tried in a round."""
        return self.evals

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` for fewer than two known updates, and without the defense.
        """
        rows = at_least_two(self, known)
        around = cloud(rows, PUSHES[self.along])
        center = around.center
        push = around.pushes[0] * (np.abs(center).max() if self.along == "sign" else 1.0)
        hurt = damage(known, center)
        gamma = furthest(
            lambda gamma: hurt(repeated(center + gamma * push, known)), self.evals, self.scale
        )
        return repeated(center + gamma * push, known)
