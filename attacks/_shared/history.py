"""The move of the common model between two rounds, as any hospital can tell."""

from dataclasses import dataclass

import numpy as np

from sim.types import Knowledge, Vector


@dataclass(frozen=True)
class Received:
    """The model (n_params,) that was received last."""

    model: Vector


def last_move(known: Knowledge, state: Received | None) -> tuple[Vector, Received]:
    """The move of the common model since the attack's last round, (n_params,), and the next state.

    The move is zero in the first round attacked.
    """
    now = np.zeros(known.own.shape[1]) if known.model is None else known.model.copy()
    before = now if state is None else state.model
    return np.asarray(now - before), Received(now)
