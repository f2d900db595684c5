"""The success of membership inference, by attack and defense, beside its null and its bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports.text import words
from sim.evidence import Membership, MembershipBound, RunRecord, intervals, roc
from sim.evidence.metrics import SHARE

PARTIES: Final = {
    "aggregator": "the aggregator",
    "hospital": "another hospital",
    "outsider": "whoever gets the final model",
    "outsider_api": "whoever may ask the final model",
}
LEVELS: Final = (0.01, 0.001)


@dataclass(frozen=True)
class Rate:
    """A figure over seeds with its 95 % interval, None below two seeds."""

    value: float
    interval: intervals.Interval | None


@dataclass(frozen=True)
class Cell:
    """The runs of one attack under one defense, over all seeds.

    ``auc`` and ``null``: the mean area over seeds, of the attack and between records that were not
    trained on. ``at``: by false positive rate, the true positive rate with one threshold for all
    seeds, None where too few other records tell it. ``bound``: by false positive rate, the largest
    bound of private training; empty without it. ``curve``: of all seeds' scores.
    """

    attack: str
    defense: str
    who: str
    n_seeds: int
    n_members: int
    n_others: int
    auc: Rate
    null: Rate | None
    at: dict[float, Rate | None]
    bound: dict[float, float]
    curve: roc.Curve


def cells(records: Sequence[RunRecord]) -> list[Cell]:
    """One cell for each attack and defense in which records were asked about, in their order."""
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        found = record.membership
        if found is not None and found.members and found.others:
            groups.setdefault((record.attack, record.defense), []).append(record)
    return [_cell(*names, group) for names, group in groups.items()]


def violations(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each run in which more was inferred than private training allows."""
    found = list[str]()
    for record in records:
        bounds = [] if record.membership is None else record.membership.bounds
        worst = next((one for one in bounds if one.exceeded), None)
        if worst is not None:
            found.append(_violation(record, worst))
    return found


def _violation(record: RunRecord, worst: MembershipBound) -> str:
    attack = words.attack_first(record.attack)
    return (
        f"{attack} {words.under(record.defense)}, seed {record.seed}:"
        f" {words.share(worst.true_positives)} of the records that were trained on are recognized"
        f" at {words.share(worst.false_positives)} false positives, at least"
        f" {words.share(worst.lowest)} by the interval, where private training allows at most"
        f" {words.share(worst.allowed)}: the stated privacy is not what these runs have."
    )


def _cell(attack: str, defense: str, records: Sequence[RunRecord]) -> Cell:
    found = [one.membership for one in records if one.membership is not None]
    members = [score for one in found for score in one.members]
    others = [score for one in found for score in one.others]
    return Cell(
        attack=attack,
        defense=defense,
        who=PARTIES.get(found[0].party, found[0].party),
        n_seeds=len(found),
        n_members=len(members),
        n_others=len(others),
        auc=_mean([roc.auc(one.members, one.others) for one in found]),
        null=_null(records),
        at={level: _rate(found, level) for level in LEVELS},
        bound=_bounds(found),
        curve=roc.curve(members, others),
    )


def _mean(values: Sequence[float]) -> Rate:
    return Rate(sum(values) / len(values), intervals.mean_interval(values, SHARE))


def _null(records: Sequence[RunRecord]) -> Rate | None:
    values = [one.value("membership_auc_null") for one in records]
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _rate(found: Sequence[Membership], level: float) -> Rate | None:
    """The rate at one threshold for all seeds, with Korn and Graubard's interval over seeds."""
    others = sorted((score for one in found for score in one.others), reverse=True)
    allowed = roc.allowed_errors(len(others), level)
    if not allowed:
        return None
    threshold = others[allowed]
    rates = [sum(score > threshold for score in one.members) / len(one.members) for one in found]
    sizes = [len(one.members) for one in found]
    pooled = sum(rate * n for rate, n in zip(rates, sizes, strict=True)) / sum(sizes)
    return Rate(pooled, intervals.clustered_rate_interval(rates, sizes))


def _bounds(found: Sequence[Membership]) -> dict[float, float]:
    largest: dict[float, float] = {}
    for one in (bound for membership in found for bound in membership.bounds):
        held = largest.get(one.false_positives, 0.0)
        largest[one.false_positives] = max(held, one.bound)
    return largest
