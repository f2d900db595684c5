"""Min-Sum (Shejwalkar & Houmansadr, 2021)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.directions import DIRECTIONS
from attacks._shared.honest import Cloud
from attacks._shared.spread import Within
from sim.types import About, Vector


@dataclass(frozen=True)
class MinSum(Within):
    """All send ``mean + gamma * direction``, with summed distances that an honest row has as well.

    The distances are squared.

    Parameters as in ``Within``.
    """

    about: ClassVar[About] = About(
        title="MinSum",
        paper=(
            "Shejwalkar & Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning"
            " Attacks and Defenses"
        ),
        year=2021,
        sees="honest updates, or the updates of two or more colluding hospitals",
        needs="colluders",
        uses="updates",
        variants=tuple(f"along={name}" for name in DIRECTIONS),
    )

    def room(self, rows: Cloud) -> tuple[Vector, Vector]:
        """The single constraint, a row's share of it; the offsets of the rows sum to 0."""
        room = rows.squared_distances.sum(axis=1).max() - np.trace(rows.products)
        return np.zeros(1), np.array([room / len(rows.products)])
