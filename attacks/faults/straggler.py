"""Late replies (Xie et al., 2019, arXiv:1903.03934)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import whole
from sim.types import About, Reply, SentReply


@dataclass(frozen=True)
class Straggler:
    """Send every update some rounds late, made for a model that the others have left behind; until then, nothing.

    Args:
        delay: rounds attacked between training and sending.
    """

    delay: int = 3
    about: ClassVar[About] = About(
        title="Straggler",
        paper="Xie et al., Asynchronous Federated Optimization",
        year=2019,
        sees="its own updates",
    )

    def __post_init__(self) -> None:
        whole(1, delay=self.delay)

    def __call__(self, reply: Reply, rng: np.random.Generator) -> SentReply:
        """The update of ``delay`` rounds before, or none in the first ``delay`` rounds."""
        waiting = [*reply.memory.get("waiting", []), reply.update]
        due = waiting.pop(0) if len(waiting) > self.delay else None
        reply.memory["waiting"] = waiting
        return SentReply(due, reply.count)
