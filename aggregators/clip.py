"""Norm clipping (Sun et al., 2019, arXiv:1911.07963)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, View


@dataclass(frozen=True)
class Clip:
    """Scale every row that is longer than ``max_norm`` down to that length; leave the others as they are.

    Args:
        max_norm: greatest Euclidean length of an update.
    """

    max_norm: float
    about: ClassVar[About] = About(
        title="Clip",
        paper="Sun et al., Can You Really Backdoor Federated Learning?",
        year=2019,
        sees="rows of few hospitals each",
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, max_norm=self.max_norm)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The view with clipped rows, float64."""
        rows = view.rows.astype(np.float64)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return replace(view, rows=rows * (self.max_norm / np.maximum(norms, self.max_norm)))
