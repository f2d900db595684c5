"""The attack that costs each defense most of the ill found, and how many of all cost something: records -> a frame, a table.

``python -m reports.worst DIR`` prints the table of a folder's evidence as Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reports import breakdown, tables, words
from sim import evidence
from sim.evidence import RunRecord

SENSITIVITY = "sensitivity_at_90_specificity"


def worst(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a defense, of the attacks that send something: the one with the lowest mean change of ``SENSITIVITY``.

    ``utility``: mean AUROC with nobody attacking; ``auroc`` and ``sensitivity`` with ``_low`` and ``_high``: the changes by
    that attack, paired by seed; ``n_attacks``; ``n_fewer``: attacks whose interval of ``sensitivity`` lies below 0;
    ``n_large``: attacks whose interval of ``auroc`` does, and whose mean loss is material (``report.material_drop``);
    ``single``: the lowest change of AUROC in a single run.
    """
    found, calm = _changes(records, "auroc", "auroc"), tables.cells(records).filter(attack="none")
    found = found.join(_changes(records, SENSITIVITY, "sensitivity"), on=tables.CELL, maintain_order="left")
    large = (pl.col("auroc_high") < 0) & (pl.col("auroc") <= -tables.material_drop(records))
    fewer = pl.col("sensitivity_high") < 0
    counts = found.group_by("defense").agg(n_attacks=pl.len(), n_fewer=fewer.sum(), n_large=large.sum())
    lowest = found.sort("sensitivity", maintain_order=True).unique("defense", keep="first", maintain_order=True)
    rows = calm.select("defense", utility="mean").join(lowest, on="defense", maintain_order="left")
    return rows.join(counts, on="defense", maintain_order="left").join(_single(records), on="defense", maintain_order="left")


def markdown(found: pl.DataFrame, drop: float) -> str:
    """The rows of ``worst`` as a table; changes whose interval does not hold 0 are bold. ``drop``: the loss that is material."""
    head = ("defense", "AUROC, no attack", "attack", "AUROC", "sensitivity", "fewer found", f"{drop:g} lost", "AUROC, one run")
    lines = [head, ["---"] * len(head), *(_told(row) for row in found.iter_rows(named=True))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _changes(records: Sequence[RunRecord], metric: str, name: str) -> pl.DataFrame:
    acting = tables.cells(records, metric).filter(~pl.col("reads_only"), pl.col("attack") != "none")
    harm = {name: "harm", f"{name}_low": "harm_low", f"{name}_high": "harm_high"}
    return acting.select(*tables.CELL, **harm).drop_nulls(name)


def _single(records: Sequence[RunRecord]) -> pl.DataFrame:
    table = tables.runs(records).filter(~pl.col("reads_only"))
    calm = table.filter(attack="none").select("defense", "seed", calm="auroc")
    paired = table.filter(pl.col("attack") != "none").join(calm, on=("defense", "seed"))
    return paired.group_by("defense").agg(single=(pl.col("auroc") - pl.col("calm")).min())


def _told(row: dict[str, Any]) -> list[str]:
    changes = [_change(row, name) for name in ("auroc", "sensitivity")]
    names = [f"`{row['defense']}`", words.score(row["utility"]), f"`{row['attack']}`"]
    return [*names, *changes, *(str(row[name]) for name in ("n_fewer", "n_large")), words.change(row["single"])]


def _change(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    text = f"{words.change(row[name])} ({words.span(low, high, signed=True)})"
    return f"**{text}**" if high is not None and (high < 0 or low > 0) else text


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        records = breakdown.in_focus(tables.one_study(evidence.read(Path(folder))))
        print(markdown(worst(records), tables.material_drop(records)))
