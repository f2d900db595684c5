"""``wardround validate``: the runs that a design needs, and its criteria judged by them.

The exit code is a gate for pipelines: 0 if every criterion is met, 1 if one is not met or not
decided, 2 for wrong input.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from sim.cli import tasks, verdicts
from sim.cli.progress import progress
from sim.cli.screen import Screen
from sim.config import words as given
from sim.config.hydra_errors import one_line
from sim.config.words import Validation, flags
from sim.errors import InputError
from sim.study import compose, designs, jobs, processes, results
from sim.study.designs import Asked
from sim.study.tried import Tried, needed_by
from sim.study.validate import Pages, check_folder, command_of, of_hydra, search_minutes, validated
from sim.types import Node
from threats import catalog, verdict


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
        return command_of(self.given)

    def main(self, hydra: Namespace) -> None:
        """Compose the configuration and run the task. Raises ``InputError``."""
        try:
            with one_line():
                jobs.main("validate", hydra, jobs.Command(self.run, self.run, jobs.BASIC))
        except InputError as error:
            raise designs.of_design(self.asked, error) from error

    def run(self, config: DictConfig) -> None:
        """The task of the command, for its composed configuration."""
        values = compose.resolved(config)
        minutes = search_minutes(values)
        tasks.search_for_cycles()
        tried = needed_by(self.asked, values)
        if self.given.plan:
            show_plan(tried)
            return
        tried.experiments()  # refused before there is a folder
        folder = results.results_folder()
        self.code = validate(tried, folder, values, minutes, self)


def main(words: Sequence[str]) -> int:
    """Run the command with these words; returns the exit code. Raises ``InputError``."""
    start = time.perf_counter()
    asked = given.validation(words)
    with one_line():
        if asked.design is None:
            raise InputError("consortium", "nothing", "expected consortium=DESIGN")
        job = _Job(designs.read(asked.design, flags(asked.words).overrides), asked, start)
        hydra = flags(list(of_hydra(job.asked, asked.words)))
        if hydra.cfg:
            print(jobs.described("validate", hydra), end="")
        else:
            job.main(hydra)
    return job.code


def validate(tried: Tried, folder: Path, values: Node, minutes: float, job: _Job) -> int:
    """Run what the folder does not hold yet, judge it, and print the verdict; the exit code."""
    if tried.workers > 1:
        processes.warm_up()

    def counted(n_runs: int) -> AbstractContextManager[Callable[[], None]]:
        return progress("Validating", n_runs, "runs")

    check_folder(folder, tried.asked)
    tasks.show_own(tried.one_seed[0])
    pages = Pages(partial(tasks.page, of_design=True), tasks.page_of_verdict)
    found = validated(tried, folder, values, job.command, job.start, minutes, pages, counted)
    assessment = found.assessment
    if job.given.json:
        print(json.dumps(verdict.verdict_json(assessment, catalog.load()), indent=2))
    else:
        design = tried.asked.design
        tasks.print_answer(design, assessment, found.records)
        Screen().print(verdicts.judged(assessment, design))
        if found.search is not None:
            Screen().print(verdicts.searched(found.search))
        Screen().print(verdicts.next_steps(assessment, design, found.missing, job.command))
        tasks.print_place(found.page)
    return 0 if assessment.outcome == "met" else 1


def show_plan(tried: Tried) -> None:
    """Print what a design would run."""
    Screen().print(verdicts.plan(tried.asked.design, tried.runs, tried.seconds))
