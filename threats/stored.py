"""A design's assessment as the files of its folder have it, held against the evidence there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim import files
from sim.errors import InputError
from sim.evidence import EVIDENCE, Chain
from sim.evidence.columns import Column
from sim.types import Node
from threats import problems, verdict
from threats.assessment import Assessment
from threats.catalog import Fact
from threats.criteria import Outcome
from threats.search import State
from threats.statements import Source
from threats.system import Design

DESIGN: Final = "design.json"
SEARCH: Final = "search.json"
DESIGN_TABLE: Final[Mapping[str, Column]] = {
    "digest": Column("text", "The hash of the design's content."),
    "design": Column("Design", "The design, as its file states it, with every default."),
}
SEARCH_TABLE: Final[Mapping[str, Column]] = {
    "schema": Column("text", "The version of this form."),
    "design.name": Column("text", "The name of the design."),
    "design.sha256": Column("text", "The hash of its content."),
    "complete": Column("true or false", "Whether all was tried that had to be in the time."),
    "summary": Column("list of texts", "The search in sentences."),
    "smallest": Column("list of texts", "The smallest changes that meet all criteria."),
    "in_the_way": Column("list of texts", "The ids of the criteria that no change met."),
    "changes": Column("list of Step", "Every change."),
}


class Reached(Fact):
    """A criterion of a change: what the attack that decides it showed."""

    id: str
    """The criterion's id."""
    outcome: Outcome
    """Whether it is met."""
    under: str | None
    """The attack that decides; None without one."""
    beyond: float | None
    """By how much the worst figure, be it of another attack, misses the bound; None without a
    figure.
    """
    figure: float | None
    """The figure of the attack that decides; None without one."""
    lower: float | None
    """Its one-sided lower bound; None without one."""
    upper: float | None
    """Its one-sided upper bound; None without one."""


class Step(Fact):
    """A change that was looked at, what it costs, and what became of it."""

    change: str
    """The change in words."""
    cost: str
    """What it costs."""
    state: State
    """What became of it."""
    seeds: int
    """The seeds that it was judged with."""
    reason: str
    """Why its design is not defined; empty if it is."""
    criteria: tuple[Reached, ...]
    """Its criteria; empty where it was not judged."""
    folder: str
    """The folder of its runs, in that of the design's."""

    @property
    def beyond(self) -> float | None:
        """The shortfall of the worst figures from all criteria's bounds; None without a figure."""
        missed = [one.beyond for one in self.criteria if one.beyond is not None]
        return sum(missed) if missed and len(missed) == len(self.criteria) else None


class Searched(Fact):
    """A search for the smallest change, as its file has it."""

    complete: bool
    """Whether all was tried that had to be before the time was over."""
    summary: tuple[str, ...]
    """The search in sentences."""
    smallest: tuple[str, ...]
    """The smallest changes that meet all criteria; empty where none does."""
    in_the_way: tuple[str, ...]
    """The ids of the criteria that no change met."""
    changes: tuple[Step, ...]
    """Every change."""


@dataclass(frozen=True)
class Stored:
    """A design, its assessment, and the evidence that every row of the assessment leads to.

    ``searched``: the search for the smallest change, where there was one.
    """

    design: Design
    assessment: Assessment
    chain: Chain
    searched: Searched | None


def write_design(folder: Path, design: Design) -> None:
    """Write the design into the folder of its runs."""
    values = {"digest": design.digest, "design": design.model_dump(mode="json", by_alias=True)}
    files.replace(folder / DESIGN, (json.dumps(values, indent=2) + "\n").encode())


def held(folder: Path) -> bool:
    """Whether a folder has a verdict."""
    return os.path.lexists(folder / verdict.VERDICT)


def read(folder: Path, chain: Chain) -> Stored:
    """The contents of a folder's files, with the ``chain`` of its evidence.

    Raises ``InputError`` for files that do not belong together, and for a line of evidence that is
    not there any more.
    """
    verdict.check(folder, chain)
    stated = _parsed(folder, DESIGN)
    judged = _parsed(folder, verdict.VERDICT)
    register = _parsed(folder, verdict.REGISTER)
    try:
        design = problems.design(stated["design"])
        assessment = Assessment.model_validate(_assessment(judged, register))
        same = judged["design"] == register["design"] and judged["evidence"] == register["evidence"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _wrong(folder, "files as wardround validate writes them") from None
    if not same or assessment.digest != design.digest or design.digest != stated.get("digest"):
        raise _wrong(folder, f"{DESIGN}, {verdict.VERDICT} and {verdict.REGISTER} of one design")
    for source in _sources(assessment):
        line = chain.lines.get(source.run)
        if line is None or line.hash != source.line:
            raise _wrong(folder, f"{EVIDENCE} with the line of the run {source.run}")
    return Stored(design, assessment, chain, _searched(folder, design))


def _searched(folder: Path, design: Design) -> Searched | None:
    if not os.path.lexists(folder / SEARCH):
        return None
    stated = _parsed(folder, SEARCH)
    try:
        same = stated["design"]["sha256"] == design.digest
        found = Searched.model_validate({key: stated[key] for key in Searched.model_fields})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _wrong(folder, f"{SEARCH} as wardround validate writes it") from None
    if not same:
        raise _wrong(folder, f"{SEARCH} of the design in {DESIGN}")
    return found


def _parsed(folder: Path, name: str) -> Node:
    try:
        return files.parsed(files.content(folder / name))
    except OSError as error:
        raise _wrong(folder, f"{name} to be a file ({error.strerror})") from None
    except ValueError as error:
        raise _wrong(folder, f"{name} as wardround validate writes it ({error})") from None


def _assessment(judged: Node, register: Node) -> Node:
    """The values of an assessment; see ``verdict.verdict_json`` and ``verdict.register_json``."""
    design = judged["design"]
    evidence = judged["evidence"]
    return {
        "design": design["name"],
        "version": design["version"],
        "digest": design["sha256"],
        "stack": design["stack"],
        "on": judged["on"],
        "outcome": judged["outcome"],
        "decision": judged["decision"],
        "criteria": judged["criteria"],
        "rows": register["rows"],
        "statements": [
            {key: value for key, value in one.items() if key != "claim_id"}
            for one in register["statements"]
        ],
        "excluded": register["excluded"],
        "questions": judged["questions"],
        "worksheets": judged["breach_worksheet"],
        "answers": [(one["id"], one["by"]) for one in judged["ai_rmf"]],
        "n_runs": evidence["runs"],
        "bytes": evidence["bytes"],
        "head": evidence["hash"],
    }


def _sources(assessment: Assessment) -> Iterator[Source]:
    for row in assessment.rows:
        yield from row.sources
    for made in assessment.statements:
        yield from made.runs
        yield from made.controls
    for one in assessment.criteria:
        for tried in one.tried:
            yield from tried.runs


def _wrong(folder: Path, expected: str) -> InputError:
    return InputError("folder", folder, f"expected {expected}")
