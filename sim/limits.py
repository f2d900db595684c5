"""How large a run may be: what is larger is refused before anything of that size is made.

The limits on memory are those of this machine; the others stand far above every use and far below what would never end.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from sim.errors import InputError

if TYPE_CHECKING:
    from sim.experiment import Experiment

EPOCHS = 100_000  # training.local_epochs
STEPS = 1_000_000  # training.local_steps
BATCH = 1_000_000  # training.batch_size
HOSPITALS = 10_000
LAYERS = 50
CELLS = 100_000_000  # records times features of a data set that is drawn
STEPS_OF_RUN = 1_000_000_000  # of all hospitals in all rounds
RUNS = 100_000  # of one comparison
WORKERS = 512  # processes
TEXT = 1_000_000  # characters of a configuration as one text
PLAN = 20_000_000  # characters of a plan in a file: some two hundred a field

COPIES = 6 * 4  # bytes of a parameter for each hospital in a round: the update, packed, trained, unpacked, sent, sorted
INDEX = 8  # bytes of the number of a record in a batch


def check(experiment: Experiment) -> None:
    """Raise ``InputError`` for a run of more hospitals, training steps or memory than the limits allow."""
    n_hospitals = len(experiment.consortium)
    if n_hospitals > HOSPITALS:
        raise InputError("consortium", f"{n_hospitals:,} hospitals", f"expected at most {HOSPITALS:,}")
    n_arrays = len(experiment.network.layout)
    if n_arrays > 2 * LAYERS:
        raise InputError("model", f"{n_arrays:,} weights and biases", f"expected at most {2 * LAYERS}")
    training = experiment.settings.training
    steps = [training.steps(len(hospital.train)) for hospital in experiment.consortium.hospitals]
    total = training.rounds * sum(steps)
    if total > STEPS_OF_RUN:
        expected = f"expected at most {STEPS_OF_RUN:,} (rounds x hospitals x batches)"
        raise InputError("training", f"{total:,} training steps in a run", expected)
    rows = max(len(hospital.train) for hospital in experiment.consortium.hospitals)
    batches = INDEX * n_hospitals * max(steps) * (rows if experiment.dp is not None else min(rows, training.batch_size))
    _check_bytes("training", batches, "for the batches of a round")
    updates = COPIES * n_hospitals * experiment.network.n_params
    _check_bytes("model", updates, f"for the updates of {n_hospitals:,} hospitals")


def check_runs(n_cells: int, n_seeds: int) -> None:
    """Raise ``InputError`` for a comparison of more runs than ``RUNS``."""
    if n_cells * n_seeds > RUNS:
        raise InputError("seeds", n_seeds, f"expected at most {RUNS:,} runs, and {n_cells:,} cells make {n_cells * n_seeds:,}")


@cache
def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _check_bytes(key: str, needed: int, what: str) -> None:
    if needed > memory():
        have = f"expected at most the {memory() / 1e9:.0f} GB of this machine"
        raise InputError(key, f"{needed / 1e9:,.0f} GB {what}", have)
