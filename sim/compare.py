"""Many runs: each once, over several processes, every finished one kept at once, the rest made up for by the next call."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from hydra.utils import get_object

from sim import evidence, limits
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord
from sim.experiment import Experiment, address, from_text
from sim.manifest import code_version
from sim.models import n_params
from sim.processes import PROCESSES, hear_interrupts, n_cores, warm_up
from sim.run import run, run_together

SAME = ("consortium", "model", "training", "adversary", "server", "metrics")  # what the runs of one comparison share
VARIED = ("n_hostile",)  # but for these values of theirs

ACCOUNTS = "clients.private.SPENT"
LARGEST_GROUP = 24  # runs in lockstep; more fill no batch better, and finish later
GROUP_BYTES = 256_000_000

Finished = Callable[[RunRecord], None]


def complete(experiments: Sequence[Experiment], folder: Path, workers: int, finished: Finished) -> list[RunRecord]:
    """Run what ``folder`` does not hold yet and return the records of all ``experiments``, in their order.

    ``finished`` is called with each record, old ones first. Raises ``InputError`` if the folder holds runs of something else.
    """
    wanted = {address(experiment, code_version()): experiment for experiment in experiments}
    evidence.mend(folder)
    done = {record.run: record for record in _held(folder, experiments[0])}
    for identity in wanted.keys() & done.keys():
        finished(done[identity])
    todo = [experiment for identity, experiment in wanted.items() if identity not in done]
    for record in run_all(todo, workers):
        if record.run not in wanted:
            raise RefusedError("the project's files changed while the comparison ran; start it again in a new folder")
        evidence.append(folder, record)
        done[record.run] = record
        finished(record)
    return [done[identity] for identity in wanted]


def n_workers(value: Any, n_runs: int) -> int:
    """Processes for ``n_runs`` runs: a number, or ``auto`` for one a core."""
    if value != "auto" and (type(value) is not int or value < 1):
        raise InputError("workers", value, "expected auto or a whole number of at least 1")
    if value != "auto" and value > limits.WORKERS:
        raise InputError("workers", value, f"expected at most {limits.WORKERS} processes")
    return max(1, min(n_cores() if value == "auto" else value, n_runs))


def _held(folder: Path, like: Experiment) -> list[RunRecord]:
    if not (folder / evidence.EVIDENCE).exists():
        return []
    records = evidence.read(folder)
    for record in records:
        if record.code != code_version():
            raise InputError(
                "hydra.run.dir", folder, f"holds runs of other code ({record.code}, now {code_version()}); expected a new folder"
            )
        different = [key for key in SAME if _shared(record.config[key]) != _shared(like.config[key])]
        if different:
            raise InputError("hydra.run.dir", folder, f"holds runs with another {different[0]}; expected a new folder")
    return records


def _shared(group: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in group.items() if key not in VARIED}, sort_keys=True)


def run_all(todo: Sequence[Experiment], workers: int) -> Iterator[RunRecord]:
    """Records of all runs, each as soon as it is there; those on Ray first and one by one, because each uses all cores."""
    yield from (run(experiment) for experiment in todo if experiment.settings.engine.name == "ray")
    groups = grouped([experiment for experiment in todo if experiment.settings.engine.name == "local"], workers)
    if workers == 1 or len(groups) < 2:
        for group in groups:
            yield from run_together(group)
        return
    warm_up()
    pool = ProcessPoolExecutor(
        workers, PROCESSES, initializer=enter_worker, initargs=(dict(get_object(ACCOUNTS)), dict(os.environ))
    )
    try:
        for future in as_completed([pool.submit(_run_texts, [experiment.text for experiment in group]) for group in groups]):
            yield from (RunRecord.model_validate_json(line) for line in future.result())
    except BrokenProcessPool:
        raise RefusedError(
            "a worker process was ended from outside, perhaps for lack of memory; finished runs are kept, "
            "and the same command with the same hydra.run.dir completes the rest"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def grouped(todo: Sequence[Experiment], workers: int) -> list[list[Experiment]]:
    """Runs that advance together: as many as fill the batches and fit ``GROUP_BYTES``, but several groups for each worker.

    Runs of one seed come together, because they share data and batches.
    """
    by_seed = sorted(todo, key=lambda experiment: experiment.settings.seed)
    most = min((max(1, GROUP_BYTES // run_bytes(experiment)) for experiment in todo), default=1)
    size = max(1, min(most, LARGEST_GROUP, -(-len(todo) // (2 * workers))))
    turns = max(1, -(-len(todo) // (size * workers)))  # groups for each worker, as even as they get
    size = max(1, -(-len(todo) // (turns * workers)))
    return [by_seed[at : at + size] for at in range(0, len(by_seed), size)]


def run_bytes(experiment: Experiment) -> int:
    """About what one run holds of a round: every hospital's update, packed, trained, unpacked, sent, as rows, and sorted."""
    return 6 * 4 * len(experiment.consortium) * n_params(experiment.widths)


def enter_worker(accounts: dict[Any, float], environment: dict[str, str]) -> None:
    """One torch thread a process, because the other cores have runs of their own; and the accountants' answers so far.

    ``environment``: of the parent, as Hydra's ``hydra.job.env_set`` may have changed it since the fork server was started.
    The process ends when its parent does, however that ended.
    """
    os.environ.update(environment)
    hear_interrupts()
    torch.set_num_threads(1)
    get_object(ACCOUNTS).update(accounts)
    if (parent := multiprocessing.parent_process()) is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _run_texts(texts: Sequence[str]) -> list[str]:
    return [record.model_dump_json() for record in run_together([from_text(text) for text in texts])]
