"""The sentence on what attacks read of patients, or what parties see where nobody tried to read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from reports.analysis import inferred, membership, tables
from reports.analysis.seen import Seen
from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.metrics import METRICS
from sim.types import TableRow


def sentence(seen: Seen) -> str:
    """The sentence on what the aggregator and others read of patients, or see where none tried."""
    records = seen.records
    parts = [
        *_recovered(seen.inverted),
        *_isolated(tables.isolations(records)),
        *_members(seen.asked),
    ]
    parts = parts or _inferred(inferred.rows(records))
    parts = parts or [_seen(records), *_bounded(tables.spent(records))]
    return words.sentence(parts)


def _recovered(rows: pl.DataFrame) -> list[str]:
    """The most records that were recovered, with no defense and under defenses."""
    if rows.is_empty():
        return []
    alone = rows.filter(defense=NONE).sort("rate", descending=True, maintain_order=True)
    guarded = rows.filter(pl.col("defense") != NONE)
    parts = [f"from what the aggregator sees, {_of_records(row)}" for row in _top(alone)]
    some = guarded.filter(pl.col("n_recovered") > 0).sort(
        "rate", descending=True, maintain_order=True
    )
    parts += [
        f"the most under a defense: {_of_records(row)}{_as_many(row, some)}" for row in _top(some)
    ]
    for attacks, defenses, most in tables.recovered_none(rows):
        names = words.some(map(words.attack, attacks))
        parts.append(
            f"{words.some(map(words.under, defenses))} {names} recovered none, and a true share of"
            f" up to {words.share(most)} would still fit"
        )
    return parts


def _as_many(row: TableRow, rows: pl.DataFrame) -> str:
    """The other defenses under which the same attack recovered as many of as many records."""
    counts = {key: row[key] for key in ("attack", "n_recovered", "n_attacked")}
    alike = rows.filter(pl.col("defense") != row["defense"], **counts)["defense"]
    return f", as many as under {words.some(map(words.defense, alike))}" if len(alike) else ""


def _of_records(row: TableRow) -> str:
    """A clause on one attack that recovers records, beside what shuffled updates give."""
    text = (
        f"{words.attack(row['attack'])} recovered {row['n_recovered']:,} of"
        f" {row['n_attacked']:,} attacked records {words.under(row['defense'])}"
        f" ({words.share(row['rate'])})"
    )
    shuffled = row["n_shuffled"]
    if row["n_recovered"] and shuffled is not None and shuffled >= row["n_recovered"]:
        return f"{text}, no more than from shuffled updates, so that nothing is shown to be read"
    return text


def _isolated(rows: pl.DataFrame) -> list[str]:
    """The most single updates that an attack on secure aggregation worked out of sums.

    Where no run had such sums, that each update is seen by itself.
    """
    if len(rows) and rows["open"].all():
        where = words.some(map(words.under, rows["defense"].unique(maintain_order=True)))
        return [f"{where} the aggregator is sent each update by itself, so that no sum hides one"]
    hidden = rows.filter(~pl.col("open"), pl.col("n_attacked") > 0)
    order = hidden.sort("n_recovered", descending=True, maintain_order=True)
    return [
        f"{words.attack(row['attack'])} worked out {row['n_recovered']:,} of"
        f" {words.count(row['n_attacked'], 'single update')} of honest hospitals"
        f" {words.under(row['defense'])}"
        for row in _top(order)
    ]


def _members(cells: Sequence[membership.Cell]) -> list[str]:
    """The attack that tells best who was trained on, with no defense if it ran there."""
    alone = [cell for cell in cells if cell.defense == NONE] or list(cells)
    if not alone:
        return []
    cell = max(alone, key=lambda one: one.auc.value)
    text = (
        f"{words.attack(cell.attack)}, by {cell.who}, tells who was trained on with an AUC of"
        f" {words.score(cell.auc.value)} {words.under(cell.defense)} (0.5 is guessing)"
    )
    if tells(cell):
        return [text]
    return [f"{text}; whether that is more than guessing is not decided"]


def tells(cell: membership.Cell) -> bool:
    """Whether an attack is shown to tell who was trained on: more than guessing and its null."""
    null = 0.5 if cell.null is None else cell.null.value
    return cell.auc.interval is not None and cell.auc.interval.low > max(0.5, null)


def _inferred(rows: Sequence[TableRow]) -> list[str]:
    """What an attack on the finished model or its updates finds beyond what needs no attack."""
    turned = METRICS["evasion_success"].text, METRICS["extraction_agreement"].text  # read nothing
    of_patients = [row for row in rows if row["figure"] not in turned]
    alone = [row for row in of_patients if row["defense"] == NONE] or of_patients
    if not alone:
        return []
    row = max(alone, key=lambda one: one["excess"])
    shown = row["excess_low"] is not None and row["excess_low"] > 0
    text = (
        f"{words.attack(row['attack'])}, {row['figure']}: {words.score(row['value'])}"
        f" {words.under(row['defense'])} beside {words.score(row['alone'])} without the attack"
    )
    return [text if shown else f"{text}; whether that is more is not decided"]


def _seen(records: Sequence[RunRecord]) -> str:
    """What the aggregator is sent, where no attack that reads was tried."""
    order = sorted(records, key=lambda record: record.defense != NONE)
    sees = [one.sees for one in order[0].visibility if "aggregator" in one.party]
    given = f"; {words.under(order[0].defense)} it sees {sees[0]}" if sees else ""
    return f"no attack that reads was tried, so what the aggregator can read is not known{given}"


def _bounded(spent: pl.DataFrame) -> list[str]:
    """The bound of record-level privacy of the defense that spends least."""
    if spent.is_empty():
        return []
    most = spent.sort("epsilon", descending=True, maintain_order=True)
    each = most.unique("defense", keep="first", maintain_order=True).sort("epsilon")
    row = each.row(0, named=True)
    return [
        f"{words.defense(row['defense'])} (ε = {words.epsilon(row['epsilon'])}) holds the advantage"
        " of any test of who was in the training data to at most"
        f" {words.at_most(row['advantage'])}"
    ]


def _top(frame: pl.DataFrame) -> list[TableRow]:
    return frame.head(1).rows(named=True)
