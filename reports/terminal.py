"""The tables that end a command in the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from reports import breakdown, radii, tables, undefined, words
from reports.undefined import Refused
from sim.evidence import RunRecord

MOST_BLOCKS = 2
GAP = 2  # spaces between columns
JOINT = 10  # characters up to which parts of a name share a line of a header

Column = tuple[str, list[str]]  # header, cells


def closing(records: Sequence[RunRecord], refused: Sequence[Refused] = (), width: int = 80) -> Group:
    """What ends a comparison: AUROC by defense and attack, breakdown points if they were looked for, and cells that did not run.

    No cell is wrapped at ``width`` characters: attacks that do not fit side by side come in blocks, and instead of more than
    ``MOST_BLOCKS`` each defense gets one line with its worst attack.
    """
    focused = breakdown.in_focus(records)
    columns = _columns(focused, refused)
    blocks = list(_blocks(columns[1:], width - 1 - _width(columns[0])))
    tables_ = [_table([columns[0], *block]) for block in blocks] if len(blocks) <= MOST_BLOCKS else [_summary(focused)]
    notes = (
        ["† attack or defense did nothing in at least one run"]
        if any("†" in cell for _, body in columns for cell in body)
        else []
    )
    parts = [
        _title(focused),
        *tables_,
        *notes,
        *radii.idle(focused),
        *_breakdown(records),
        *([""] if refused else []),
        *undefined.sentences(refused),
    ]
    return Group(*(part if isinstance(part, Table) else Text(part) for part in parts))


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
        **{one.part: radii.effect(one) for one in record.clipped},
    }
    if record.privacy is not None:
        rows["ε (most of any hospital)"] = words.epsilon(record.privacy.epsilon)
    if record.inversion is not None:
        rows["records recovered"] = f"{record.inversion.n_recovered} of {record.inversion.n_attacked}"
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _title(records: Sequence[RunRecord]) -> str:
    first, seeds = records[0], words.count(len({record.seed for record in records}), "seed")
    hostile = f"{first.n_hostile} of {words.count(first.n_hospitals, 'hospital')} hostile"
    return f"AUROC, mean ± half the 95 % interval over {seeds}; {hostile}\n"


def _columns(records: Sequence[RunRecord], refused: Sequence[Refused] = ()) -> list[Column]:
    """Defenses, then a column of means for each attack, then one of shares recovered for each attack that reads."""
    cells = tables.cells(records).filter(~pl.col("reads_only"))
    means = {(row["attack"], row["defense"]): _mean(row) for row in cells.iter_rows(named=True)}
    read = {(row["attack"], row["defense"]): words.share(row["rate"]) for row in tables.inversions(records).iter_rows(named=True)}
    reading = {attack for attack, _ in read}
    for cell, text in undefined.cells(refused, records[0].n_hostile).items():
        (read if cell[0] in reading else means)[cell] = text
    defenses = list(dict.fromkeys([*(record.defense for record in records), *(defense for _, defense in [*means, *read])]))
    return [
        ("defense", [words.defense(name) for name in defenses]),
        *((words.attack(name), [means.get((name, defense), "") for defense in defenses]) for name in _attacks(means)),
        *((f"{name}: recovered", [read.get((name, defense), "") for defense in defenses]) for name in _attacks(read)),
    ]


def _summary(records: Sequence[RunRecord]) -> Table:
    cells = tables.cells(records).filter(~pl.col("reads_only"))
    calm = {row["defense"]: _mean(row) for row in cells.filter(attack="none").iter_rows(named=True)}
    worst = cells.filter(pl.col("attack") != "none").sort("mean", maintain_order=True).unique("defense", keep="first")
    hit = {row["defense"]: row for row in worst.iter_rows(named=True)}
    names = list(cells["defense"].unique(maintain_order=True))
    n_attacks = cells.filter(pl.col("attack") != "none")["attack"].n_unique()
    return _table(
        [
            ("defense", [words.defense(name) for name in names]),
            ("no attack", [calm.get(name, "") for name in names]),
            (f"worst of {n_attacks}", [_mean(hit[name]) if name in hit else "" for name in names]),
            ("which", [hit[name]["attack"] if name in hit else "" for name in names]),
        ]
    )


def _breakdown(records: Sequence[RunRecord]) -> list[str | Table]:
    """Where each defense breaks down first, if several numbers of hostile hospitals were run."""
    if len(breakdown.numbers(records)) < 2:
        return []
    drop = tables.material_drop(records)
    rows = list(breakdown.by_defense(breakdown.points(breakdown.by_number(records), drop)).iter_rows(named=True))
    names = [row["attack"] if row["breaks_at"] is not None else "" for row in rows]
    title = f"\nHostile hospitals at which an attack first costs {drop:g} AUROC or more\n"
    first = ("defense", [words.defense(row["defense"]) for row in rows])
    return [title, _table([first, ("breaks down at", [breakdown.verdict(row) for row in rows]), ("first under", names)])]


def _table(columns: Sequence[Column]) -> Table:
    """A table without lines; names broken where they have joints, so that headers are no wider than they must."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for place, (header, _) in enumerate(columns):
        table.add_column(Text(_broken(header)), justify="right" if place else "left", vertical="bottom", no_wrap=True)
    for row in zip(*(body for _, body in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _blocks(columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """Columns in order, as many side by side as ``width`` characters hold, at least one."""
    block: list[Column] = []
    for column in columns:
        if block and sum(map(_width, [*block, column])) > width:
            yield block
            block = []
        block.append(column)
    if block:
        yield block


def _width(column: Column) -> int:
    header, body = column
    return GAP + max(len(line) for line in [*_broken(header).split("\n"), *body])


def _broken(name: str) -> str:
    """A name on several lines of about ``JOINT`` characters, broken after ``_``, ``+`` and spaces."""
    lines = [""]
    for part in re.split(r"(?<=[_+ ])", name):
        lines = [*lines, part] if lines[-1] and len(lines[-1] + part) > JOINT else [*lines[:-1], lines[-1] + part]
    return "\n".join(lines)


def _mean(row: dict[str, Any]) -> str:
    half = "" if row["mean_low"] is None else f"±{row['mean_high'] - row['mean']:.3f}".replace("0.", ".")
    return f"{words.score(row['mean'])}{half}{'†' if row['n_idle'] else ''}"


def _attacks(cells: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in cells))


def _engaged(did: bool | None, distance: float | None) -> str:
    if did is None:
        return words.NONE
    return f"{'yes' if did else 'NO: it changed nothing'}{'' if distance is None else f' ({distance:.3g})'}"
