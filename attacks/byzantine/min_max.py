"""Min-Max (Shejwalkar & Houmansadr, 2021)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks.byzantine.directions import DIRECTIONS, Direction, direction
from attacks.byzantine.honest import along, gram, mean, repeated, squared_distances
from attacks.byzantine.spread import at_least_two, reach
from sim.errors import one_of
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class MinMax:
    """All send ``mean + gamma * direction``, no further from any honest row than two honest rows are from each other.

    ``gamma`` is computed in closed form: it is the limit of the paper's search.

    Args:
        along: ``unit``, ``std`` or ``sign``: the paper's three directions.
    """

    along: Direction = "std"
    about: ClassVar[About] = About(
        title="MinMax",
        paper="Shejwalkar & Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses",
        year=2021,
        sees="honest updates, or the updates of two or more colluding hospitals",
        needs="colluders",
        uses="updates",
        variants=tuple(f"along={name}" for name in DIRECTIONS),
    )

    def __post_init__(self) -> None:
        one_of(DIRECTIONS, along=self.along)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """What the hostile hospitals send, (len(known.own), n_params), float64. Refuses fewer than two known updates."""
        rows = at_least_two(self, known)
        center, push = mean(rows), direction(rows, self.along)
        products = gram(rows, center)
        room = squared_distances(products).max() - np.diag(products)  # how much nearer each row is than may be, squared
        return repeated(center + reach(float(push @ push), along(rows, center, push), room) * push, known)
