"""The largest sizes of a run: anything larger is refused before it is made.

The limits on memory are those of this machine; the others stand far above every use and far below
runs that would never end.
"""

from __future__ import annotations

import os
from functools import cache

from sim.errors import InputError

LARGEST_FLOAT = 1e37  # float32 holds ten times that, as far as Adam's first step scales a rate
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
REPEATS = 1_000  # iterations of a rule or looks of a search, which a plug-in makes in a round
MOST_STEPS = 100_000  # of a rule that ends by itself
PLAN = 20_000_000  # characters of a plan in a file: some two hundred a field

COPIES = 6 * 4  # bytes of one parameter of an update: packed, trained, unpacked, sent, row, sorted
VALUE = 2 * 4  # bytes of what a neuron makes of a record, and of its gradient
INDEX = 8  # bytes of the number of a record in a batch


def check_runs(n_cells: int, n_seeds: int) -> None:
    """Raise ``InputError`` for a comparison of more runs than ``RUNS``."""
    if n_cells * n_seeds > RUNS:
        made = f"{n_cells:,} cells make {n_cells * n_seeds:,}"
        raise InputError("seeds", n_seeds, f"expected at most {RUNS:,} runs, and {made}")


@cache
def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_bytes(key: str, needed: int, what: str) -> None:
    """Raise ``InputError`` for more bytes than this machine has."""
    if needed > memory():
        have = f"expected at most the {memory() / 1e9:.0f} GB of this machine"
        raise InputError(key, f"{needed / 1e9:,.0f} GB {what}", have)
