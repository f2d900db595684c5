"""``wardround audit``: canaries in a hospital, and the epsilon that they show beside its claim.

The exit code is a gate for pipelines: 0 if the claim is not refuted, 1 if it is, 2 for wrong input.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from omegaconf import DictConfig
from rich.table import Table

from sim.cli import tasks
from sim.cli.progress import progress
from sim.cli.screen import Screen, plain_table
from sim.config.hydra_errors import one_line
from sim.config.words import AUDIT, flags, for_hydra
from sim.errors import InputError
from sim.evidence import audits
from sim.evidence.audits import Audit
from sim.evidence.manifest import manifest
from sim.study import audit, compose, jobs, repeat, results
from sim.study.plans import overrides

REFUTED: Final = 1  # exit code


@dataclass
class _Job:
    """One command: whether it prints JSON alone, and the exit code that it ends with."""

    json: bool
    start: float
    code: int = field(default=0)

    def run(self, config: DictConfig) -> None:
        """The task of the command, for its composed configuration."""
        values = compose.resolved(config)
        tasks.search_for_cycles()
        wanted = audit.planned(values, overrides())
        folder = results.results_folder()
        tasks.show_own(wanted[0].experiment)
        with audit.entered(folder, wanted) as held:
            results.write_config(folder, values)
            with progress("Auditing", len(wanted), "audits") as step:
                found = audit.complete(wanted, folder, held, lambda _: step())
            facts = manifest(repeat.of_job(AUDIT, overrides()), time.perf_counter() - self.start)
            results.write_manifest(folder, {**facts, "audits": audits.head(folder)})
            page = tasks.page_of_audits(folder)
        self.code = REFUTED if audits.is_refuted(found) else 0
        if self.json:
            from reports.text import audits as words

            print(json.dumps(words.as_json(found), indent=2))
        else:
            show_table(found)
            tasks.print_place(page)


def main(words: Sequence[str]) -> int:
    """Run the command with these words; returns the exit code. Raises ``InputError``."""
    given = for_hydra(AUDIT, words)
    asked = flags(given)
    with one_line():
        if asked.multirun:
            raise InputError("flags", "-m", "expected none here; seeds=N makes several audits")
        return _run(asked, is_json=len(given) < len(words))


def _run(asked: Namespace, *, is_json: bool) -> int:
    job = _Job(is_json, time.perf_counter())
    jobs.main(AUDIT, asked, jobs.Command(job.run, job.run, jobs.BASIC))
    return job.code


def show_table(found: Sequence[Audit]) -> None:
    """Print what audits found, and what they can find."""
    from reports.text import audits as words

    console = Screen()
    console.print(_table(found))
    for text in words.sentences(found):
        console.print(text)


def _table(found: Sequence[Audit]) -> Table:
    from reports.text import audits as words

    columns = ["seed", "right guesses", "epsilon at least, one-run", "f-DP form", "claim", ""]
    table = plain_table(words.title(found[0]), columns)
    for one in found:
        table.add_row(str(one.seed), *words.cells(one))
    return table
