"""``wardround run -m hydra/launcher=lockstep``: the runs of a sweep advance together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from sim import files
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.evidence.manifest import code_version
from sim.study import checkpoints, compare, sharing
from sim.study.experiment import Experiment, address

# records of runs that advanced together, by address, until their job takes them
READY: dict[str, RunRecord] = {}


@dataclass(frozen=True)
class Job:
    """One job of a sweep of runs. ``is_done``: its folder holds the run's record already."""

    experiment: Experiment
    is_done: bool


def ready(experiment: Experiment) -> RunRecord | None:
    """The record of this run, if it has advanced together with others in this process."""
    return READY.get(address(experiment, code_version()))


def lockstep(jobs: Sequence[Job], config: DictConfig) -> Iterator[int]:
    """Run the jobs that are not done yet in lockstep; give each job's number when it is done.

    They share ``hydra.launcher.workers`` processes. What the runs have reached is stored every few
    seconds in the sweep's folder, and a repeated sweep goes on from there.
    """
    yield from (number for number, job in enumerate(jobs) if job.is_done)
    numbers = defaultdict[str, list[int]](list)
    plan = dict[str, Experiment]()
    for number, job in enumerate(jobs):
        if not job.is_done:
            identity = address(job.experiment, code_version())
            plan[identity] = job.experiment
            numbers[identity].append(number)
    if not plan:
        return
    folder = Path(config.hydra.sweep.dir)
    stored = folder / checkpoints.FOLDER
    try:
        stored.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        expected = f"expected a folder that can be written ({error.strerror})"
        raise InputError("hydra.sweep.dir", folder, expected) from error
    with files.alone(stored):
        files.leftovers(stored)
        workers = sharing.n_workers(config.hydra.launcher.workers, len(plan))
        for record in compare.run_all(list(plan.values()), workers, folder):
            READY[record.run] = record
            yield from numbers[record.run]
            del READY[record.run]
        checkpoints.clear(folder, plan)
