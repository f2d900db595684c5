"""What a hospital can tell from the models it has received."""

from dataclasses import dataclass

import numpy as np

from sim.types import Knowledge, Vector


@dataclass(frozen=True)
class Received:
    """The model (n_params,) that was received last."""

    model: Vector


def last_move(known: Knowledge, state: Received | None) -> tuple[Vector, Received]:
    """How the common model moved since the attack last looked, (n_params,), zero at its first look;
    and the next state.
    """
    now = np.zeros(known.own.shape[1]) if known.model is None else known.model.copy()
    before = now if state is None else state.model
    return np.asarray(now - before), Received(now)
