"""The tables that end a command in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from reports import tables, words
from sim.evidence import RunRecord


def closing_table(records: Sequence[RunRecord]) -> Table:
    """Defenses down, attacks across: mean AUROC and half its 95 % interval over seeds; share recovered by attacks that read."""
    cells = tables.cells(records).filter(~pl.col("reads_only"))
    read = {(row["attack"], row["defense"]): row for row in tables.inversions(records).iter_rows(named=True)}
    means = {(row["attack"], row["defense"]): row for row in cells.iter_rows(named=True)}
    attacks = _controls_first(name for name, _ in means)
    readers = list(dict.fromkeys(name for name, _ in read))
    seeds = len({record.seed for record in records})
    table = Table(title=f"AUROC, mean ± half the 95 % interval over {words.count(seeds, 'seed')}", title_justify="left")
    table.add_column("defense")
    for name in attacks:
        table.add_column(Text(words.attack(name)), justify="right")
    for name in readers:
        table.add_column(Text(f"{name}: recovered"), justify="right")
    for defense in _controls_first(record.defense for record in records):
        figures = [_mean(means.get((name, defense))) for name in attacks]
        shares = [words.share(read[name, defense]["rate"]) if (name, defense) in read else "" for name in readers]
        table.add_row(Text(words.defense(defense)), *figures, *shares)
    if cells["n_idle"].sum():
        table.caption = "† attack or defense did nothing in at least one run"
    return table


def run_table(record: RunRecord) -> Table:
    """The outcome of one run."""
    outcome, engaged = record.outcome, record.engagement
    title = f"{words.attack(record.attack)}, {words.defense(record.defense)}, seed {record.seed}"
    table = Table(title=Text(title), show_header=False)
    worst = f"{words.score(outcome.worst_hospital_auroc)} ({outcome.worst_hospital})" if outcome.worst_hospital else words.NONE
    rows = {
        "AUROC": words.score(outcome.auroc),
        "AUROC, worst hospital": worst,
        "sensitivity at 90 % specificity": words.score(outcome.sensitivity_at_90_specificity),
        "Brier score": words.score(outcome.brier),
        "attack engaged": _engaged(engaged.attack_engaged, engaged.attack_distance),
        "defense engaged": _engaged(engaged.defense_engaged, engaged.defense_distance),
    }
    if record.privacy is not None:
        rows["ε (most of any hospital)"] = words.epsilon(record.privacy.epsilon)
    if record.inversion is not None:
        rows["records recovered"] = f"{record.inversion.n_recovered} of {record.inversion.n_attacked}"
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _mean(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    half = "" if row["mean_low"] is None else f" ± {row['mean_high'] - row['mean']:.3f}"
    return f"{words.score(row['mean'])}{half}{' †' if row['n_idle'] else ''}"


def _engaged(did: bool | None, distance: float | None) -> str:
    if did is None:
        return words.NONE
    return f"{'yes' if did else 'NO: it changed nothing'}{'' if distance is None else f' ({distance:.3g})'}"


def _controls_first(names: Any) -> list[str]:
    return sorted(dict.fromkeys(names), key=lambda name: name != "none")
