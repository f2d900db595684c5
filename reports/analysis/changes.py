"""The changes that a search for the smallest one looked at: what each costs and what it reaches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from reports.text import words
from sim.types import TableRow
from threats.assessment import Assessment
from threats.changes import COSTS
from threats.criteria import Judged, Tried
from threats.stored import Reached, Searched, Step

DESIGN: Final = "the design as it is"
UNJUDGED: Final = ("undefined", "untried")  # states of changes without a figure
MOST_CRITERIA: Final = 4  # that a figure has room for
MOST_CHANGES: Final = 26
SCHEMA: Final = {
    "change": pl.String,
    "cost": pl.String,
    "state": pl.String,
    "seeds": pl.Int64,
    "criterion": pl.String,
    "bound": pl.String,
    "limit": pl.Float64,
    "figure": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "beyond": pl.Float64,
}


@dataclass(frozen=True)
class Chosen:
    """The criteria and changes that a figure has room for, and in words what it leaves out."""

    criteria: Sequence[str]
    changes: Sequence[str]
    left_out: Sequence[str]


def candidates(assessment: Assessment, searched: Searched) -> pl.DataFrame:
    """One row a change and criterion, in the order of ``ordered``; first the design as it is.

    ``cost``: in words, empty for the design. ``state``: what became of the change, as in
    ``threats.search``; ``design`` for the design. ``seeds``: with how many it was judged.
    ``limit``: of the criterion, on the side of ``bound``. ``figure`` with its one-sided bounds
    ``lower`` and ``upper`` is that of the attack that decides, ``beyond`` by how much it misses the
    limit. These four are null where there is none.
    """
    rows = list(_of_design(assessment))
    for step in ordered(searched.changes):
        reached = {one.id: one for one in step.criteria}
        head = {"change": step.change, "cost": step.cost, "state": step.state, "seeds": step.seeds}
        rows += [_row(head, one, reached.get(one.id)) for one in assessment.criteria]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def ordered(changes: Sequence[Step]) -> list[Step]:
    """Changes by cost; of one cost those that meet all criteria first, then the nearest."""
    order = list(COSTS.values())
    return sorted(changes, key=lambda step: (order.index(step.cost), *nearness(step)))


def nearness(step: Step) -> tuple[bool, bool, float]:
    """A key that puts what meets all criteria first, then the nearest, what is not judged last."""
    missed = math.inf if step.beyond is None else step.beyond
    return step.state != "met", not step.criteria, missed


def chosen(found: pl.DataFrame) -> Chosen:
    """The candidates for which a figure has room.

    Criteria that the design does not meet come first; of the changes the nearest have a place.
    """
    missed = pl.col("beyond").fill_null(math.inf)
    design = found.filter(state="design")
    criteria = design.sort(missed == 0, maintain_order=True)["criterion"].to_list()
    judged = found.filter(~pl.col("state").is_in(["design", *UNJUDGED]))
    distances = judged.group_by("change", maintain_order=True).agg(
        met=pl.col("state").first() == "met", missed=missed.sum()
    )
    order = distances.sort(~pl.col("met"), "missed", maintain_order=True)["change"].to_list()
    left_out = [
        words.count(n, *names)
        for n, names in (
            (len(order) - MOST_CHANGES, ("change further away", "changes further away")),
            (len(criteria) - MOST_CRITERIA, ("criterion", "criteria")),
        )
        if n > 0
    ]
    return Chosen(criteria[:MOST_CRITERIA], order[:MOST_CHANGES], left_out)


def _of_design(assessment: Assessment) -> Iterator[TableRow]:
    for one in assessment.criteria:
        seeds = max((len(tried.seeds) for tried in one.tried), default=0)
        head = {"change": DESIGN, "cost": "", "state": "design", "seeds": seeds}
        yield _row(head, one, one.shown)


def _row(head: TableRow, judged: Judged, found: Reached | Tried | None) -> TableRow:
    asked = {"criterion": judged.id, "bound": judged.bound, "limit": judged.limit}
    if found is None or found.figure is None:
        return head | asked
    sign = -1 if judged.bound == "at_least" else 1
    figures = {"figure": found.figure, "lower": found.lower, "upper": found.upper}
    return head | asked | figures | {"beyond": max(0.0, sign * (found.figure - judged.limit))}
