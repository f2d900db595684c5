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
from sim.evidence.controls import NONE, Controls
from sim.evidence.metrics import METRICS, is_material
from sim.evidence.records import RunRecord
from sim.types import TableRow

if TYPE_CHECKING:
    import polars as pl

RESULTS: Final = "results.csv"
ROUNDS: Final = "rounds.parquet"
RESULT_COLUMNS = (
    "run", "consortium", "attack", "defense", "seed", "n_hospitals", "n_hostile", "rounds",
    "auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc",
    "attack_success", "attack_engaged", "defense_engaged", "epsilon", "delta",
    "reconstruction_rate", "membership_auc", "membership_tpr_at_1fpr", "seconds",
    "attack_success_kind", "false_trigger", "updates_recovered", "update_error", "smallest_sum",
    "patient_epsilon", "hospital_epsilon",
)  # fmt: skip
OF_RECORD = RESULT_COLUMNS[:8]  # the columns that a record has itself

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
    """What ``attack_success`` is a rate of."""
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

    schema = {
        "run": pl.String,
        "round": pl.Int64,
        "hospital": pl.String,
        "metric": pl.String,
        "value": pl.Float64,
    }
    frames = [
        pl.DataFrame({"run": [r.run] * len(r.curve["round"]), **r.curve}, schema=schema)
        for r in records
    ]
    return pl.concat([pl.DataFrame(schema=schema), *frames])


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
