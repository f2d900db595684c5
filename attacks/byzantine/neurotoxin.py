"""Neurotoxin (Zhang et al., 2022, arXiv:2206.10341)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.history import Received, last_move
from sim.errors import InputError
from sim.types import About, Knowledge, Stateful, Updates


@dataclass(frozen=True)
class Neurotoxin(Stateful[Knowledge, Updates, Received]):
    """An update without the parameters that honest hospitals move most and would soon move back.

    Those parameters follow from how the common model moved in the round before; the first round
    attacked is left as it is. Joined with a poison. The paper projects every step of training, this
    attack the update that results.

    Args:
        share: part of the parameters that is left out (0.1 in the paper).
    """

    share: float = 0.1
    state: ClassVar[type] = Received
    about: ClassVar[About] = About(
        title="Neurotoxin",
        paper="Zhang et al., Neurotoxin: Durable Backdoors in Federated Learning",
        year=2022,
        sees="its own update, and the common model of each round",
    )

    def __post_init__(self) -> None:
        if not (isinstance(self.share, (int, float)) and 0 < self.share < 1):
            raise InputError("share", self.share, "expected a number above 0 and below 1")

    def advance(
        self, known: Knowledge, state: Received | None, rng: np.random.Generator
    ) -> tuple[Updates, Received]:
        """The rows that the hostile hospitals send, (len(known.own), n_params), and the model."""
        moved, after = last_move(known, state)
        move = np.abs(moved)
        sent = known.own.astype(np.float64)
        n_left_out = round(self.share * move.size)
        if move.any() and n_left_out:
            sent[:, np.argpartition(move, -n_left_out)[-n_left_out:]] = 0
        return sent, after
