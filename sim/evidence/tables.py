"""The tables of a folder of records: ``results.csv``, one row a run, and ``rounds.parquet``, one row a figure of a round."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Final

from sim import files, spreadsheet
from sim.evidence.controls import Controls
from sim.evidence.records import RunRecord

RESULTS: Final = "results.csv"
ROUNDS: Final = "rounds.parquet"
RESULT_COLUMNS = (
    "run", "consortium", "attack", "defense", "seed", "n_hospitals", "n_hostile", "rounds",
    "auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc",
    "attack_success", "attack_engaged", "defense_engaged", "epsilon", "delta",
    "reconstruction_rate", "membership_auc", "membership_tpr_at_1fpr", "seconds",
    "attack_success_kind", "false_trigger",
)  # fmt: skip


def write_tables(folder: Path, records: Sequence[RunRecord]) -> None:
    """``results.csv`` and ``rounds.parquet`` from ``records``; each file is replaced as a whole."""
    files.replace(folder / RESULTS, _csv(results(records)))
    files.replace(folder / ROUNDS, _rounds(records))


def write_results(folder: Path, table: Sequence[dict[str, Any]]) -> None:
    """``results.csv`` from rows of ``results``, which may have more columns at their end."""
    files.replace(folder / RESULTS, _csv(table))


def results(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """One row a run with the columns ``RESULT_COLUMNS``; None where a figure does not exist.

    ``attack_success`` is a rate in [0, 1]. For an inversion, the share of attacked records recovered. For a backdoor, the share
    of marked test records, not of the target class, that the final model puts into it. For other attacks on the model, whether
    the run lost at least ``report.material_drop`` AUROC against its control (same consortium, defense and seed, no attack): 1 or
    0, so that its mean over seeds is a success rate; 1 also where the attack left no model with finite scores and the control
    has an AUROC; None without that control. ``attack_success_kind`` says which of the three it is: ``records_recovered``,
    ``backdoor_success`` or ``material_loss``. ``false_trigger``: for a backdoor, the share that ``attack_success`` is to be read
    beside, that of the same run without the attack.
    """
    controls = Controls(records)
    return [_row(record, controls.attack_free(record)) for record in records]


def _row(record: RunRecord, control: RunRecord | None) -> dict[str, Any]:
    outcome = record.outcome.model_dump()
    row: dict[str, Any] = {
        **{
            name: getattr(record, name)
            for name in ("run", "consortium", "attack", "defense", "seed", "n_hospitals", "n_hostile", "rounds")
        },
        **{name: outcome[name] for name in RESULT_COLUMNS if name in outcome},
        "attack_success": attack_success(record, control.outcome.auroc if control else None),
        "attack_success_kind": attack_success_kind(record),
        "false_trigger": record.backdoor.false_trigger if record.backdoor else None,
        "attack_engaged": record.engagement.attack_engaged,
        "defense_engaged": record.engagement.defense_engaged,
        "epsilon": record.privacy.epsilon if record.privacy else None,
        "delta": record.privacy.delta if record.privacy else None,
        "reconstruction_rate": record.inversion.rate if record.inversion else None,
        "seconds": round(record.seconds, 3),
    }
    return {name: row.get(name) for name in RESULT_COLUMNS}


def attack_success(record: RunRecord, control: float | None) -> float | None:
    """Success rate of the run's attack, as ``results`` defines it. ``control``: AUROC of the run without the attack."""
    if record.attack == "none":
        return None
    if record.inversion is not None:
        return record.inversion.rate
    if record.backdoor is not None:
        return record.backdoor.success
    if control is None:
        return None
    if record.outcome.auroc is None:
        return 1.0
    return float(is_material(control - record.outcome.auroc, record.config["report"]["material_drop"]))


def attack_success_kind(record: RunRecord) -> str | None:
    """What ``attack_success`` is a rate of."""
    if record.attack == "none":
        return None
    if record.inversion is not None:
        return "records_recovered"
    return "material_loss" if record.backdoor is None else "backdoor_success"


def is_material(loss: float, drop: float) -> bool:
    """Whether ``loss`` is at least ``drop``; what rounding of the two scores takes off does not count."""
    return loss >= drop - 1e-9


def _rounds(records: Sequence[RunRecord]) -> bytes:
    import polars as pl  # workers import this module, and write no tables

    schema = {"run": pl.String, "round": pl.Int64, "hospital": pl.String, "metric": pl.String, "value": pl.Float64}
    frames = [pl.DataFrame({"run": [r.run] * len(r.curve["round"]), **r.curve}, schema=schema) for r in records]
    out = BytesIO()
    pl.concat([pl.DataFrame(schema=schema), *frames]).write_parquet(out)
    return out.getvalue()


def _csv(table: Sequence[dict[str, Any]]) -> bytes:
    out = StringIO(newline="")
    columns = list(table[0]) if table else list(RESULT_COLUMNS)
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerows(spreadsheet.rows([{name: name for name in columns}, *table]))
    return out.getvalue().encode()
