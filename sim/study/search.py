"""The search of ``wardround validate``: changes of a design are run and judged, a few at a time."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim import evidence, files
from sim.errors import InputError, RefusedError
from sim.evidence import Chain, RunRecord
from sim.study import compare, designs
from sim.study.designs import Asked
from sim.study.tried import Tried, assessed, needed_by
from sim.types import Node
from threats import runs
from threats.changes import COSTS, Change, changes
from threats.criteria import Judged
from threats.search import Search, Step, search, shortfall, summary
from threats.stored import SEARCH

FOLDER: Final = "search"  # of the changes' runs, in that of the design's
SCHEMA: Final = "wardround.search/1"


@dataclass(frozen=True)
class _Searching:
    """What the judging of every change takes. ``chain``: of the runs of the design itself."""

    tried: Tried
    folder: Path
    values: Node
    chain: Chain
    deadline: float

    def judged(self, change: Change, n_seeds: int) -> Sequence[Judged] | str | None:
        """The criteria of a change, judged with so many seeds; see ``threats.search.Judge``."""
        if time.monotonic() > self.deadline:
            return None
        asked = self.tried.asked.of(change.design)
        seeds = self.tried.runs.seeds[:n_seeds]
        only = runs.of_criteria(self.tried.asked.design, self.tried.runs)
        try:
            made = needed_by(asked, {**self.values, "seeds": list(seeds)}, only)
        except (InputError, RefusedError) as error:
            return error.expected if isinstance(error, InputError) else str(error)
        attacks = [name for name in made.runs.attacks if name in only]
        experiments, _ = designs.experiments(asked, attacks, seeds)
        place = self.folder / FOLDER / slug(change)
        place.mkdir(parents=True, exist_ok=True)
        known = {record.run: record for record in self.chain.records}
        with compare.entered(place, experiments) as held:
            records = compare.finish(
                experiments, place, made.workers, lambda _: None, {**known, **held}
            )
            chain = _joined(self.chain, place, records)
        return assessed(change.design, made.runs, chain, {}).criteria


def _joined(chain: Chain, place: Path, records: Sequence[RunRecord]) -> Chain:
    """The records of a change, some of which are in the evidence of the design itself."""
    lines = dict(chain.lines)
    if (place / evidence.EVIDENCE).exists():
        lines |= evidence.chain(place).lines
    return Chain(tuple(records), lines, chain.bytes, chain.hash)


def slug(change: Change) -> str:
    """The name of a change's folder."""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{change.cost} {change.text}").strip("-")


def searched(tried: Tried, folder: Path, values: Node, chain: Chain, minutes: float) -> Search:
    """The smallest change that meets all criteria, searched so many minutes; written to a file."""
    every = changes(tried.asked.design, tried.control.config)
    start = time.monotonic()
    searching = _Searching(tried, folder, values, chain, start + 60 * minutes)

    def used() -> float:
        return (time.monotonic() - start) / (60 * minutes)

    found = search(every, searching.judged, len(tried.runs.seeds), used)
    text = json.dumps(as_json(found, tried.asked), indent=2, allow_nan=False)
    files.replace(folder / SEARCH, (text + "\n").encode())
    return found


def as_json(found: Search, asked: Asked) -> Node:
    """A search as plain values."""
    return {
        "schema": SCHEMA,
        "design": {"name": asked.design.meta.name, "sha256": asked.design.digest},
        "complete": found.complete,
        "summary": list(summary(found)),
        "smallest": [step.change.text for step in found.smallest],
        "in_the_way": list(found.in_the_way),
        "changes": [_step(step) for step in found.steps],
    }


def _step(step: Step) -> Node:
    return {
        "change": step.change.text,
        "cost": COSTS[step.change.cost],
        "state": step.state,
        "seeds": step.seeds,
        "reason": step.reason,
        "criteria": [_reached(one) for one in step.criteria],
        "folder": f"{FOLDER}/{slug(step.change)}",
    }


def _reached(one: Judged) -> Node:
    """What a change reaches of a criterion, by the attack that decides it."""
    beyond = shortfall(one)
    shown = one.shown
    return {
        "id": one.id,
        "outcome": one.outcome,
        "under": one.decisive,
        "beyond": None if beyond == math.inf else beyond,
        "figure": shown.figure if shown else None,
        "lower": shown.lower if shown else None,
        "upper": shown.upper if shown else None,
    }
