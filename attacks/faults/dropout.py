"""Hospitals that vanish (Bonawitz et al., 2017; 2019, arXiv:1902.01046)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Reply, SentReply, Stateful


@dataclass(frozen=True)
class Gone:
    """Whether the hospital has left for good."""

    forever: bool


@dataclass(frozen=True)
class Dropout(Stateful[Reply, SentReply, Gone]):
    """Hospitals that train and send nothing, now and then or for good.

    Args:
        rate: probability of sending nothing in a round; each hospital draws on its own.
        forever: whether a hospital that once sent nothing never comes back.
    """

    rate: float = 0.5
    forever: bool = False
    state: ClassVar[type] = Gone
    about: ClassVar[About] = About(
        title="Dropout",
        paper="Bonawitz et al., Towards Federated Learning at Scale: System Design",
        year=2019,
        sees="nothing",
        variants=("forever=false", "forever=true"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, rate=self.rate)

    def advance(
        self, reply: Reply, state: Gone | None, rng: np.random.Generator
    ) -> tuple[SentReply, Gone]:
        """The reply as it is, or none."""
        gone = (state is not None and state.forever) or bool(rng.random() < self.rate)
        return SentReply(None if gone else reply.update, reply.count), Gone(gone and self.forever)
