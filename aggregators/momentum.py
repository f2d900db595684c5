"""Worker momentum (Karimireddy et al., 2021, arXiv:2012.10333; El Mhamdi et al., 2021, arXiv:2003.00010)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from aggregators.geometry import blocks
from sim.errors import number
from sim.types import About, Updates, View

MEMORY = "momentum"


@dataclass(frozen=True)
class Momentum:
    """Replace every row by a running average of what these hospitals sent: ``beta`` of it as before, the rest new.

    A row's first average is the row itself. An honest hospital could do the same before it sends; here the aggregator does, so
    a hostile hospital cannot leave it out. Averages stay while a hospital sends nothing.

    Args:
        beta: share of the past.
    """

    beta: float
    about: ClassVar[About] = About(
        title="Momentum",
        paper="Karimireddy et al., Learning from History for Byzantine Robust Optimization",
        year=2021,
        sees="rows of the same hospitals in every round",
        promise="nothing by itself: hostile rows stay as they are, and honest ones vary less",
    )

    def __post_init__(self) -> None:
        number(0, 1, beta=self.beta)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The view with averaged rows, which are kept in the memory."""
        kept: dict[tuple[str, ...], Updates] = view.memory.setdefault(MEMORY, {})
        rows = view.rows.copy()
        for block in blocks(rows):
            for group, row in zip(view.members, rows[:, block], strict=True):
                if group in kept:
                    row *= 1 - self.beta
                    row += self.beta * kept[group][block]
        kept.update(zip(view.members, rows, strict=True))
        return replace(view, rows=rows)
