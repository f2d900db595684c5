"""Norm clipping (Sun et al., 2019, arXiv:1911.07963)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.base import scaled, shortening
from aggregators.linalg import lengths
from sim.errors import number
from sim.shortened import Shortened, median_length
from sim.types import About, Stateful, View


@dataclass(frozen=True)
class Clip(Stateful[View, View, Shortened]):
    """Every row that is longer than ``max_norm``, scaled to that length; the others as they are.

    Args:
        max_norm: greatest Euclidean length of an update, as in the paper; None takes the median
            length of the round's rows, which a hostile minority cannot move beyond the lengths of
            honest rows (a variant, as ``clip_to_median``).
    """

    max_norm: float | None
    state: ClassVar[type] = Shortened
    about: ClassVar[About] = About(
        title="Clip",
        paper="Sun et al., Can You Really Backdoor Federated Learning?",
        year=2019,
        sees="rows of few hospitals each",
        variants=("max_norm=1.0",),
        promise="no row is longer than max_norm (None: the median length of the rows)",
    )

    def __post_init__(self) -> None:
        if self.max_norm is not None:
            number(0, open_low=True, max_norm=self.max_norm)

    def advance(
        self, view: View, state: Shortened | None, rng: np.random.Generator
    ) -> tuple[View, Shortened]:
        """The view with rows of at most that length, and what has been shortened so far."""
        norms = lengths(view.rows)
        radius = median_length(norms) if self.max_norm is None else self.max_norm
        before = state or Shortened("clip", self.max_norm)
        return scaled(view, shortening(norms, radius)), before.after(norms, radius)
