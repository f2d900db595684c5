"""Min-Max (Shejwalkar & Houmansadr, 2021)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.directions import DIRECTIONS
from attacks._shared.honest import Cloud
from attacks._shared.spread import Within
from sim.types import About, Vector


@dataclass(frozen=True)
class MinMax(Within):
    """All send ``mean + gamma * direction``, as near to all honest rows as two of these can be.

    Parameters as in ``Within``.
    """

    about: ClassVar[About] = About(
        title="MinMax",
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
        """The constraints, one a row."""
        return rows.offsets[0], rows.squared_distances.max() - np.diag(rows.products)
