"""Sybils (Fung et al., 2020, arXiv:1808.04866)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.honest import mean, repeated
from sim.errors import number
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class Sybil:
    """One party under several names: all send the mean of their updates, each a bit different.

    Alone this gives one party several votes; joined with a poison (``attack=[label_flip,sybil]``)
    the votes agree.

    Args:
        disguise: noise on each copy, as a share of the update's length.
    """

    disguise: float = 0.0
    about: ClassVar[About] = About(
        title="Sybil",
        paper="Fung et al., The Limitations of Federated Learning in Sybil Settings",
        year=2020,
        sees="the updates of its own identities",
        needs="colluders",
        uses="colluders",
    )

    def __post_init__(self) -> None:
        number(0, disguise=self.disguise)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        one = mean(known.own)
        if not self.disguise:
            return repeated(one, known)
        noise = rng.normal(scale=1 / np.sqrt(one.size), size=known.own.shape)
        return repeated(one, known) + self.disguise * np.linalg.norm(one) * noise
