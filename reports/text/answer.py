"""The answer of a page of runs in five sentences, each stating no more than its figures show.

What was asked; the worst attack, without a defense and with the best one tried; what was read;
which hospital pays; what is left open. There are always five.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from reports.analysis import tables
from reports.analysis.seen import Seen
from reports.text import attacked, exposed, words
from sim.evidence import RunRecord
from sim.evidence.controls import NONE
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

EQUAL = 0.0005  # scores that differ by less are shown alike
MOST_NAMED = 4


def sentences(
    everything: Sequence[RunRecord],
    seen: Seen,
    threats: Sequence[TableRow],
    n_refused: int = 0,
) -> list[str]:
    """The five sentences.

    ``everything``: all runs of the page; ``seen``: those with the number of hostile hospitals that
    it is mostly about. ``threats``: what ``sections.threats`` gives for these.
    ``n_refused``: cells that did not run because they are not defined.
    """
    return [
        asked(everything),
        attacked.sentence(seen),
        exposed.sentence(seen),
        pays(seen),
        left_open(seen, threats, n_refused),
    ]


def asked(records: Sequence[RunRecord]) -> str:
    """The sentence on what was run: model, data, attacks, defenses and hostile hospitals."""
    first = records[0]
    attacks = _names(record.attack for record in records)
    defenses = _names(record.defense for record in records)
    hospitals = words.count(first.n_hospitals, "hospital")
    runs = words.count(len(records), "simulated run")
    seeds = words.count(len({record.seed for record in records}), "seed")
    sending = [record.n_hostile for record in records if tables.hostile_act(record)]
    by = f" by up to {max(sending)} of them" if any(sending) else ""
    changes = words.some(map(words.defense, defenses), MOST_NAMED)
    if attacks:
        tried = f"what {words.some(map(words.attack, attacks), MOST_NAMED)}{by} can spoil or read"
        tried += f", and what {changes} changes" if len(defenses) == 1 else ""
        tried += f", and what {changes} change" if len(defenses) > 1 else ""
        tried += ", with no defense" if not defenses else ""
    elif defenses:
        tried = f"what {changes} {'costs' if len(defenses) == 1 else 'cost'} when nobody attacks"
    else:
        tried = "how good the model is with nobody attacking and no defense"
    verb = "asks" if len(records) == 1 else "ask"
    return (
        f"{hospitals} ({first.consortium}) train one model together, and {runs} with {seeds}"
        f" {verb} {tried}."
    )


def pays(seen: Seen) -> str:
    """The sentence on the hospital that pays for a defense when nobody attacks."""
    if all(record.defense == NONE for record in seen.records):
        return "No defense was run, so that it is not known which hospital would pay for one."
    effects = seen.sound.effects
    if effects.is_empty():
        return (
            "Which hospital pays for a defense is not known: that takes runs that nobody attacks,"
            " with and without the defense and with the same seeds."
        )
    hit = tables.worst_hit(effects)
    if hit.is_empty():
        tried = effects["defense"].unique(maintain_order=True)
        return (
            "With nobody attacking, no hospital's mean Brier score (lower is better) rose by 0.001"
            f" or more under {words.some(map(words.defense, tried), MOST_NAMED)}."
        )
    return _dearest(hit)


def _dearest(hit: pl.DataFrame) -> str:
    row = hit.row(0, named=True)
    name = words.defense(row["defense"])
    rise = f"the Brier score (lower is better) of {row['hospital']} changes by"
    change = words.change(row["brier"])
    if row["brier_low"] is None:
        ending = f"{rise} {change}, in one seed, which decides nothing"
        return f"With nobody attacking, the largest rise is seen under {name}: {ending}."
    interval = words.span(row["brier_low"], row["brier_high"], signed=True)
    found = f"{rise} {change} (95 % interval {interval})"
    doubt = (
        f", and whether it is a rise at all is {words.not_decided(row['brier_n'])}"
        if row["brier_low"] <= 0
        else ""
    )
    if row["alike"]:
        alike = words.some(row["alike"], 3)
        return (
            f"With nobody attacking, no hospital is shown to pay most: the largest mean is under"
            f" {name}, where {found}, not distinguished from {alike}{doubt}."
        )
    same = hit.filter(pl.col("brier") > row["brier"] - EQUAL, pl.col("defense") != row["defense"])
    too = f", as much as under {words.some(map(words.defense, same['defense']))}" * bool(len(same))
    return f"With nobody attacking, {name} costs one hospital most: {found}{too}{doubt}."


def left_open(seen: Seen, threats: Sequence[TableRow], n_refused: int = 0) -> str:
    """The sentence on open decisions, untested attacks, and the limits that hold for all of it."""
    records = seen.records
    n_open, n_all = undecided(seen)
    untested = [one for one in threats if not one["tested"]]
    beyond = sum(one["about"].status == "not_testable_by_simulation" for one in untested)
    parts = []
    if n_all:
        pairs = words.count(n_all, "pair of an attack", "pairs of an attack")
        harm = f"harm is not decided in {n_open} of {pairs} on the model and a defense"
        parts.append(harm if n_open else _decided(n_all))
    asked = seen.asked
    unsure = [cell for cell in asked if not exposed.tells(cell)]
    if unsure:
        pairs = words.count(len(asked), "pair")
        parts.append(
            f"whether records that were trained on are recognized is not decided in {len(unsure)}"
            f" of {pairs} of attack and defense"
        )
    if n_refused:
        pairs = words.count(n_refused, "pair")
        parts.append(f"{pairs} of attack and defense did not run, as not defined in this design")
    if untested:
        parts.append(
            f"{len(untested)} of {words.count(len(threats), 'threat')} of the catalog have no run"
            f" here ({beyond} of them no simulation can test)"
        )
    if len({record.seed for record in records}) == 1:
        parts.append("one seed decides nothing")
    acting = [record for record in records if tables.hostile_act(record)]
    if acting and not any(record.adaptive for record in acting):
        parts.append("no attacker adapted to a defense")
    parts.append("attacks that were not tried may do more")
    return f"Still open: {'; '.join(parts)}."


def _decided(n: int) -> str:
    if n == 1:
        return "the one attack on the model is decided with 95 % confidence"
    return (
        f"each of {n} pairs of an attack on the model and a defense is decided with 95 % confidence"
    )


def undecided(seen: Seen) -> tuple[int, int]:
    """Pairs of an attack on the model and a defense in which harm is not decided, and all pairs.

    A backdoor that AUROC judges too is one pair: harm by either is harm. A cell without a control,
    and one in which attack or defense did nothing, decides nothing.
    """
    columns = ("attack", "defense", "verdict", "n_idle")
    cells = [*seen.attacked.select(columns).rows(), *seen.marked.select(columns).rows()]
    verdicts: dict[tuple[str, str], list[str]] = {}
    for attack, defense, verdict, n_idle in cells:
        counted = UNDECIDED if verdict is None or n_idle else verdict
        verdicts.setdefault((attack, defense), []).append(counted)
    n_open = sum(UNDECIDED in found and HARMED not in found for found in verdicts.values())
    return n_open, len(verdicts)


def _names(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name != NONE]
