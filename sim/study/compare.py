"""Many runs over several processes: each runs once, and is stored as soon as it is finished.

The next call makes up for the rest.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from threading import Thread
from typing import NamedTuple, TypeAlias, cast

from sim import evidence, files
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord, study
from sim.evidence.manifest import code_version
from sim.interrupts import finishing
from sim.names import ACCOUNTS, named
from sim.study import checkpoints
from sim.study.experiment import Experiment, address, from_text
from sim.study.processes import PROCESSES, warm_up
from sim.study.sharing import grouped

Finished = Callable[[RunRecord], None]
Round = Callable[[int], None]  # called with the number of each finished round
Meanwhile = Callable[[], None]  # called once, while other processes run


def complete(
    experiments: Sequence[Experiment], folder: Path, workers: int, finished: Finished
) -> list[RunRecord]:
    """Run what ``folder`` does not hold yet; returns the records of all ``experiments``, in order.

    ``finished`` is called with each record, old ones first. Raises ``InputError`` if the folder
    holds runs of something else, or if another command is at work in it.
    """
    with entered(folder, experiments) as held:
        return finish(experiments, folder, workers, finished, held)


@contextmanager
def entered(folder: Path, experiments: Sequence[Experiment]) -> Iterator[dict[str, RunRecord]]:
    """The records that a folder holds, by address; nobody else enters it while this block runs.

    Raises ``InputError``, with nothing changed in the folder, if it holds runs of another study
    than ``experiments``, or if another command is at work in it.
    """
    with files.alone(folder):
        found = {record.run: record for record in held(folder, experiments)}
        files.leftovers(folder)
        evidence.mend(folder)
        try:
            yield found
        finally:
            files.leftovers(folder / checkpoints.FOLDER)  # of workers that were ended


def finish(
    experiments: Sequence[Experiment],
    folder: Path,
    workers: int,
    finished: Finished,
    held: dict[str, RunRecord],
    progress: Round | None = None,
    meanwhile: Meanwhile | None = None,
) -> list[RunRecord]:
    """Do as ``complete`` in a folder that was entered.

    ``progress`` is called with each round if there is one worker, ``meanwhile`` if there are more.
    """
    wanted = {address(experiment, code_version()): experiment for experiment in experiments}
    done = dict(held)
    for identity in wanted.keys() & done.keys():
        finished(done[identity])
    todo = [experiment for identity, experiment in wanted.items() if identity not in done]
    for record in run_all(todo, workers, folder, progress, meanwhile):
        if record.run not in wanted:
            changed = "the project's files changed while the comparison ran"
            raise RefusedError(f"{changed}; start it again in a new folder")
        evidence.append(folder, record)
        done[record.run] = record
        finished(record)
    checkpoints.clear(folder, done)
    return [done[identity] for identity in wanted]


def held(folder: Path, wanted: Sequence[Experiment]) -> list[RunRecord]:
    """The records that a folder holds; none where there is no such folder.

    Raises ``InputError`` if they are of another study than ``wanted``.
    """
    if not os.path.lexists(folder / evidence.EVIDENCE):
        return []
    records = evidence.read(folder)
    other = next((record.code for record in records if record.code != code_version()), None)
    if other is not None:
        _refuse(folder, f"of other code ({other}, now {code_version()})")
    stored = [record.config for record in records]
    found = study.difference(stored, [experiment.config for experiment in wanted])
    if found is not None:
        key, was, now = found
        _refuse(folder, f"with another {key} ({study.shown(was)}, now {study.shown(now)})")
    hashes = {record.seed: record.data_hash for record in records}
    for experiment in wanted:
        data = hashes.get(experiment.settings.seed)
        if data is not None and data != experiment.consortium.data_hash:
            now = experiment.consortium.data_hash[:12]
            _refuse(folder, f"of other data ({data[:12]}, now {now})")
    return records


def _refuse(folder: Path, what: str) -> None:
    raise InputError("hydra.run.dir", folder, f"holds runs {what}; expected a new folder")


def run_all(
    todo: Sequence[Experiment],
    workers: int,
    folder: Path | None = None,
    progress: Round | None = None,
    meanwhile: Meanwhile | None = None,
) -> Iterator[RunRecord]:
    """The records of all runs, each as soon as it is there.

    Runs on Ray come first and one by one, because each uses all cores. With a ``folder``, what runs
    on this machine's own engine have reached is stored there as they go.
    """
    for experiment in todo:
        if experiment.settings.engine.name == "ray":
            from sim.study.run import run  # here and below: loads what trains, which others may do

            yield run(experiment)
    local = [experiment for experiment in todo if experiment.settings.engine.name == "local"]
    groups = grouped(local, workers)
    if workers > 1 and len(groups) > 1:
        yield from _shared_out(groups, min(workers, len(groups)), folder, meanwhile)
        return
    from sim.study.run import advance

    for group in groups:
        yield from advance(group, progress, folder)
        _stored(group, folder)


def _stored(group: Sequence[Experiment], folder: Path | None) -> None:
    """All records of the group are evidence now."""
    if folder is not None:
        checkpoints.Progress(folder, group).done()


class _Raised(NamedTuple):
    """An exception of a worker process that can be sent, and the lines in which it was raised."""

    error: Exception
    lines: str


Accounts: TypeAlias = dict[object, float]  # what accountants have answered so far, by question


@dataclass
class _Worker:
    process: ForkServerProcess
    pipe: Connection
    group: Sequence[Experiment] = ()

    @classmethod
    def start(cls) -> _Worker:
        ours, theirs = PROCESSES.Pipe()
        given = (theirs, dict(_accounts()), dict(os.environ))
        process = PROCESSES.Process(target=work, args=given, daemon=True)
        with finishing():  # so that an interrupt finds it among the processes to end
            process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, group: Sequence[Experiment], folder: Path | None) -> None:
        self.group = group
        self.pipe.send(([experiment.text for experiment in group], folder))

    def answers(self) -> Iterator[str | None]:
        """The answers that have arrived so far.

        Raises ``RefusedError`` if the process is gone, and any exception that was raised in it.
        """
        try:
            while self.pipe.poll():
                answer = self.pipe.recv()
                if isinstance(answer, _Raised):
                    raise answer.error from RuntimeError(answer.lines)
                yield answer
        except (EOFError, ConnectionError):
            raise RefusedError(
                "a worker process was ended from outside, perhaps for lack of memory; finished runs"
                " are stored, and the same command with the same hydra.run.dir completes the rest"
            ) from None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _shared_out(
    groups: Sequence[Sequence[Experiment]],
    n_workers: int,
    folder: Path | None,
    meanwhile: Meanwhile | None = None,
) -> Iterator[RunRecord]:
    """The records of all groups, from processes of which each takes one group after another."""
    warm_up()
    waiting = list(reversed(groups))
    workers = list[_Worker]()
    try:
        for _ in range(n_workers):
            workers.append(_Worker.start())
            workers[-1].give(waiting.pop(), folder)
        if meanwhile is not None:
            meanwhile()
        busy = {worker.pipe: worker for worker in workers}
        while busy:
            ready = connection.wait(list(busy))
            for pipe in [one for one in busy if one in ready]:
                yield from _taken(busy, pipe, waiting, folder)
    finally:
        for worker in workers:
            worker.end()


def _taken(
    busy: dict[Connection, _Worker],
    pipe: Connection,
    waiting: list[Sequence[Experiment]],
    folder: Path | None,
) -> Iterator[RunRecord]:
    """The records that one worker has sent; it gets its next group before they are dealt with."""
    worker = busy[pipe]
    group = worker.group
    answers = list(worker.answers())
    ended = answers[-1:] == [None]
    if ended and waiting:
        worker.give(waiting.pop(), folder)
    elif ended:
        del busy[pipe]
    for answer in answers:
        if answer is not None:
            yield RunRecord.model_validate_json(answer)
    if ended:
        _stored(group, folder)


def work(pipe: Connection, accounts: Accounts, environment: dict[str, str]) -> None:
    """Run, in a worker process, each group that comes, and send its records, then None.

    An exception is sent in place of the rest of a group.
    """
    from sim.study.run import advance

    enter_worker(accounts, environment)
    while True:
        try:
            texts, folder = pipe.recv()
        except EOFError:
            return
        try:
            for record in advance([from_text(text) for text in texts], folder=folder):
                pipe.send(record.model_dump_json())
            pipe.send(None)
        except Exception as error:
            pipe.send(_raised(error))


def _raised(error: Exception) -> _Raised:
    lines = "".join(traceback.format_exception(error))
    try:
        ForkingPickler.dumps(error)
    except Exception:
        return _Raised(RuntimeError(lines), lines)
    return _Raised(error, lines)


def enter_worker(accounts: Accounts, environment: dict[str, str]) -> None:
    """Take over the accountants' answers so far.

    ``environment``: of the parent, which may have changed since the fork server was started. The
    process ends when its parent does, however that ended.
    """
    os.environ.update(environment)
    _accounts().update(accounts)
    if (parent := multiprocessing.parent_process()) is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _accounts() -> Accounts:
    return cast(Accounts, named(ACCOUNTS))


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
