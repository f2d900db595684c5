"""The number of processes that share the runs of a command, and the runs that advance together."""

from __future__ import annotations

from collections.abc import Sequence

from sim import limits
from sim.errors import InputError
from sim.study.experiment import Experiment
from sim.study.processes import n_cores

LARGEST_GROUP = 24  # runs in lockstep; more fill no batch better, and finish later
GROUP_BYTES = 256_000_000


def n_workers(value: object, n_runs: int) -> int:
    """The number of processes for ``n_runs`` runs: a number, or ``auto`` for one a core."""
    if value == "auto":
        return max(1, min(n_cores(), n_runs))
    if type(value) is not int or value < 1:
        raise InputError("workers", value, "expected auto or a whole number of at least 1")
    if value > limits.WORKERS:
        raise InputError("workers", value, f"expected at most {limits.WORKERS} processes")
    return max(1, min(value, n_runs))


def grouped(todo: Sequence[Experiment], workers: int) -> list[list[Experiment]]:
    """The groups of runs that advance together, several for each worker.

    A group has as many runs as fill the batches and fit ``GROUP_BYTES``. Runs of one seed come
    together, because they share data and batches.
    """
    by_seed = sorted(todo, key=lambda experiment: experiment.settings.seed)
    most = min((max(1, GROUP_BYTES // run_bytes(experiment)) for experiment in todo), default=1)
    size = max(1, min(most, LARGEST_GROUP, -(-len(todo) // (2 * workers))))
    turns = max(1, -(-len(todo) // (size * workers)))  # groups for each worker, as even as they get
    size = max(1, -(-len(todo) // (turns * workers)))
    return [by_seed[at : at + size] for at in range(0, len(by_seed), size)]


def run_bytes(experiment: Experiment) -> int:
    """The memory that one run holds of a round, in bytes, about: copies of every update."""
    return limits.COPIES * len(experiment.consortium) * experiment.plan.network.n_params
