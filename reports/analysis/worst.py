"""The attack that costs each defense most sensitivity, and how many attacks cost something.

``python -m reports.analysis.worst DIR`` prints the table of a folder's evidence as Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from reports.analysis import breakdown, tables
from reports.text import words
from sim import evidence
from sim.evidence import RunRecord
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

SENSITIVITY = "sensitivity_at_90_specificity"


def worst(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a defense: the sending attack with the lowest mean change of ``SENSITIVITY``, and of
    several the one that costs most AUROC.

    ``utility``: mean AUROC with nobody attacking; ``auroc`` and ``sensitivity`` with ``_low`` and
    ``_high``: the changes by that attack, paired by seed, ``verdict`` on its AUROC, and ``n_lost``
    of ``n``, the seeds that lost ``report.material_drop``; ``n_attacks``; ``n_fewer``: attacks
    whose interval of ``sensitivity`` lies below 0; ``n_large``: attacks that harm AUROC, and
    ``n_open``: attacks of which that is not decided; ``single``: the lowest change of AUROC in a
    single run.
    """
    found = _changes(records, "auroc", "auroc")
    cells = tables.cells(records)
    alone = cells.filter(attack="none")
    verdicts = cells.select(*tables.CELL, "verdict", "n_lost", n=pl.col("harm_n"))
    for part in (_changes(records, SENSITIVITY, "sensitivity"), verdicts):
        found = found.join(part, on=tables.CELL, maintain_order="left")
    counts = found.group_by("defense").agg(
        n_attacks=pl.len(),
        n_fewer=(pl.col("sensitivity_high") < 0).sum(),
        n_large=(pl.col("verdict") == HARMED).sum(),
        n_open=(pl.col("verdict") == UNDECIDED).sum(),
    )
    costs = pl.col("sensitivity", "auroc").round(9)  # equal means may differ in their last digit
    order = found.sort(costs, maintain_order=True)
    lowest = order.unique("defense", keep="first", maintain_order=True)
    rows = alone.select("defense", utility="mean")
    for part in (lowest, counts, _single(records)):
        rows = rows.join(part, on="defense", maintain_order="left")
    return rows


def markdown(found: pl.DataFrame, drop: float) -> str:
    """The rows of ``worst`` as a table. ``drop``: the loss that is material.

    Changes whose interval does not hold 0 are bold; one that is not bold is not thereby shown to be
    none, which is why the seeds that lost ``drop`` stand beside it, and the attacks of which harm
    is not decided.
    """
    lost = f"seeds that lost {drop:g}"
    head = (
        *("defense", "AUROC, no attack", "attack", "AUROC", lost, "sensitivity"),
        *("fewer found", f"{drop:g} lost", "not decided", "AUROC, one run"),
    )
    lines = [head, ["---"] * len(head), *(_cells(row) for row in found.iter_rows(named=True))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _changes(records: Sequence[RunRecord], metric: str, name: str) -> pl.DataFrame:
    acting = tables.cells(records, metric).filter(~pl.col("reads_only"), pl.col("attack") != "none")
    harm = {name: "harm", f"{name}_low": "harm_low", f"{name}_high": "harm_high"}
    return acting.select(*tables.CELL, **harm).drop_nulls(name)


def _single(records: Sequence[RunRecord]) -> pl.DataFrame:
    table = tables.runs(records).filter(~pl.col("reads_only"))
    changes = tables.against(table, "attack_free", "auroc")
    return changes.group_by("defense").agg(single=pl.col("auroc").min())


def _cells(row: TableRow) -> list[str]:
    names = [f"`{row['defense']}`", words.score(row["utility"]), f"`{row['attack']}`"]
    lost = f"{row['n_lost']} of {row['n']}"
    changes = [_change(row, "auroc"), lost, _change(row, "sensitivity")]
    counts = [str(row[name]) for name in ("n_fewer", "n_large", "n_open")]
    return [*names, *changes, *counts, words.change(row["single"])]


def _change(row: TableRow, name: str) -> str:
    low = row[f"{name}_low"]
    high = row[f"{name}_high"]
    text = f"{words.change(row[name])} ({words.span(low, high, signed=True)})"
    return f"**{text}**" if high is not None and (high < 0 or low > 0) else text


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        records = breakdown.in_focus(tables.one_study(evidence.read(Path(folder))))
        print(markdown(worst(records), tables.material_drop(records)))
