"""A design that is tried: its runs are made in a folder, and its criteria are judged by them."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim import evidence, files
from sim.config.words import FOLDERS, Validation, key_of
from sim.errors import InputError, number
from sim.evidence import Chain, RunRecord
from sim.study import compare, designs, results, search
from sim.study.designs import Asked
from sim.study.experiment import Experiment
from sim.study.tried import Tried, assessed
from sim.types import Node
from threats import catalog, claims, exports, stored, verdict
from threats.assessment import Assessment
from threats.search import Search

MOST_MINUTES: Final = 100_000

# counts up to a number of runs, one with each call
Counted = Callable[[int], AbstractContextManager[Callable[[], None]]]


@dataclass(frozen=True)
class Pages:
    """The two writers of a design's pages; each returns the path of its page.

    ``runs``: from the records of a command and those of the folder. ``verdict``: from the files of
    the folder and the chain of its evidence.
    """

    runs: Callable[[Path, Sequence[RunRecord], Sequence[RunRecord]], Path]
    verdict: Callable[[Path, Chain], Path]


@dataclass(frozen=True)
class Validated:
    """A design that was tried: its assessment, and the runs that this stands on.

    ``missing``: runs for which its minutes did not last.
    """

    assessment: Assessment
    search: Search | None
    missing: int
    page: Path
    records: Sequence[RunRecord]


def command_of(given: Validation) -> str:
    """The command that repeats the results."""
    words = [word for word in given.words if key_of(word) != FOLDERS[0]]
    return shlex.join(["wardround", "validate", f"consortium={given.design}", *words])


def of_hydra(asked: Asked, words: Sequence[str]) -> Iterator[str]:
    """The words of the command as Hydra takes them: the design's in place of its file."""
    yield from asked.words
    heads = (*designs.NOT_COMPOSED, FOLDERS[0].partition(".")[0])
    yield from (word for word in words if word.startswith("-"))
    rest = [word for word in words if not word.startswith("-")]
    for word in rest:
        if key_of(word).partition(".")[0] in heads or word in ("job", "hydra", "all"):
            yield word


def validated(
    tried: Tried,
    folder: Path,
    values: Node,
    command: str,
    start: float,
    minutes: float,
    pages: Pages,
    counted: Counted,
) -> Validated:
    """Run what the folder does not hold yet, judge it, and write all of it into the folder.

    ``check_folder`` has to have taken the folder.
    ``minutes``: how long to search where a criterion is not met.
    """
    design = tried.asked.design
    known = catalog.load()
    experiments = tried.experiments()
    with compare.entered(folder, experiments) as held:
        results.write_config(folder, {key: values[key] for key in values if key != "search"})
        stored.write_design(folder, design)
        drop = tried.one_seed[0].settings.report.material_drop
        claims.state(folder, design, claims.texts(design, known, tried.runs.claimed(), drop))
        with counted(len(experiments)) as step:
            records = run_all(tried, experiments, folder, held, step)
        chain = evidence.chain(folder)
        assessment = assessed(design, tried.runs, chain, claims.stated(folder))
        exports.write(folder, design, assessment, known, chain)
        verdict.write(folder, assessment, known)
        everything = results.write_tables(command, folder, records, held, start)
        pages.runs(folder, records, everything)
        page = pages.verdict(folder, chain)
        found = None
        if assessment.outcome != "met" and minutes > 0:
            found = search.searched(tried, folder, values, chain, minutes)
            page = pages.verdict(folder, chain)
    missing = len(experiments) - len(records)
    return Validated(assessment, found, missing, page, chain.records)


def search_minutes(values: Node) -> float:
    """The minutes that a search may take.

    Raises ``InputError`` for what is no number of minutes.
    """
    stated = values["search"]
    if not isinstance(stated, Mapping):
        raise InputError("search", stated, "expected search.minutes=NUMBER")
    minutes = stated["minutes"]
    number(0, MOST_MINUTES, minutes=minutes)
    return float(minutes)


def run_all(
    tried: Tried,
    experiments: Sequence[Experiment],
    folder: Path,
    held: dict[str, RunRecord],
    step: Callable[[], None],
) -> list[RunRecord]:
    """The records of all runs; once the design's minutes are used up, of those that were run.

    Seeds come one after another, so that fewer of them are whole.
    """
    minutes = tried.asked.design.trial.budget_minutes
    start = time.monotonic()
    records = list[RunRecord]()
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
        digest = files.parsed(files.content(path))["digest"]
    except (OSError, ValueError, KeyError):
        digest = "unreadable"
    if digest != asked.design.digest:
        other = f"{str(digest)[:12]}, now {asked.design.digest[:12]}"
        raise InputError(
            FOLDERS[0], folder, f"holds runs of another design ({other}); expected a new folder"
        )
