"""What backdoors did: records of runs -> a frame and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from reports import tables, words
from sim.evidence import Planted, RunRecord

PLANTED = {
    "attack": pl.String, "defense": pl.String, "seed": pl.Int64, "target": pl.Int64, "n_marked": pl.Int64,
    "success": pl.Float64, "false_trigger": pl.Float64, "gain": pl.Float64,
}  # fmt: skip


def backdoors(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a run's attacks and defense with a backdoor; shares over seeds with ``_low``, ``_high`` and ``_n``.

    ``success`` and ``false_trigger`` are those of ``Planted``, ``gain`` their difference, paired by run; ``n_marked``: test
    records that were marked, over all seeds; ``harm`` with its interval: change of AUROC on unmarked records.
    """
    table = pl.DataFrame(list(_planted(records)), schema=PLANTED, orient="row")
    about = table.group_by(tables.CELL, maintain_order=True).agg(
        target=pl.col("target").first(), n_marked=pl.col("n_marked").sum()
    )
    for name in ("success", "false_trigger", "gain"):
        part = tables.over_seeds(table, tables.CELL, name, name)
        about = about.join(part, on=tables.CELL, how="left", maintain_order="left")
    harm = tables.cells(records).select(*tables.CELL, "harm", "harm_low", "harm_high")
    return about.join(harm, on=tables.CELL, how="left", maintain_order="left")


def found(planted: pl.DataFrame) -> list[str]:
    """The strongest backdoor without a defense, and under one."""
    texts = []
    for bare in (True, False):
        side = planted.filter((pl.col("defense") == "none") == bare).drop_nulls("gain")
        side = side.sort("gain", descending=True, maintain_order=True)
        texts += [_strongest(row) for row in side.head(1).rows(named=True)]
    return texts


def _strongest(row: dict[str, Any]) -> str:
    quiet = "" if row["harm"] is None else f"; on unmarked patients AUROC changes by {words.change(row['harm'])}"
    return (
        f"{row['attack']} {words.under(row['defense'])}: {words.share(row['success'])} of marked patients are put into the "
        f"attacker's class, {words.share(row['false_trigger'])} in the same run without the attack{quiet}."
    )


def _planted(records: Sequence[RunRecord]) -> Iterator[dict[str, Any]]:
    for record in records:
        one = record.backdoor
        if one is not None:
            yield {
                "attack": record.attack, "defense": record.defense, "seed": record.seed, "target": one.target, "n_marked": one.n,
                "success": one.success, "false_trigger": one.false_trigger, "gain": _gain(one),
            }  # fmt: skip


def _gain(one: Planted) -> float | None:
    """Success beyond false triggers; None where one of them is not defined."""
    return None if one.success is None or one.false_trigger is None else one.success - one.false_trigger
