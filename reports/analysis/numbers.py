"""A table of what each number of hostile hospitals costs each defense, under its worst attack.

``python -m reports.analysis.numbers DIR`` prints the table of a folder's evidence as Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from reports.analysis import breakdown, tables
from reports.text import words
from sim import evidence
from sim.evidence import RunRecord
from sim.evidence.controls import Controls

HEAD = (
    *("defense", "hostile", "attack", "change of AUROC"),
    *("worst seed", "seeds that lost {drop:g}", "decided"),
)


def lines(records: Sequence[RunRecord]) -> Iterator[Sequence[str]]:
    """The head, then a line a defense and number: the attack with the lowest mean change.

    ``decided`` is empty where the interval holds 0 and where it holds a loss of
    ``report.material_drop``: neither that loss nor that there is none can be concluded from these
    seeds.
    """
    drop = tables.material_drop(records)
    yield tuple(column.format(drop=drop) for column in HEAD)
    measured = pl.col("harm").is_not_null()
    found = breakdown.by_number(records).filter(pl.col("attack") != "none", measured)
    order = found.sort("harm", maintain_order=True)
    lowest = order.unique(["defense", "n_hostile"], keep="first", maintain_order=True)
    for row in lowest.sort("defense", "n_hostile", maintain_order=True).iter_rows(named=True):
        changes = _changes(records, row["attack"], row["defense"], row["n_hostile"])
        low = row["harm_low"]
        high = row["harm_high"]
        interval = f"{words.change(row['harm'])} ({words.span(low, high, signed=True)})"
        lost = f"{sum(change <= -drop for change in changes)} of {len(changes)}"
        names = [f"`{row['defense']}`", str(row["n_hostile"]), f"`{row['attack']}`"]
        yield *names, interval, words.change(min(changes)), lost, _decided(low, high, drop)


def _changes(
    records: Sequence[RunRecord], attack: str, defense: str, n_hostile: int
) -> list[float]:
    """Change of AUROC by the attack in each seed in which both runs have one."""
    controls = Controls(records)
    changes = []
    for run in records:
        if (run.attack, run.defense, run.n_hostile) != (attack, defense, n_hostile):
            continue
        control = controls.attack_free(run)
        attacked = run.value("auroc")
        alone = None if control is None else control.value("auroc")
        if attacked is not None and alone is not None:
            changes.append(attacked - alone)
    return changes


def _decided(low: float | None, high: float | None, drop: float) -> str:
    if low is None or high is None:
        return ""
    return "a loss" if high < 0 else f"less than {drop:g}" if low > -drop else ""


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        head, *rest = lines(tables.one_study(evidence.read(Path(folder))))
        print("\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest)))
