"""The traffic and time of a round with secure aggregation, and shares that did not open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from reports.text import words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.types import TableRow

COLUMNS = ("messages", "bytes_sent", "bytes_received")
HIDING = "secagg-robustness"  # the conflict of all designs that hide single updates
MOST_PAIRS = 8  # that are listed; the rest is counted


def rows(records: Sequence[RunRecord]) -> list[TableRow]:
    """A hospital's part of a round, under no defense and under each with secure aggregation.

    Messages, bytes, and milliseconds (its equal part of what runs took that nobody attacks, None
    where there are none). ``texts``: what its protocol withstands, in sentences. Empty where no
    defense has secure aggregation.
    """
    found: dict[str, TableRow] = {}
    hiding = {record.defense for record in records if _is_hiding(record)}
    for record in records:
        chosen = record.defense in hiding or record.defense == NONE
        if hiding and chosen and record.defense not in found and record.has(COLUMNS[0]):
            figures = {name: record.value(name) for name in COLUMNS}
            texts = [text[0].upper() + text[1:] + "." for text in record.unmasking]
            found[record.defense] = {
                "defense": record.defense,
                **figures,
                "milliseconds": _milliseconds(records, record.defense),
                "texts": texts,
            }
    return list(found.values())


def _is_hiding(record: RunRecord) -> bool:
    return any(conflict.id == HIDING for conflict in record.conflicts)


def _milliseconds(records: Sequence[RunRecord], defense: str) -> float | None:
    each = [
        1e3 * record.seconds / (record.rounds * record.n_hospitals)
        for record in records
        if record.defense == defense and record.attack == NONE
    ]
    return fmean(each) if each else None


def unopened(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each attack and defense under which shares did not open."""
    cells: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    for record in records:
        pairs = Counter((share.sender, share.receiver) for share in record.unopened)
        if pairs:
            cells.setdefault((record.attack, record.defense), Counter()).update(pairs)
    return [_sentence(attack, defense, pairs) for (attack, defense), pairs in cells.items()]


def _sentence(attack: str, defense: str, pairs: Counter[tuple[str, str]]) -> str:
    ordered = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    shown = [f"from {sender} to {receiver}" for sender, receiver in ordered[:MOST_PAIRS]]
    more = len(ordered) - len(shown)
    listed = ", ".join([*shown, *([f"and {more} more pairs"] if more else [])])
    n_shares = words.count(sum(pairs.values()), "share")
    return (
        f"{words.attack_first(attack)} {words.under(defense)}: {n_shares} did not open ({listed})."
        " Whether sender or receiver was at fault, nobody can tell."
    )
