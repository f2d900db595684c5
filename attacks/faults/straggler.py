"""Late replies (Xie et al., 2019, arXiv:1903.03934)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import whole
from sim.types import About, Reply, SentReply, Stateful, Vector


@dataclass(frozen=True)
class Waiting:
    """Updates (n_params,) that are not sent yet, the oldest first."""

    updates: tuple[Vector, ...]


@dataclass(frozen=True)
class Straggler(Stateful[Reply, SentReply, Waiting]):
    """Every update some rounds late, made for an older model; nothing until the first is sent.

    Args:
        delay: rounds attacked between training and sending.
    """

    delay: int = 3
    state: ClassVar[type] = Waiting
    about: ClassVar[About] = About(
        title="Straggler",
        paper="Xie et al., Asynchronous Federated Optimization",
        year=2019,
        sees="its own updates",
    )

    def __post_init__(self) -> None:
        whole(1, delay=self.delay)

    def advance(
        self, reply: Reply, state: Waiting | None, rng: np.random.Generator
    ) -> tuple[SentReply, Waiting]:
        """The update of ``delay`` rounds before, or none in the first ``delay`` rounds."""
        waiting = (*(() if state is None else state.updates), reply.update)
        if len(waiting) <= self.delay:
            return SentReply(None, reply.count), Waiting(waiting)
        return SentReply(waiting[0], reply.count), Waiting(waiting[1:])
