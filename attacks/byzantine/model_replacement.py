"""Model replacement (Bagdasaryan et al., 2020, arXiv:1807.00459)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from sim.errors import number
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class ModelReplacement:
    """A longer update, so that the mean moves as far as the hostile hospitals alone want it to.

    Joined with a poison, whose update is made longer.

    Args:
        factor: ``full`` for n_hospitals / n_hostile, at which the mean becomes the hostile update
            if the honest ones cancel out; or a number.
        max_norm: length that is not exceeded (the paper's train-and-scale), or None.
    """

    factor: float | Literal["full"] = "full"
    max_norm: float | None = None
    about: ClassVar[About] = About(
        title="ModelReplacement",
        paper="Bagdasaryan et al., How To Backdoor Federated Learning",
        year=2020,
        sees="its own update, and how many hospitals there are",
        variants=("factor=full", "max_norm=NUMBER"),
    )

    def __post_init__(self) -> None:
        if self.factor != "full":
            number(0, open_low=True, factor=self.factor)
        if self.max_norm is not None:
            number(0, open_low=True, max_norm=self.max_norm)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        factor = known.n_hospitals / known.n_hostile if self.factor == "full" else self.factor
        longer = factor * known.own.astype(np.float64)
        if self.max_norm is None:
            return longer
        lengths = np.linalg.norm(longer, axis=1, keepdims=True)
        return np.asarray(longer * (self.max_norm / np.maximum(lengths, self.max_norm)))
