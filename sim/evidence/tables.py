"""The tables of a folder of records: ``results.csv`` and ``rounds.parquet``.

``results.csv`` has one row a run, ``rounds.parquet`` one row a figure of a round.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sim import files
from sim.evidence import spreadsheet
from sim.evidence.columns import Column
from sim.evidence.controls import NONE, Controls
from sim.evidence.metrics import METRICS, is_material
from sim.evidence.records import RunRecord
from sim.types import TableRow

if TYPE_CHECKING:
    import polars as pl

RESULTS: Final = "results.csv"
ROUNDS: Final = "rounds.parquet"
MODEL: Final = "the test patients do not allow it, or no model with finite scores was left"
NO_ATTACK: Final = "without an attack"
NO_INVERSION: Final = "without a reconstruction"
NO_MEMBERSHIP: Final = "without a membership inference"
NO_DP: Final = "without record-level differential privacy"
NO_ISOLATION: Final = "without an attack on secure aggregation"

# New columns are added at the end alone: programs read this table.
RESULTS_TABLE: Final[Mapping[str, Column]] = {
    "run": Column("text", "The run's address: 16 hex digits of configuration, data and code."),
    "consortium": Column("text", "The name of the consortium."),
    "attack": Column("text", "The attack, several joined with `+`; `none` without one."),
    "defense": Column("text", "The defense; `none` without one."),
    "seed": Column("whole number", "The seed from which all draws of the run follow."),
    "n_hospitals": Column("whole number", "The number of hospitals.", "hospitals"),
    "n_hostile": Column(
        "whole number",
        "The number of hostile hospitals, also in runs that nobody attacks.",
        "hospitals",
    ),
    "rounds": Column("whole number", "The number of rounds.", "rounds"),
    "auroc": Column(
        "number",
        "The final model's AUROC on the test patients of all hospitals, pooled.",
        "share of pairs",
        MODEL,
    ),
    "auprc": Column("number", "Its average precision on them.", "share", MODEL),
    "accuracy": Column("number", "Its accuracy on them, at a risk of 0.5.", "share", MODEL),
    "sensitivity_at_90_specificity": Column(
        "number",
        "The share of those with the condition that it finds when it alarms at most 10 % of those"
        " without.",
        "share",
        MODEL,
    ),
    "brier": Column("number", "Its Brier score on them; lower is better.", "squared error", MODEL),
    "worst_hospital_auroc": Column(
        "number",
        "The least AUROC of a hospital with `metrics.min_class_rows` test patients of each class.",
        "share of pairs",
        "no hospital has so many, or no model with finite scores was left",
    ),
    "attack_success": Column(
        "number",
        "The rate of success of the attack, of what `attack_success_kind` states.",
        "share",
        f"{NO_ATTACK}, or without the run that a loss is measured against",
    ),
    "attack_engaged": Column(
        "true or false",
        "Whether the attack changed anything.",
        "",
        f"{NO_ATTACK}, or no update is finite",
    ),
    "defense_engaged": Column(
        "true or false",
        "Whether the defense changed anything.",
        "",
        "without a defense, or no update is finite",
    ),
    "epsilon": Column(
        "number", "The privacy that a record loses, at most of any hospital.", "ε", NO_DP
    ),
    "delta": Column("number", "The delta that `epsilon` is stated at.", "probability", NO_DP),
    "reconstruction_rate": Column(
        "number", "The share of the attacked records that was recovered.", "share", NO_INVERSION
    ),
    "membership_auc": Column(
        "number",
        "The AUC of the membership inference; 0.5 is guessing.",
        "share of pairs",
        NO_MEMBERSHIP,
    ),
    "membership_tpr_at_1fpr": Column(
        "number",
        "The share of training records that it recognizes at 1 % false positives.",
        "share",
        NO_MEMBERSHIP,
    ),
    "seconds": Column("number", "The time that the run took.", "seconds"),
    "attack_success_kind": Column(
        "text",
        "What `attack_success` is a rate of: `records_recovered`, `updates_recovered`,"
        " `backdoor_success`, `records_recognized` or `material_loss`.",
        "",
        NO_ATTACK,
    ),
    "false_trigger": Column(
        "number",
        "Of a backdoor, the same share in the same run without the attack.",
        "share",
        "without a backdoor",
    ),
    "updates_recovered": Column(
        "number",
        "The share of honest hospitals whose update was recovered from sums.",
        "share",
        NO_ISOLATION,
    ),
    "update_error": Column(
        "number",
        "The error of the best recovered update.",
        "relative length",
        f"{NO_ISOLATION}, or no single update was worked out",
    ),
    "smallest_sum": Column(
        "number",
        "The honest hospitals in the smallest sum that was held.",
        "hospitals",
        f"{NO_ISOLATION}, or no sum of honest updates was held",
    ),
    "patient_epsilon": Column(
        "number",
        "The privacy that a patient with several records loses, at most of any hospital.",
        "ε",
        f"{NO_DP} of patients (`dp.records_per_patient`)",
    ),
    "hospital_epsilon": Column(
        "number",
        "The privacy that a whole hospital loses.",
        "ε",
        "without differential privacy of whole updates",
    ),
}
RESULT_COLUMNS: Final = tuple(RESULTS_TABLE)
OF_RECORD: Final = RESULT_COLUMNS[:8]  # the columns that a record has itself
ROUNDS_TABLE: Final[Mapping[str, Column]] = {
    "run": Column("text", "The run's address, as in `results.csv`."),
    "round": Column("whole number", "The round; 0 is the model before training.", "rounds"),
    "hospital": Column("text", "The hospital; `all` is the pooled test set."),
    "metric": Column("text", "`auroc`, `brier`, `accuracy` or `backdoor_success`, as above."),
    "value": Column(
        "number",
        "The figure of the model after the round; where it is not defined there is no row.",
        "that of the metric",
    ),
}

# metrics that are rates of success of an attack -> what ``results`` calls them
SUCCESS: Final[Mapping[str, str]] = {
    "reconstruction_rate": "records_recovered",
    "updates_recovered": "updates_recovered",
    "backdoor_success": "backdoor_success",
    "membership_tpr_at_1fpr": "records_recognized",
}


def write_tables(folder: Path, records: Sequence[RunRecord]) -> None:
    """``results.csv`` and ``rounds.parquet`` from ``records``; each file is replaced as a whole."""
    files.replace(folder / RESULTS, _csv(results(records)))
    files.replace(folder / ROUNDS, _parquet(rounds(records)))


def write_results(folder: Path, table: Sequence[TableRow]) -> None:
    """``results.csv`` from rows of ``results``, which may have more columns at their end."""
    files.replace(folder / RESULTS, _csv(table))


def results(records: Sequence[RunRecord]) -> list[TableRow]:
    """One row a run with the columns ``RESULT_COLUMNS``; None where a figure does not exist.

    ``attack_success`` is a rate in [0, 1]. For an inversion, it is the share of attacked records
    recovered; for an attack on secure aggregation, the share of honest hospitals whose update is
    recovered; for a membership inference, the share of training records recognized at 1 % false
    positives; for a backdoor, the share of marked test records, not of the target class, that the
    final model puts into it. For other attacks on the model, it is whether the run lost at least
    ``report.material_drop`` AUROC against its control (same consortium, defense and seed, no
    attack): 1 or 0, so that its mean over seeds is a success rate; 1 also where the attack left no
    model with finite scores and the control has an AUROC; None without that control.

    ``attack_success_kind`` states which of these it is: ``records_recovered``,
    ``updates_recovered``, ``backdoor_success``, ``records_recognized`` or ``material_loss``.
    ``false_trigger``: for a backdoor, the share that ``attack_success`` is to be read beside, that
    of the same run without the attack.
    """
    controls = Controls(records)
    return [_row(record, controls.attack_free(record)) for record in records]


def _row(record: RunRecord, control: RunRecord | None) -> TableRow:
    row: TableRow = {
        **{name: getattr(record, name) for name in OF_RECORD},
        **{name: record.value(name) for name in RESULT_COLUMNS if name in METRICS},
        "attack_success": attack_success(record, control),
        "attack_success_kind": attack_success_kind(record),
        "false_trigger": record.value("false_trigger_rate"),
        "attack_engaged": record.engagement.attack_engaged,
        "defense_engaged": record.engagement.defense_engaged,
        "delta": record.privacy.delta if record.privacy else None,
        "seconds": round(record.seconds, 3),
    }
    return {name: row.get(name) for name in RESULT_COLUMNS}


def attack_success(record: RunRecord, control: RunRecord | None) -> float | None:
    """The success rate of the run's attack, as ``results`` defines it.

    ``control``: the run without the attack.
    """
    if record.attack == NONE:
        return None
    if (metric := _measured_success(record)) is not None:
        return record.value(metric)
    before = None if control is None else control.value("auroc")
    if before is None:
        return None
    after = record.value("auroc")
    if after is None:
        return 1.0
    return float(is_material(before - after, record.config["report"]["material_drop"]))


def attack_success_kind(record: RunRecord) -> str | None:
    """The kind of rate that ``attack_success`` is, None without an attack."""
    if record.attack == NONE:
        return None
    metric = _measured_success(record)
    return "material_loss" if metric is None else SUCCESS[metric]


def _measured_success(record: RunRecord) -> str | None:
    """The metric that is itself a rate of success, if one was measured."""
    return next((metric for metric in SUCCESS if record.has(metric)), None)


def rounds(records: Sequence[RunRecord]) -> pl.DataFrame:
    """The frame of ``rounds.parquet``: one row a figure of a round."""
    import polars as pl  # workers import this module, and write no tables

    schema = frame_schema(ROUNDS_TABLE)
    frames = [
        pl.DataFrame({"run": [r.run] * len(r.curve["round"]), **r.curve}, schema=schema)
        for r in records
    ]
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def frame_schema(table: Mapping[str, Column]) -> dict[str, pl.DataType]:
    """The types of a frame with the columns of a table."""
    import polars as pl

    types = {
        "text": pl.String(),
        "whole number": pl.Int64(),
        "number": pl.Float64(),
        "true or false": pl.Boolean(),
    }
    return {name: types[column.kind] for name, column in table.items()}


def _parquet(frame: pl.DataFrame) -> bytes:
    out = BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def _csv(table: Sequence[TableRow]) -> bytes:
    out = StringIO(newline="")
    columns = list(table[0]) if table else list(RESULT_COLUMNS)
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerows(spreadsheet.rows([{name: name for name in columns}, *table]))
    return out.getvalue().encode()
