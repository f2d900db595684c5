"""Model poisoning directed at trimmed mean and median (Fang et al., 2020, arXiv:1911.11815)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.directions import trend
from attacks._shared.honest import deviation, mean
from attacks._shared.spread import at_least_two
from sim.errors import InputError
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class Fang:
    """Every parameter is sent just beyond the honest ones, against where their mean is going.

    With the honest updates known (the paper's full knowledge), between the extreme honest value and
    ``b`` times (or a ``b``-th of) it; without (partial knowledge), 3 to 4 standard deviations of
    the colluders' updates from their mean. Each hostile hospital draws its own. Applied to updates,
    where the paper's formulas are about weights.

    Args:
        b: how far beyond the extreme value, above 1 (2 in the paper).
    """

    b: float = 2.0
    about: ClassVar[About] = About(
        title="Fang",
        paper="Fang et al., Local Model Poisoning Attacks to Byzantine-Robust Federated Learning",
        year=2020,
        sees="honest updates, or the updates of two or more colluding hospitals",
        needs="colluders",
        uses="updates",
    )

    def __post_init__(self) -> None:
        if not (isinstance(self.b, (int, float)) and 1 < self.b < float("inf")):
            raise InputError("b", self.b, "expected a number above 1")

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` for fewer than two known updates.
        """
        rows = at_least_two(self, known)
        center = mean(rows)
        # a parameter without a trend counts as rising
        falling = trend(center, (rows - center).astype(rows.dtype)) < 0
        if rows is known.own:
            spread = deviation(rows)
            near, far = (center + np.where(falling, k, -k) * spread for k in (3, 4))
        else:
            near = np.where(falling, rows.max(axis=0), rows.min(axis=0)).astype(np.float64)
            # multiplying by b leads away from zero, and so beyond the extreme value
            outward = (near > 0) == falling
            far = np.where(outward, near * self.b, near / self.b)
        sent = rng.random(known.own.shape)
        sent *= far - near
        sent += near
        return sent
