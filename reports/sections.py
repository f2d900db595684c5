"""Lists and dicts for tables of the page, beyond the frames of ``reports.analysis.tables``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from reports.analysis import tables
from reports.figures import multiples
from reports.text import words
from sim import titles
from sim.evidence import Recovered, RunRecord, Statement
from sim.evidence.controls import NONE
from sim.titles import Title
from sim.types import Node, TableRow
from threats.register import Row

MOST_SHOWN = 2  # recovered records of a defense in the gallery, plus one that was missed


def effect_matrix(effects: pl.DataFrame) -> Node:
    """Effects by hospital, down, and by defense, across in groups that fit a page.

    The hospitals are those that ``multiples.hardest_hit`` chooses.
    """
    rows = list(effects.iter_rows(named=True))
    shown = set(multiples.hardest_hit(effects))
    hospitals = {row["hospital"]: row["n_train"] for row in rows if row["hospital"] in shown}
    names = list(dict.fromkeys(row["defense"] for row in rows))
    return {
        "defenses": multiples.batches(names, multiples.MOST_EFFECTS),
        "hospitals": hospitals,
        "cells": {(row["hospital"], row["defense"]): row for row in rows},
        "n_hidden": effects["hospital"].n_unique() - len(hospitals),
    }


def breakdown_matrix(found: pl.DataFrame) -> Node:
    """Breakdown points by defense, down, and by attack, across in groups that fit a page.

    ``found``: a frame of ``breakdown.points``.
    """
    rows = list(found.iter_rows(named=True))
    names = list(dict.fromkeys(row["attack"] for row in rows))
    return {
        "attacks": multiples.batches(names, multiples.MOST_EFFECTS),
        "defenses": list(dict.fromkeys(row["defense"] for row in rows)),
        "cells": {(row["attack"], row["defense"]): row for row in rows},
    }


def gallery(records: Sequence[RunRecord], *, show_reconstructions: bool) -> list[TableRow]:
    """Attacked records beside recovered ones, for the first seed of each attack and defense.

    Equal ones are shown once. Data that is not public gives nothing here unless
    ``show_reconstructions``.
    """
    groups: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, str]] = set()
    for record in records:
        found = record.inversion
        cell = (record.attack, record.defense)
        if found is None or cell in seen or not (record.public or show_reconstructions):
            continue
        seen.add(cell)
        shown = _some(found.gallery)
        key = json.dumps([record.attack, *(one.model_dump() for one in shown)])
        empty: dict[str, Any] = {
            "attack": record.attack,
            "defenses": [],
            "shown": shown,
            "pixels": found.pixels,
            "source": record.data_source,
        }
        group = groups.setdefault(key, empty | {"seed": record.seed})
        group["defenses"].append(words.defense(record.defense))
    return [group for group in groups.values() if group["shown"]]


def withheld(records: Sequence[RunRecord], *, show_reconstructions: bool) -> bool:
    """Whether reconstructed records are shown as scores only, as some data is not marked public."""
    inverted = [record for record in records if record.inversion is not None]
    return not show_reconstructions and any(not record.public for record in inverted)


def visibility(records: Sequence[RunRecord]) -> list[TableRow]:
    """The table of who sees what: each party and what it sees, with the designs in which it does.

    Parties are in the order of the evidence.
    """
    lines = _by_defense(
        records, lambda record: [(one.party, one.sees) for one in record.visibility]
    )
    parties = list(dict.fromkeys(party for party, _ in lines))
    ordered = sorted(lines.items(), key=lambda item: parties.index(item[0][0]))
    return [{"party": party, "sees": sees, "defenses": names} for (party, sees), names in ordered]


def meaning(spent: pl.DataFrame) -> list[TableRow]:
    """The meaning of epsilon for the least and the best protected hospital of each defense.

    ``spent``: a frame of ``tables.spent``. Numbers of patients in a hundred are rounded up.
    """
    found = list[TableRow]()
    for (defense,), rows in spent.group_by(["defense"], maintain_order=True):
        ends = [_least(rows, descending=order) for order in (True, False)]
        alike = [{**row, "hospital": "", "run": "", "epsilon": 0.0} for row in ends]
        if alike[0] == alike[1] or len(rows) == 1:
            name = "every hospital" if len(rows) > 1 else ends[0]["hospital"]
            ends = [{**ends[0], "hospital": name}]
        found += [{"defense": defense, **row} for row in ends]
    return found


def _least(spent: pl.DataFrame, *, descending: bool) -> TableRow:
    """What epsilon means for the hospital with the largest or the smallest advantage."""
    row = spent.sort("advantage", descending=descending, maintain_order=True).row(0, named=True)
    return {
        "hospital": row["hospital"],
        "run": row["run"],
        "epsilon": row["epsilon"],
        "right": words.of_100((1 + row["advantage"]) / 2),
        "at_1": words.of_100(row["tpr_at_1fpr"]),
        "at_01": words.of_100(row["tpr_at_01fpr"]),
    }


def statements(records: Sequence[RunRecord]) -> list[tuple[str, Statement]]:
    """The statements of privacy of each defense, of its run that spends most.

    There are none where all are about records, which have a table of their own.
    """
    most = dict[str, RunRecord]()
    for record in records:
        spent = [one.epsilon for one in record.statements]
        before = most.get(record.defense)
        if spent and (before is None or spent > [one.epsilon for one in before.statements]):
            most[record.defense] = record
    found = [(name, one) for name, record in most.items() for one in record.statements]
    return found if any(one.unit != "record" for _, one in found) else []


def access(records: Sequence[RunRecord]) -> list[TableRow]:
    """The visibility tables, each with the designs that have it: assets, and cells by party.

    Evidence of an older version has none.
    """
    groups: dict[str, TableRow] = {}
    names: dict[str, dict[str, None]] = {}
    for record in records:
        key = json.dumps([one.model_dump() for one in record.access])
        assets = list(dict.fromkeys(asset for one in record.access for asset in one.after))
        rows = {one.party: [one.cell(asset) for asset in assets] for one in record.access}
        if rows:
            groups.setdefault(key, {"assets": assets, "rows": rows})
            names.setdefault(key, {})[words.defense(record.defense)] = None
    n_all = len({record.defense for record in records})
    return [found | {"defenses": _all_or(names[key], n_all)} for key, found in groups.items()]


def conflicts(records: Sequence[RunRecord]) -> list[TableRow]:
    """Each conflict between parts of a design, with the designs that have it."""
    lines = _by_defense(
        records, lambda record: [(one.between, one.text) for one in record.conflicts]
    )
    return [
        {"between": between, "text": text, "defenses": names}
        for (between, text), names in lines.items()
    ]


def missing(records: Sequence[RunRecord]) -> list[TableRow]:
    """The number of replies that may be missing in a round, with the designs that it holds for.

    Evidence of an older version does not state it.
    """
    lines = _by_defense(records, lambda record: [("", record.missing)] if record.missing else [])
    return [{"text": text, "defenses": names} for (_, text), names in lines.items()]


def screened(records: Sequence[RunRecord]) -> list[TableRow]:
    """Replies that were not used, one row for all designs that lost the same.

    ``cells``: the defenses of these, as the evidence names them.
    """
    n_all = len({record.defense for record in records})
    rows = tables.screened(records).iter_rows(named=True)
    return [
        row
        | {
            "cells": row["defenses"],
            "defenses": _all_or(map(words.defense, row["defenses"]), n_all),
        }
        for row in rows
    ]


def skipped(records: Sequence[RunRecord]) -> list[TableRow]:
    """Runs with rounds that were skipped."""
    return [
        {"record": record, "rounds": record.skipped_rounds}
        for record in records
        if record.skipped_rounds
    ]


def threats(rows: Iterable[Row]) -> list[TableRow]:
    """Register rows by threat, in the register's order, with how many rows have each status."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "threat":
            groups.setdefault(row.id, []).append(row)
    return [_threat(group) for group in groups.values()]


def explained(records: Sequence[RunRecord]) -> dict[str, dict[str, Title]]:
    """Plain names and sentences of the attacks and the defenses that ran, by their typed names."""
    attacks = dict.fromkeys(record.attack for record in records if record.attack != NONE)
    defenses = dict.fromkeys(record.defense for record in records if record.defense != NONE)
    return {
        "attack": {k: v for name in attacks for k, v in titles.explained("attack", name).items()},
        "defense": {
            k: v for name in defenses for k, v in titles.explained("defense", name).items()
        },
    }


def settings(records: Sequence[RunRecord]) -> dict[str, str]:
    """Configured values that all runs share, by dotted key."""
    flat = [dict(_flat(record.config)) for record in records]
    return {
        key: value
        for key, value in flat[0].items()
        if all(other.get(key) == value for other in flat)
    }


def _by_defense(
    records: Sequence[RunRecord], lines: Callable[[RunRecord], list[tuple[str, str]]]
) -> dict[tuple[str, str], list[str]]:
    """The defenses with which each line of a record occurs; one name for all of them."""
    seen: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        for line in lines(record):
            seen.setdefault(line, {})[words.defense(record.defense)] = None
    n_all = len({record.defense for record in records})
    return {line: _all_or(names, n_all) for line, names in seen.items()}


def _all_or(names: Iterable[str], n_all: int) -> list[str]:
    given = list(names)
    return ["every design"] if 1 < n_all == len(given) else given


def _threat(rows: Sequence[Row]) -> TableRow:
    statuses = Counter(row.status for row in rows)
    return {
        "about": rows[0],
        "rows": rows,
        "statuses": statuses,
        "outcomes": Counter(row.shown for row in rows if row.shown is not None),
        "tested": any(row.runs for row in rows),
    }


def _flat(node: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _some(shown: Sequence[Recovered]) -> list[Recovered]:
    exact = [one for one in shown if one.exact]
    return exact[:MOST_SHOWN] + [one for one in shown if not one.exact][:1]
