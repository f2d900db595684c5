"""Free riding (Lin et al., 2019, arXiv:1911.12560)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.history import Received, last_move
from sim.errors import number, one_of
from sim.types import About, Knowledge, Stateful, Updates


@dataclass(frozen=True)
class FreeRider(Stateful[Knowledge, Updates, Received]):
    """An update made up without training, to get the model for nothing.

    Args:
        disguise: ``none`` returns the received weights, an update of zero; ``delta`` sends how the
            common model moved in the round before (zero in the first round attacked).
        noise: normal noise on top, as a share of the length of that move.
    """

    disguise: Literal["none", "delta"] = "delta"
    noise: float = 0.1
    state: ClassVar[type] = Received
    about: ClassVar[About] = About(
        title="FreeRider",
        paper="Lin et al., Free-riders in Federated Learning: Attacks and Defenses",
        year=2019,
        sees="the common model of each round",
        variants=("disguise=none", "disguise=delta"),
    )

    def __post_init__(self) -> None:
        one_of(("none", "delta"), disguise=self.disguise)
        number(0, noise=self.noise)

    def advance(
        self, known: Knowledge, state: Received | None, rng: np.random.Generator
    ) -> tuple[Updates, Received]:
        """The rows that the hostile hospitals send, (len(known.own), n_params), and the model."""
        move, after = last_move(known, state)
        sent = rng.standard_normal(size=known.own.shape)
        sent *= self.noise * np.linalg.norm(move) / np.sqrt(move.size)
        if self.disguise == "delta":
            sent += move
        return sent, after
