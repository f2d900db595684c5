"""The records that a hospital trains on, batch by batch, drawn with the hospital's own key.

No other party holds the key. A batch is the numbers of its records; empty is possible under Poisson
sampling. The simulator's observers use the same functions to know the truth behind an update.
"""

from __future__ import annotations

import numpy as np

from sim.seeds import Key
from sim.training import Training
from sim.types import Batch


def shuffled(key: Key, round_: int, n_train: int, training: Training) -> list[Batch]:
    """Batches of one round of plain training: passes over shuffled records.

    The last batch of a pass may be smaller.
    """
    rng = key.stream("batches", round_)
    steps = training.steps(n_train)
    batches = list[Batch]()
    while len(batches) < steps:
        order = rng.permutation(n_train)
        size = training.batch_size
        batches += [order[at : at + size] for at in range(0, n_train, size)]
    return batches[:steps]


def poisson(key: Key, round_: int, n_train: int, training: Training, counted: int) -> list[Batch]:
    """Batches of one round of private training: each record joins each with ``sample_rate``.

    Steps and rate are those of ``counted`` records, which may be another number than there are.
    """
    rng = key.stream("poisson", round_)
    chosen = rng.random((training.steps(counted), n_train)) < sample_rate(counted, training)
    return [np.flatnonzero(row) for row in chosen]


def sample_rate(n_train: int, training: Training) -> float:
    """The probability that a record joins a Poisson batch: one over the batches of a pass.

    So a pass takes each record once, on average.
    """
    return 1 / -(-n_train // training.batch_size)


def drawn(
    key: Key, round_: int, n_train: int, training: Training, counted: int | None = None
) -> Batch:
    """Row numbers of all records that a hospital used in one round, sorted, each once.

    ``counted``: of private training, see ``poisson``; None for plain training.
    """
    if counted is None:
        batches = shuffled(key, round_, n_train, training)
    else:
        batches = poisson(key, round_, n_train, training, counted)
    return np.unique(np.concatenate(batches))
