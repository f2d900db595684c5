"""Hospitals that rules which select or weigh them used: frames and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from reports.analysis import tables
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.metrics import POSITIVE, SHARE
from sim.types import TableRow

SELECTED = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    "seed": pl.Int64,
    **dict.fromkeys(("used", "recall", "precision", "wrongly_left_out"), pl.Float64),
}
WEIGHT = {
    **dict.fromkeys(("defense", "hospital"), pl.String),
    **dict.fromkeys(("seed", "n_train"), pl.Int64),
    **dict.fromkeys(("weight", "left_out"), pl.Float64),
}
ALONE = 1.05  # hospitals used in a mean round, up to which a rule counts as taking one


def selections(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row an attack that sends and a defense: means over seeds of whom the rule left out.

    Rows are in the order of the records. ``used``: hospitals not left out in a mean round;
    ``recall``, ``precision`` and ``wrongly_left_out`` with ``_n``, ``_low`` and ``_high``, null
    where nothing was counted and, for recall and precision, where nobody attacks.
    """
    table = pl.DataFrame(list(_selected(records)), schema=SELECTED, orient="row")
    about = table.group_by(tables.CELL, maintain_order=True).agg(used=pl.col("used").mean())
    for name in ("recall", "precision", "wrongly_left_out"):
        part = tables.over_seeds(table, tables.CELL, name, name, SHARE)
        about = about.join(part, on=tables.CELL, how="left", maintain_order="left")
    return about


def leaving_out(selected: pl.DataFrame) -> pl.DataFrame:
    """The attacked rows of ``selections`` of defenses that left a hospital out under an attack."""
    attacked = selected.filter(pl.col("attack") != NONE)
    return attacked.filter(pl.col("precision").is_not_null().any().over("defense"))


def least_weight(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a defense: the hospital with the smallest mean weight when nobody attacks.

    ``weight`` is its share of the aggregate in units of an equal share; ``left_out``: share of
    rounds; both over seeds.
    """
    table = pl.DataFrame(list(_weights(records)), schema=WEIGHT, orient="row")
    by = ("defense", "hospital")
    means = tables.over_seeds(table, by, "weight", "weight", POSITIVE)
    more = table.group_by(by, maintain_order=True).agg(
        left_out=pl.col("left_out").mean(), n_train=pl.col("n_train").max()
    )
    ordered = means.join(more, on=by, maintain_order="left").sort("weight", maintain_order=True)
    first = ordered.unique("defense", keep="first", maintain_order=True)
    defenses = table.select("defense").unique(maintain_order=True)
    return first.join(defenses, on="defense", how="right", maintain_order="right")


def single(selected: pl.DataFrame, n_hospitals: int, n_hostile: int) -> list[str]:
    """A sentence for rules that take the update of one hospital: what that means."""
    most = selected.group_by("defense", maintain_order=True).agg(pl.col("used").max())
    rows = most.filter(pl.col("used") <= ALONE)
    if rows.is_empty() or n_hospitals == 1:
        return []
    precision = words.share(n_hostile / (n_hospitals - 1))
    first, *others = rows["defense"]
    named = words.listed([words.defense_first(first), *map(words.defense, others)])
    return [
        f"{named}: the update of one hospital is the whole step of a round."
        f" The other {n_hospitals - 1} are left out, honest ones too, and with them what their"
        " patients would have taught the model in that round."
        " Recall is high then whatever the rule knows,"
        f" and precision cannot exceed {precision} ({n_hostile} of {n_hospitals - 1})."
    ]


def _selected(records: Sequence[RunRecord]) -> Iterator[TableRow]:
    for record in records:
        if not record.has("hospital_weight") or tables.reads_only(record):
            continue
        attacked = record.attack != NONE
        found = (one.value for one in record.outcomes if one.metric == "left_out")
        left_out = [value for value in found if value is not None]
        yield {
            "attack": record.attack,
            "defense": record.defense,
            "seed": record.seed,
            "used": sum(1 - one for one in left_out),
            "recall": record.value("selection_recall") if attacked else None,
            "precision": record.value("selection_precision") if attacked else None,
            "wrongly_left_out": record.value("honest_left_out") if attacked else _mean(left_out),
        }


def _weights(records: Sequence[RunRecord]) -> Iterator[TableRow]:
    for record in records:
        sizes: Mapping[str, int] = {one.hospital: one.n_train for one in record.hospitals}
        for one in record.outcomes if record.attack == NONE else ():
            if one.metric != "hospital_weight" or one.subject is None or one.value is None:
                continue
            yield {
                "defense": record.defense,
                "seed": record.seed,
                "hospital": one.subject,
                "n_train": sizes.get(one.subject),
                "weight": one.value * record.n_hospitals,
                "left_out": record.value("left_out", one.subject),
            }


def _mean(left_out: Sequence[float]) -> float | None:
    """Share left out of all hospitals, for runs in which all of them are honest."""
    return sum(left_out) / len(left_out) if left_out else None
