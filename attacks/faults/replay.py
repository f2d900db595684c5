"""An old update, sent again and again (replay; Syverson, 1994, A Taxonomy of Replay Attacks)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.types import About, Reply, SentReply


@dataclass(frozen=True)
class Replay:
    """Send the update of the first round attacked in every later one: once right, well formed, and of no use any more."""

    about: ClassVar[About] = About(
        title="Replay",
        paper="Syverson, A Taxonomy of Replay Attacks",
        year=1994,
        sees="its own updates",
    )

    def __call__(self, reply: Reply, rng: np.random.Generator) -> SentReply:
        """The update that was sent first."""
        return SentReply(reply.memory.setdefault("first", reply.update), reply.count)
