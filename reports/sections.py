"""What tables of the page list beyond the frames of ``reports.analysis.tables``: records -> plain
lists and dicts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from reports.analysis import tables
from reports.figures import multiples
from reports.text import words
from sim.evidence import Recovered, RunRecord
from sim.types import Node, TableRow
from threats.catalog import Catalog
from threats.register import Row

MOST_SHOWN = 2  # recovered records of a defense in the gallery, plus one that was missed


def effect_matrix(effects: pl.DataFrame) -> Node:
    """Hospitals down, defenses across in groups that fit a page; the hospitals that
    ``multiples.hardest_hit`` keeps.
    """
    rows = list(effects.iter_rows(named=True))
    shown = set(multiples.hardest_hit(effects))
    hospitals = {row["hospital"]: row["n_train"] for row in rows if row["hospital"] in shown}
    return {
        "defenses": multiples.batches(
            list(dict.fromkeys(row["defense"] for row in rows)), multiples.MOST_EFFECTS
        ),
        "hospitals": hospitals,
        "cells": {(row["hospital"], row["defense"]): row for row in rows},
        "n_hidden": effects["hospital"].n_unique() - len(hospitals),
    }


def breakdown_matrix(found: pl.DataFrame) -> Node:
    """Breakdown points: defenses down, attacks across in groups that fit a page; from a frame of
    ``breakdown.points``.
    """
    rows = list(found.iter_rows(named=True))
    return {
        "attacks": multiples.batches(
            list(dict.fromkeys(row["attack"] for row in rows)), multiples.MOST_EFFECTS
        ),
        "defenses": list(dict.fromkeys(row["defense"] for row in rows)),
        "cells": {(row["attack"], row["defense"]): row for row in rows},
    }


def gallery(records: Sequence[RunRecord], *, show_reconstructions: bool) -> list[TableRow]:
    """Attacked records beside what was recovered, for the first seed of each attack and defense;
    equal ones are shown once.

    Data that is not public gives nothing here unless ``show_reconstructions``.
    """
    groups: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, str]] = set()
    for record in records:
        found, cell = record.inversion, (record.attack, record.defense)
        if found is None or cell in seen or not (record.public or show_reconstructions):
            continue
        seen.add(cell)
        shown = _some(found.gallery)
        key = json.dumps([record.attack, *(one.model_dump() for one in shown)])
        group = groups.setdefault(
            key, {"attack": record.attack, "defenses": [], "shown": shown, "seed": record.seed}
        )
        group["defenses"].append(words.defense(record.defense))
    return [group for group in groups.values() if group["shown"]]


def withheld(records: Sequence[RunRecord], *, show_reconstructions: bool) -> bool:
    """Whether reconstructed records exist only as scores on this page because the data is not
    marked public.
    """
    return not show_reconstructions and any(
        record.inversion is not None and not record.public for record in records
    )


def visibility(records: Sequence[RunRecord]) -> list[TableRow]:
    """Who sees what: each party and what it sees, with the designs in which it does; parties in the
    order of the evidence.
    """
    lines = _by_defense(
        records, lambda record: [(one.party, one.sees) for one in record.visibility]
    )
    parties = list(dict.fromkeys(party for party, _ in lines))
    ordered = sorted(lines.items(), key=lambda item: parties.index(item[0][0]))
    return [{"party": party, "sees": sees, "defenses": names} for (party, sees), names in ordered]


def conflicts(records: Sequence[RunRecord]) -> list[TableRow]:
    """Each conflict between parts of a design, with the designs that have it."""
    lines = _by_defense(
        records, lambda record: [(one.between, one.text) for one in record.conflicts]
    )
    return [
        {"between": between, "text": text, "defenses": names}
        for (between, text), names in lines.items()
    ]


def screened(records: Sequence[RunRecord]) -> list[TableRow]:
    """Replies that were not used, one row for all designs that lost the same."""
    n_all = len({record.defense for record in records})
    rows = tables.screened(records).iter_rows(named=True)
    return [row | {"defenses": _all_or(map(words.defense, row["defenses"]), n_all)} for row in rows]


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


def explained(records: Sequence[RunRecord], catalog: Catalog) -> dict[str, str]:
    """A plain sentence for every attack that ran and that the catalog of threats knows."""
    names = dict.fromkeys(name for record in records for name in record.attack.split("+"))
    # of several the first
    plain = {name: threat.plain for threat in reversed(catalog.threats) for name in threat.attacks}
    return {name: plain[name] for name in names if name in plain}


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
    """The defenses with which each of a record's lines occurs; one name for all of them."""
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
        "tested": any(row.runs for row in rows),
    }


def _flat(node: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _some(shown: Sequence[Recovered]) -> list[Recovered]:
    return [one for one in shown if one.exact][:MOST_SHOWN] + [
        one for one in shown if not one.exact
    ][:1]
