"""An old update, sent again and again (replay; Syverson, 1994, A Taxonomy of Replay Attacks)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.types import About, Reply, SentReply, Stateful, Vector


@dataclass(frozen=True)
class First:
    """The update (n_params,) of the first round attacked."""

    update: Vector


@dataclass(frozen=True)
class Replay(Stateful[Reply, SentReply, First]):
    """The update of the first round attacked, sent in every later one: well formed, outdated."""

    state: ClassVar[type] = First
    about: ClassVar[About] = About(
        title="Replay",
        paper="Syverson, A Taxonomy of Replay Attacks",
        year=1994,
        sees="its own updates",
    )

    def advance(
        self, reply: Reply, state: First | None, rng: np.random.Generator
    ) -> tuple[SentReply, First]:
        """The update that was sent first."""
        first = state or First(reply.update)
        return SentReply(first.update, reply.count), first
