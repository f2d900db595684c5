"""``wardround validate``: the runs that a design needs, and its criteria judged by them.

The exit code is a gate for pipelines: 0 if every criterion is met, 1 if one is not met or not
decided, 2 for wrong input.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from omegaconf import DictConfig

from sim import evidence, files
from sim.cli import designs, jobs, search, tasks, verdicts
from sim.cli.designs import Asked
from sim.cli.progress import progress
from sim.cli.screen import Screen
from sim.cli.tried import Tried, assessed, needed_by
from sim.config import words as given
from sim.config.hydra_errors import one_line
from sim.config.words import FOLDERS, Validation, flags, key_of
from sim.errors import InputError, number
from sim.evidence import RunRecord
from sim.study import compare, compose, processes
from sim.study.experiment import Experiment
from sim.types import Node
from threats import catalog, claims, exports, stored, verdict

MOST_MINUTES: Final = 100_000


@dataclass
class _Job:
    """One command: what it was asked for, and the exit code that it ends with."""

    asked: Asked
    given: Validation
    start: float
    code: int = field(default=0)

    @property
    def command(self) -> str:
        """The command that repeats the results."""
        words = [word for word in self.given.words if key_of(word) != FOLDERS[0]]
        design = f"consortium={self.given.design}"
        return shlex.join(["wardround", "validate", design, *words])

    def run(self, config: DictConfig) -> None:
        """The task of the command, for its composed configuration."""
        values = compose.resolved(config)
        minutes = _minutes(values)
        tasks.search_for_cycles()
        tried = needed_by(self.asked, values)
        if self.given.plan:
            show_plan(tried)
            return
        folder = tasks.results_folder()
        self.code = validate(tried, folder, values, minutes, self)


def main(words: Sequence[str]) -> int:
    """Run the command with these words; returns the exit code. Raises ``InputError``."""
    start = time.perf_counter()
    asked = given.validation(words)
    with one_line():
        if asked.design is None:
            raise InputError("consortium", "nothing", "expected consortium=DESIGN")
        job = _Job(designs.read(asked.design, flags(asked.words).overrides), asked, start)
        hydra = flags(list(_of_hydra(job.asked, asked.words)))
        if hydra.cfg:
            jobs.show("validate", hydra)
        else:
            jobs.main("validate", hydra, jobs.Command(job.run, job.run, jobs.BASIC))
    return job.code


def _of_hydra(asked: Asked, words: Sequence[str]) -> Iterator[str]:
    """The words of the command as Hydra takes them: the design's in place of its file."""
    yield from asked.words
    heads = (*designs.NOT_COMPOSED, FOLDERS[0].partition(".")[0])
    yield from (word for word in words if word.startswith("-"))
    rest = [word for word in words if not word.startswith("-")]
    for word in rest:
        if key_of(word).partition(".")[0] in heads or word in ("job", "hydra", "all"):
            yield word


def validate(tried: Tried, folder: Path, values: Node, minutes: float, job: _Job) -> int:
    """Run what the folder does not hold yet, judge it, and print the verdict; the exit code."""
    if tried.workers > 1:
        processes.warm_up()
    design = tried.asked.design
    known = catalog.load()
    check_folder(folder, tried.asked)
    experiments = tried.experiments()
    tasks.show_own(experiments[0])
    with compare.entered(folder, experiments) as held:
        tasks.write_config(folder, {key: values[key] for key in values if key != "search"})
        stored.write_design(folder, design)
        drop = tried.one_seed[0].settings.report.material_drop
        claims.state(folder, design, claims.texts(design, known, tried.runs.claimed(), drop))
        records = run_all(tried, experiments, folder, held)
        chain = evidence.chain(folder)
        assessment = assessed(design, tried.runs, chain, claims.stated(folder))
        exports.write(folder, design, assessment, known, chain)
        verdict.write(folder, assessment, known)
        page = tasks.finish(job.command, folder, records, held, job.start, judged=chain)
        found = None
        if assessment.outcome != "met" and minutes > 0:
            found = search.searched(tried, folder, values, chain, minutes)
            page = tasks.page_of_verdict(folder, chain)
    if job.given.json:
        print(json.dumps(verdict.verdict_json(assessment, known), indent=2))
    else:
        missing = len(experiments) - len(records)
        Screen().print(verdicts.closing(assessment, design, missing, job.command))
        if found is not None:
            Screen().print(verdicts.searched(found))
        tasks.print_place(page)
    return 0 if assessment.outcome == "met" else 1


def _minutes(values: Node) -> float:
    """How long to search. Raises ``InputError`` for what is no number of minutes."""
    minutes = values["search"]["minutes"]
    number(0, MOST_MINUTES, minutes=minutes)
    return float(minutes)


def run_all(
    tried: Tried,
    experiments: Sequence[Experiment],
    folder: Path,
    held: dict[str, RunRecord],
) -> list[RunRecord]:
    """The records of all runs; once the design's minutes are used up, of those that were run.

    Seeds come one after another, so that fewer of them are whole.
    """
    minutes = tried.asked.design.trial.budget_minutes
    start = time.monotonic()
    records = list[RunRecord]()
    with progress("Validating", len(experiments), "runs") as step:
        for portion in _portions(experiments):
            made = compare.finish(portion, folder, tried.workers, lambda _: step(), held)
            records += made
            is_new = any(record.run not in held for record in made)
            if is_new and time.monotonic() - start > 60 * minutes:
                break
    return records


def _portions(experiments: Sequence[Experiment]) -> Iterator[list[Experiment]]:
    """The runs in at most five portions of whole seeds."""
    seeds = sorted({experiment.settings.seed for experiment in experiments})
    size = -(-len(seeds) // 5)
    for at in range(0, len(seeds), size):
        some = seeds[at : at + size]
        yield [one for one in experiments if one.settings.seed in some]


def check_folder(folder: Path, asked: Asked) -> None:
    """Refuse a folder that holds runs of another design, before anything is run or written."""
    path = folder / stored.DESIGN
    if not os.path.lexists(path):
        if os.path.lexists(folder / evidence.EVIDENCE):
            raise InputError(FOLDERS[0], folder, "holds runs of no design; expected a new folder")
        return
    try:
        with os.fdopen(files.opened(path), "rb") as file:
            digest = json.loads(file.read())["digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        digest = "unreadable"
    if digest != asked.design.digest:
        other = f"{str(digest)[:12]}, now {asked.design.digest[:12]}"
        raise InputError(
            FOLDERS[0], folder, f"holds runs of another design ({other}); expected a new folder"
        )


def show_plan(tried: Tried) -> None:
    """Print what a design would run."""
    Screen().print(verdicts.plan(tried.asked.design, tried.runs, tried.seconds))
