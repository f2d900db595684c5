"""``wardround run -m hydra/launcher=lockstep``: the runs of a sweep advance together, as those of ``compare`` do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from sim import compare
from sim.evidence import RunRecord
from sim.experiment import Experiment, address
from sim.manifest import code_version

READY: dict[str, RunRecord] = {}  # records of runs that advanced together, by address, until their job takes them


def ready(experiment: Experiment) -> RunRecord | None:
    """The record of this run, if it has advanced together with others in this process."""
    return READY.get(address(experiment, code_version()))


def lockstep(experiments: Sequence[Experiment], config: DictConfig) -> Iterator[int]:
    """Run all experiments in lockstep over ``hydra.launcher.workers`` processes; give each one's number when it is done."""
    jobs, plan = defaultdict[str, list[int]](list), dict[str, Experiment]()
    for number, experiment in enumerate(experiments):
        identity = address(experiment, code_version())
        plan[identity] = experiment
        jobs[identity].append(number)
    for record in compare.run_all(list(plan.values()), compare.n_workers(config.hydra.launcher.workers, len(plan))):
        READY[record.run] = record
        yield from jobs[record.run]
        del READY[record.run]
