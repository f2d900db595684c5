"""Worker momentum (Karimireddy et al., 2021, arXiv:2012.10333; El Mhamdi et al., 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from aggregators.linalg import blocks
from sim.errors import number
from sim.types import About, Stateful, Vector, View


@dataclass(frozen=True)
class Averages:
    """The running average (n_params,) of the row of each group of hospitals."""

    rows: Mapping[tuple[str, ...], Vector]


@dataclass(frozen=True)
class Momentum(Stateful[View, View, Averages]):
    """A running average of each row: ``beta`` of the average as before, the rest new.

    A row's first average is the row itself. An honest hospital could do the same before it sends;
    here the aggregator does, so a hostile hospital cannot leave it out. Averages stay while a
    hospital sends nothing. El Mhamdi et al. are arXiv:2003.00010.

    Args:
        beta: share of the past.
    """

    beta: float
    state: ClassVar[type] = Averages
    about: ClassVar[About] = About(
        title="Momentum",
        paper="Karimireddy et al., Learning from History for Byzantine Robust Optimization",
        year=2021,
        sees="rows of the same hospitals in every round",
        promise="nothing by itself: hostile rows stay as they are, and honest ones vary less",
    )

    def __post_init__(self) -> None:
        number(0, 1, beta=self.beta)

    def advance(
        self, view: View, state: Averages | None, rng: np.random.Generator
    ) -> tuple[View, Averages]:
        """The view with averaged rows, and the averages of all groups so far."""
        before = {} if state is None else state.rows
        rows = view.rows.copy()
        for block in blocks(rows):
            for group, row in zip(view.members, rows[:, block], strict=True):
                if group in before:
                    row *= 1 - self.beta
                    row += self.beta * before[group][block]
        averages = dict(zip(view.members, rows, strict=True))
        return replace(view, rows=rows), Averages({**before, **averages})
