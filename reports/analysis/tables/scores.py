"""Runs, and cells of an attack and a defense: scores over seeds, changes, losses and verdicts.

Nothing is adjusted for how many cells are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from reports.analysis.tables.pairs import PAIRED, against, frame, over_seeds, paired
from reports.analysis.tables.studies import cell, idle, reads_only
from sim.evidence import RunRecord, intervals
from sim.evidence.intervals import CHANGE, Interval
from sim.evidence.metrics import METRICS
from sim.types import TableRow

RUN = {
    **PAIRED,
    **dict.fromkeys(("attack", "defense"), pl.String),
    **dict.fromkeys(("seed", "skipped", "rounds"), pl.Int64),
    **dict.fromkeys(("auroc", "brier", "worst_hospital_auroc"), pl.Float64),
    **dict.fromkeys(("sensitivity_at_90_specificity", "epsilon", "drop"), pl.Float64),
    **dict.fromkeys(("idle", "reads_only", "adaptive", "backdoor"), pl.Boolean),
}
LOSSES = {
    "verdict": pl.String,
    **dict.fromkeys(("n_lost", "n_undefined"), pl.Int64),
    **dict.fromkeys(("harm_least", "harm_worst"), pl.Float64),
}
FIGURES = ("auroc", "brier", "worst_hospital_auroc", "sensitivity_at_90_specificity", "epsilon")
CELL = ("attack", "defense")


def runs(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a run, in the order of the records, with the addresses of its controls."""
    return frame((pair | _run(record) for record, pair in paired(records)), RUN)


def cells(records: Sequence[RunRecord], metric: str = "auroc") -> pl.DataFrame:
    """One row an attack and defense: ``metric`` over seeds, and its changes against both controls.

    ``mean`` with ``_low``, ``_high``, ``n``, and ``lowest``, that of the worst seed; ``harm``:
    minus the run with no attack (same defense and seed), ``harm_least`` and ``harm_worst`` in the
    seeds that lost least and most, ``n_lost``: seeds that lost at least ``report.material_drop``;
    ``n_undefined``: seeds whose control has a figure and the run none; a control that was never
    trained is no control; ``verdict``: as ``intervals.losses`` gives it, with undefined seeds as
    lost, null without controls. ``gain``: minus the run with no defense (same attack and seed).
    ``n_idle``: runs in which attack or defense did nothing; ``adaptive``: the attack knew the
    defense and tried what it would make of it; ``backdoor``: a mark was measured; ``skipped`` of
    ``rounds``: all runs together. Rows are in the order of first runs.
    """
    trained = pl.col("skipped") < pl.col("rounds")  # a control that was never trained is none
    table = runs(records).with_columns(
        value=pl.col(metric), control=pl.when(trained).then(pl.col(metric))
    )
    about = table.group_by(CELL, maintain_order=True).agg(
        n_idle=pl.col("idle").sum().cast(pl.Int64),
        epsilon=pl.col("epsilon").max(),
        reads_only=pl.col("reads_only").all(),
        adaptive=pl.col("adaptive").any(),
        backdoor=pl.col("backdoor").any(),
        skipped=pl.col("skipped").sum(),
        rounds=pl.col("rounds").sum(),
        lowest=pl.col("value").min(),
    )
    level = over_seeds(table, CELL, "value", "mean", METRICS[metric].range).rename({"mean_n": "n"})
    attacked = against(table, "attack_free", "value", "control")
    harm = over_seeds(attacked, CELL, "value", "harm", CHANGE)
    defended = against(table, "undefended", "value", "control")
    gain = over_seeds(defended, CELL, "value", "gain", CHANGE)
    for part in (level, harm, _losses(attacked, harm), gain):
        about = about.join(part, on=CELL, how="left", maintain_order="left")
    return about.with_columns(pl.col("n", "harm_n", "gain_n", "n_lost", "n_undefined").fill_null(0))


def judged_by_auroc(cells: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``cells`` that AUROC judges: attacks that change what is sent, and no attack.

    A backdoor is meant to leave AUROC as it is and is recognized by its success beyond false
    triggers; it counts here only where it lost a material share of AUROC under some defense, or the
    model is not defined.
    """
    hit = cells.filter((pl.col("n_lost") > 0) | (pl.col("n_undefined") > 0))["attack"].unique()
    judged = ~pl.col("backdoor") | pl.col("attack").is_in(hit.implode())
    return cells.filter(~pl.col("reads_only"), judged)


def worst_attacks(cells: pl.DataFrame, most: int) -> list[str]:
    """Up to ``most`` attacks of a frame of ``cells``, in its order: no attack, and the worst.

    The worst have the most harm, as a mean over defenses.
    """
    acting = judged_by_auroc(cells)
    attacked = acting.filter(pl.col("attack") != "none").group_by("attack", maintain_order=True)
    harm = attacked.agg(pl.col("harm").mean())
    names = list(acting["attack"].unique(maintain_order=True))
    n_left = most - names.count("none")
    order = harm.sort("harm", nulls_last=True, maintain_order=True)["attack"]
    shown = {"none", *order.head(n_left)}
    return [name for name in names if name in shown]


def _run(record: RunRecord) -> TableRow:
    return {
        **cell(record),
        **{metric: record.value(metric) for metric in FIGURES},
        "idle": bool(idle(record)),
        "reads_only": reads_only(record),
        "adaptive": record.adaptive,
        "backdoor": record.has("backdoor_success"),
        "skipped": len(record.skipped_rounds),
        "rounds": record.rounds,
        "drop": record.config["report"]["material_drop"],
    }


def _losses(attacked: pl.DataFrame, harm: pl.DataFrame) -> pl.DataFrame:
    """The columns of ``LOSSES`` of each cell of ``attacked``, paired changes by seed.

    ``harm``: the intervals of these changes.
    """
    lacking = pl.col("value").is_null() & pl.col("base").is_not_null()
    each = attacked.group_by(CELL, maintain_order=True).agg(
        values=pl.col("value").drop_nulls(),
        drop=pl.col("drop").max(),
        n_undefined=lacking.sum().cast(pl.Int64),
    )
    rows = each.join(harm, on=CELL, how="left", maintain_order="left").iter_rows(named=True)
    schema = {**dict.fromkeys(CELL, pl.String), **LOSSES}
    return frame(({**{name: row[name] for name in CELL}, **_lost(row)} for row in rows), schema)


def _lost(row: TableRow) -> TableRow:
    """The losses of one cell."""
    lacking = row["n_undefined"]
    values = [-value for value in row["values"]]
    if not values:
        verdict = intervals.verdict([], None, row["drop"], lacking) if lacking else None
        return {"verdict": verdict, "n_lost": 0, "n_undefined": lacking}
    interval = None if row["harm_low"] is None else Interval(-row["harm_high"], -row["harm_low"])
    found = intervals.losses(values, interval, row["drop"], lacking)
    return {
        "verdict": found.verdict,
        "n_lost": found.n_material,
        "harm_least": -found.least,
        "harm_worst": -found.worst,
        "n_undefined": lacking,
    }
