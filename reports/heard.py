"""Whom the rules that select or weigh hospitals listened to: records of runs -> frames and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from reports import tables, words
from sim.evidence import RunRecord, Selection
from sim.evidence.intervals import SCORE

SELECTED = {
    "attack": pl.String, "defense": pl.String, "seed": pl.Int64, "heard": pl.Float64,
    "recall": pl.Float64, "precision": pl.Float64, "wrongly_left_out": pl.Float64,
}  # fmt: skip
SHARE = {
    "defense": pl.String, "seed": pl.Int64, "hospital": pl.String, "n_train": pl.Int64, "share": pl.Float64,
    "left_out": pl.Float64,
}  # fmt: skip
ALONE = 1.05  # hospitals heard in a mean round, up to which a rule is said to take one


def selections(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row an attack that sends and a defense: means over seeds of what ``Selection`` counts, in the order of the records.

    ``heard``: hospitals not left out in a mean round; ``recall``, ``precision`` and ``wrongly_left_out`` with ``_n``, ``_low``
    and ``_high``, null where nothing was counted and, for recall and precision, where nobody attacks.
    """
    table = pl.DataFrame(list(_selected(records)), schema=SELECTED, orient="row")
    about = table.group_by(tables.CELL, maintain_order=True).agg(heard=pl.col("heard").mean())
    for name in ("recall", "precision", "wrongly_left_out"):
        part = tables.over_seeds(table, tables.CELL, name, name, SCORE)
        about = about.join(part, on=tables.CELL, how="left", maintain_order="left")
    return about


def least_heard(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a defense: the hospital with the smallest mean share when nobody attacks.

    ``share`` is of the aggregate in units of an equal share (1 is an equal say); ``left_out``: share of rounds; both over seeds.
    """
    table = pl.DataFrame(list(_shares(records)), schema=SHARE, orient="row")
    by = ("defense", "hospital")
    means = tables.over_seeds(table, by, "share", "share", (0, math.inf))
    more = table.group_by(by, maintain_order=True).agg(left_out=pl.col("left_out").mean(), n_train=pl.col("n_train").max())
    ordered = means.join(more, on=by, maintain_order="left").sort("share", maintain_order=True)
    first = ordered.unique("defense", keep="first", maintain_order=True)
    return first.join(table.select("defense").unique(maintain_order=True), on="defense", how="right", maintain_order="right")


def single(selected: pl.DataFrame, n_hospitals: int, n_hostile: int) -> list[str]:
    """What it means that a rule takes the update of one hospital, for the defenses that do."""
    rows = selected.group_by("defense", maintain_order=True).agg(pl.col("heard").max()).filter(pl.col("heard") <= ALONE)
    if rows.is_empty() or n_hospitals == 1:
        return []
    precision = words.share(n_hostile / (n_hospitals - 1))
    return [
        f"{words.listed(rows['defense'])}: the update of one hospital is the whole step of a round. The other {n_hospitals - 1} "
        "are left out, honest ones too, and with them what their patients would have taught the model in that round. Recall is "
        f"high then whatever the rule knows, and precision cannot exceed {precision} ({n_hostile} of {n_hospitals - 1})."
    ]


def _selected(records: Sequence[RunRecord]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record.selection is None or tables.reads_only(record):
            continue
        found, attacked = record.selection, record.attack != "none"
        yield {
            "attack": record.attack, "defense": record.defense, "seed": record.seed, "heard": _heard(found),
            "recall": found.recall if attacked else None, "precision": found.precision if attacked else None,
            "wrongly_left_out": found.wrongly_left_out if attacked else _left_out(found),
        }  # fmt: skip


def _shares(records: Sequence[RunRecord]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record.selection is None or record.attack != "none":
            continue
        sizes: Mapping[str, int] = {one.hospital: one.n_train for one in record.hospitals}
        for one in record.selection.hospitals:
            yield {
                "defense": record.defense, "seed": record.seed, "hospital": one.hospital, "n_train": sizes.get(one.hospital),
                "share": one.share * record.n_hospitals, "left_out": one.left_out,
            }  # fmt: skip


def _heard(found: Selection) -> float:
    return sum(1 - one.left_out for one in found.hospitals)


def _left_out(found: Selection) -> float | None:
    """Share left out of all hospitals, for runs in which all of them are honest."""
    return sum(one.left_out for one in found.hospitals) / len(found.hospitals) if found.hospitals else None
