"""Unusable replies, as production systems screen them (Bonawitz et al., 2019, arXiv:1902.01046)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import one_of
from sim.types import About, Reply, SentReply

GIANT = 100_000_000  # parameters of a payload that no model here has


@dataclass(frozen=True)
class Malformed:
    """A reply that must not enter the model and must not end the run.

    Args:
        kind: ``not_a_number`` or ``infinity`` in the update; ``shape``, ``key`` or ``dtype`` other
            than agreed; ``giant``: 1e8 parameters; ``count``: a record count that is none.
    """

    kind: str = "not_a_number"
    about: ClassVar[About] = About(
        title="Malformed",
        paper="Bonawitz et al., Towards Federated Learning at Scale: System Design",
        year=2019,
        sees="its own reply",
        variants=tuple(
            f"kind={kind}"
            for kind in ("not_a_number", "infinity", "shape", "key", "dtype", "giant", "count")
        ),
    )

    def __post_init__(self) -> None:
        one_of(tuple(KINDS), kind=self.kind)

    def __call__(self, reply: Reply, rng: np.random.Generator) -> SentReply:
        """The reply with one thing wrong."""
        return KINDS[self.kind](reply)


def _first(reply: Reply, value: float) -> SentReply:
    update = reply.update.copy()
    update[0] = value
    return SentReply(update, reply.count)


KINDS: dict[str, Callable[[Reply], SentReply]] = {
    "not_a_number": lambda reply: _first(reply, np.nan),
    "infinity": lambda reply: _first(reply, np.inf),
    "shape": lambda reply: SentReply(reply.update[:-1], reply.count),
    "key": lambda reply: SentReply(reply.update, reply.count, array="weights"),
    "dtype": lambda reply: SentReply(reply.update.astype(np.float64), reply.count),
    "giant": lambda reply: SentReply(np.broadcast_to(np.float32(1), GIANT), reply.count),
    "count": lambda reply: SentReply(reply.update, -1.5),
}
