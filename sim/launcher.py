"""``wardround run -m hydra/launcher=lockstep``: the runs of a sweep advance together, as those of ``compare`` do."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from sim import compare, compose
from sim.evidence import RunRecord
from sim.experiment import Experiment, address
from sim.manifest import code_version

READY: dict[str, RunRecord] = {}  # records of runs that advanced together, by address, until their job takes them


def ready(experiment: Experiment) -> RunRecord | None:
    """The record of this run, if it has advanced together with others in this process."""
    return READY.get(address(experiment, code_version()))


class LockstepLauncher(Launcher):
    """Runs all jobs of a sweep in lockstep over ``workers`` processes; each job then writes what a single ``run`` writes."""

    __module__ = "hydra_plugins.wardround"  # where Hydra looks for it: see ``register``

    def __init__(self, workers: Any) -> None:
        self.workers = workers

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives every launcher."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; each is written once its run is finished. Raises ``InputError`` before the first if one is wrong."""
        setup_globals()
        jobs, plan = defaultdict[str, list[int]](list), dict[str, Experiment]()
        words_of_hydra = OmegaConf.to_container(self.config.hydra.overrides.hydra)  # not resolved: some hold for one job only
        searched = compose.searched(map(str, words_of_hydra or ()))
        for number, words in enumerate(job_overrides):
            experiment = compose.single([*searched, *words])
            identity = address(experiment, code_version())
            plan[identity] = experiment
            jobs[identity].append(number)
        done = dict[int, JobReturn]()
        for record in compare.run_all(list(plan.values()), compare.n_workers(self.workers, len(plan))):
            READY[record.run] = record
            done.update({number: self._job(job_overrides[number], initial_job_idx + number) for number in jobs[record.run]})
            del READY[record.run]
        return [done[number] for number in sorted(done)]

    def _job(self, words: Sequence[str], number: int) -> JobReturn:
        config = self.context.config_loader.load_sweep_config(self.config, list(words))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return run_job(
            hydra_context=self.context,
            task_function=self.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def register() -> None:
    """Make ``hydra/launcher=lockstep`` known to Hydra, which looks plug-ins up by name below ``hydra_plugins``."""
    known = Plugins.instance()  # imports the package, if some other plug-in has brought it
    package = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    vars(package)["wardround"] = sys.modules[__name__]
    known.register(LockstepLauncher)
