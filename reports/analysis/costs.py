"""Costs of each defense for the smallest and the most different hospital when nobody attacks.

``python -m reports.analysis.costs DIR`` prints the table of a folder's evidence as Markdown.
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
from sim.evidence.metrics import METRICS, POSITIVE
from sim.types import TableRow

HOSPITAL = {
    **tables.PAIRED,
    **dict.fromkeys(("defense", "hospital"), pl.String),
    **dict.fromkeys(("seed", "n_train"), pl.Int64),
    **dict.fromkeys(("influence", "distance", "auroc", "brier"), pl.Float64),
}
SCORES = ("auroc", "brier")  # of a hospital's own test patients
BY = ("defense", "hospital")
SHOWN = 0.005  # shares that differ by less are shown alike
SMALLEST = "smallest"
MOST_DIFFERENT = "most different"
HEAD = (
    *("defense", "hospital", "training records", "influence"),
    *("measure", "without", "with", "change"),
)


def costs(records: Sequence[RunRecord], effects: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row a defense and hospital, from runs without attack.

    It is empty unless some were measured without a defense too. ``influence``: the part of a small
    change of its update that reaches the aggregate, 1 for an equal share. ``auroc`` and ``brier``:
    the change against no defense, paired by seed, with ``_without`` and ``_with`` it over the same
    seeds. The other columns are those of ``tables.hospital_effects``, and intervals. ``role``:
    ``SMALLEST``, ``MOST_DIFFERENT``, both or empty, the same for all defenses: the fewest training
    records, and the update furthest from the mean of the others' without a defense. ``effects``:
    the frame of ``tables.hospital_effects`` of these runs, where it is there already.
    """
    table = pl.DataFrame(list(_rows(records)), schema=HOSPITAL, orient="row")
    control = table.filter(defense="none")
    found = tables.hospital_effects(records) if effects is None else effects
    if control["distance"].drop_nulls().is_empty():
        found = found.clear()
    without = {f"{metric}_without": metric for metric in SCORES}
    paired = tables.beside(table, "undefended", without, on=("hospital",))
    influence = tables.over_seeds(table, BY, "influence", "influence", POSITIVE)
    for part in (influence, *(_sides(paired, metric) for metric in SCORES)):
        found = found.join(part, on=BY, how="left", maintain_order="left")
    return found.with_columns(role=_role(control))


def of_interest(found: pl.DataFrame) -> list[TableRow]:
    """The rows of ``costs`` with a role, in order of the defenses, the smallest hospital first.

    Each has the ``metric`` to state: AUROC where every seed has one, else Brier score.
    """
    names = found["defense"].unique(maintain_order=True)
    place = pl.col("defense").replace_strict({name: i for i, name in enumerate(names)})
    chosen = found.filter(pl.col("role") != "")
    rows = chosen.sort(place, pl.col("role") == MOST_DIFFERENT, maintain_order=True)
    return [
        row | {"metric": "auroc" if row["auroc_n"] == row["brier_n"] else "brier"}
        for row in rows.iter_rows(named=True)
    ]


def least(found: pl.DataFrame) -> list[str]:
    """A sentence on the row of ``of_interest`` with the least influence, if it is below 0.95."""
    rows = [
        row
        for row in of_interest(found)
        if row["influence"] is not None and row["influence"] < 0.95
    ]
    if not rows:
        return []
    row = min(rows, key=lambda row: (row["influence"], -(row["brier"] or 0.0)))
    metric = row["metric"]
    interval = words.span(row[f"{metric}_low"], row[f"{metric}_high"], signed=True)
    equal = [
        f"{one['hospital']} ({words.defense(one['defense'])})"
        for one in rows
        if one is not row and one["influence"] - row["influence"] < SHOWN
    ]
    also = f", with {words.some(equal)} beside it" if equal else ""
    return [
        f"Although nobody attacks, {words.defense(row['defense'])} takes"
        f" {words.equal_shares(row['influence'])} of"
        f" an equal share of the update of {row['hospital']}, the {row['role']} hospital"
        f" ({words.count(row['n_train'], 'training record')}), the smallest mean of those"
        f" measured{also}. The {METRICS[metric].text} of its own patients changes by"
        f" {words.change(row[metric])} (95 % interval {interval})."
    ]


def markdown(found: pl.DataFrame) -> str:
    """The rows of ``of_interest`` as a table."""
    lines = (HEAD, ["---"] * len(HEAD), *map(_cells, of_interest(found)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: TableRow) -> list[str]:
    metric = row["metric"]
    scores = [words.score(row[f"{metric}_{side}"]) for side in ("without", "with")]
    interval = words.span(row[f"{metric}_low"], row[f"{metric}_high"], signed=True)
    return [
        row["defense"],
        f"{row['hospital']} ({row['role']})",
        str(row["n_train"]),
        words.equal_shares(row["influence"]),
        METRICS[metric].text,
        *scores,
        f"{words.change(row[metric])} ({interval})",
    ]


def _sides(paired: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Mean with and without the defense, over the seeds in which both have it."""
    both = paired.drop_nulls([metric, f"{metric}_without"]).group_by(BY, maintain_order=True)
    without = pl.col(f"{metric}_without").mean()
    return both.agg(without, pl.col(metric).mean().alias(f"{metric}_with"))


def _role(control: pl.DataFrame) -> pl.Expr:
    """The role of a hospital among those of the runs without a defense."""
    hospitals = control.group_by("hospital", maintain_order=True)
    means = hospitals.agg(pl.col("n_train", "distance").mean()).sort("hospital")
    smallest = means.sort("n_train", maintain_order=True)["hospital"].head(1)
    order = means.drop_nulls("distance").sort("distance", descending=True, maintain_order=True)
    furthest = order["hospital"].head(1)
    roles = dict.fromkeys([*smallest], SMALLEST)
    for name in furthest:
        roles[name] = f"{roles[name]} and {MOST_DIFFERENT}" if name in roles else MOST_DIFFERENT
    return pl.col("hospital").replace_strict(roles, default="", return_dtype=pl.String)


def _rows(records: Sequence[RunRecord]) -> Iterator[TableRow]:
    for record, pair in tables.paired(records):
        for one in record.hospitals if record.attack == "none" else ():
            yield pair | {
                "defense": record.defense,
                "seed": record.seed,
                "hospital": one.hospital,
                "n_train": one.n_train,
                "influence": record.value("influence", one.hospital),
                "distance": record.value("update_distance", one.hospital),
                "auroc": record.value("auroc", one.hospital),
                "brier": record.value("brier", one.hospital),
            }


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print(markdown(costs(breakdown.in_focus(tables.one_study(evidence.read(Path(folder)))))))
