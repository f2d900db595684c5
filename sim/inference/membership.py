"""Membership inference: which records were trained on, asked of an attack and scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.design.batches import sample_rate
from sim.evidence import Membership, MembershipBound, Outcome, outcome, roc
from sim.evidence.intervals import rate_interval
from sim.federation.observing import Findings
from sim.inference.inquiry import Inquiry
from sim.kinds import LocalPrivacy
from sim.types import Asked, Records

LEVELS = {"membership_tpr_at_1fpr": 0.01, "membership_tpr_at_01fpr": 0.001}
BOUNDED = (0.1, 0.01, 0.001)  # false positive rates at which a bound of private training is checked
FEWEST = 10  # records of each kind that a hospital's own figure needs
DIGITS = 7  # of a score that is stored
NOBODY = "no record was asked about, or none of one kind"


@dataclass(frozen=True, eq=False)
class Candidates:
    """The records asked about, in an order that tells nothing.

    ``hospitals`` (n,): where each lies. ``is_member`` (n,): whether it was trained on.
    """

    records: Records
    hospitals: NDArray[np.str_]
    is_member: NDArray[np.bool_]


def membership(inquiry: Inquiry) -> Findings:
    """The success of a membership inference, beside its success where there is nothing to find.

    Asked about are the records that honest hospitals trained on and their held-out records.
    """
    found = candidates(inquiry)
    n = len(found.records)
    n_members = int(found.is_member.sum())
    scores = np.zeros(0)
    if 0 < n_members < n:
        asked = Asked(
            question="membership",
            choices=("member",),
            hospitals=tuple(found.hospitals.tolist()),
            records=found.records,
            share=n_members / n,
        )
        scores = shortened(inquiry.answers(asked, n)[:, 0])
    return scored(inquiry, found, scores)


def candidates(inquiry: Inquiry) -> Candidates:
    """All records that the attack is asked about; none that equals one that was trained on."""
    truth = inquiry.subject.truth
    held_out = {one.name: one.test for one in truth.consortium.hospitals}
    n_features = inquiry.subject.plan.columns.n_features
    features = [np.zeros((0, n_features), np.float32)]
    labels = [np.zeros(0, np.float32)]
    names = list[str]()
    is_member = list[bool]()
    # a patient can be at two hospitals
    known_anywhere = {row for site in truth.sites for row in _rows(site.records)}
    for name in inquiry.others:
        trained = truth.site(name).records.take(inquiry.trained_on(name))
        is_new = [row not in known_anywhere for row in _rows(held_out[name])]
        others = held_out[name].take(np.array(is_new, dtype=np.bool_))
        for part, known in ((trained, True), (others, False)):
            features.append(part.features)
            labels.append(part.labels)
            names += [name] * len(part)
            is_member += [known] * len(part)
    order = inquiry.draws("order").permutation(len(names))
    whole = Records(np.concatenate(features), np.concatenate(labels))
    return Candidates(
        whole.take(order),
        np.array(names, dtype=np.str_)[order],
        np.array(is_member, dtype=np.bool_)[order],
    )


def _rows(records: Records) -> list[bytes]:
    """Each record as bytes, which are the same for equal records."""
    pairs = zip(records.features, records.labels, strict=True)
    return [bytes(features.tobytes() + label.tobytes()) for features, label in pairs]


def shortened(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores as evidence holds them, with so many digits that their order stays."""
    return np.array([float(f"{score:.{DIGITS}g}") for score in scores.tolist()])


def scored(inquiry: Inquiry, found: Candidates, scores: NDArray[np.float64]) -> Findings:
    """The evidence of an attack that gave these scores, (n,), or none where there was nothing."""
    known = found.is_member if len(scores) else np.zeros(0, np.bool_)
    members = np.sort(scores[known])
    others = np.sort(scores[~known])
    shuffled = inquiry.draws("shuffled").permutation(known)
    details = Membership(
        attack=inquiry.name,
        party=inquiry.attack.party,
        rounds=[one.number for one in inquiry.seen.rounds],
        members=members.tolist(),
        others=others.tolist(),
        bounds=bounds(inquiry, members, others) if len(scores) else [],
    )
    outcomes = [
        *_rates(members, others, ""),
        *_rates(scores[shuffled], scores[~shuffled], "_null"),
        _outcome("membership_auc", members, others),
        _outcome("membership_auc_null", *_halves(inquiry, others)),
        *_each_hospital(found, scores),
    ]
    return Findings(outcomes, {"membership": details})


def _rates(members: roc.Scores, others: roc.Scores, suffix: str) -> list[Outcome]:
    """True positive rates at fixed false positive rates, and the largest gap between the two."""
    n = len(members)
    rates = list[Outcome]()
    for metric, level in LEVELS.items():
        few = f"of {len(others)} other records none may be taken for a member at this rate"
        is_measured = n > 0 and roc.allowed_errors(len(others), level) > 0
        value = roc.true_positives(members, others, level) if is_measured else None
        rates.append(outcome(metric + suffix, value, n, undefined=few if n else NOBODY))
    gap = roc.advantage(members, others) if n else None
    n_all = n + len(others)
    rates.append(outcome(f"membership_advantage{suffix}", gap, n_all, undefined=NOBODY))
    return rates


def _outcome(
    metric: str, members: roc.Scores, others: roc.Scores, hospital: str | None = None
) -> Outcome:
    enough = len(members) > 0 and len(others) > 0
    value = roc.auc(members, others) if enough else None
    n = len(members) + len(others)
    return outcome(metric, value, n, hospital=hospital, undefined=NOBODY)


def _halves(
    inquiry: Inquiry, others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two halves of the records that were not trained on, drawn at random."""
    mixed = inquiry.draws("halves").permutation(others)
    return mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]


def _each_hospital(found: Candidates, scores: NDArray[np.float64]) -> list[Outcome]:
    each = list[Outcome]()
    for name in sorted({*found.hospitals.tolist()}) if len(scores) else []:
        own = found.hospitals == name
        members = scores[own & found.is_member]
        others = scores[own & ~found.is_member]
        if min(len(members), len(others)) >= FEWEST:
            each.append(_outcome("membership_auc", members, others, name))
    return each


def bounds(
    inquiry: Inquiry, members: NDArray[np.float64], others: NDArray[np.float64]
) -> list[MembershipBound]:
    """The most that private training allows any attack, beside this one's rates; else nothing.

    The bound is that of the hospital that spends the most. Rates are compared by the limits of
    their samples, so that chance alone seldom exceeds it. The bound is for records of which it is
    left open whether they are drawn; of those that were drawn more may be found, by this share.
    """
    dp = inquiry.subject.plan.dp
    if dp is None:
        return []
    return [_bound(inquiry, dp, members, others, level) for level in BOUNDED]


def _bound(
    inquiry: Inquiry,
    dp: LocalPrivacy,
    members: NDArray[np.float64],
    others: NDArray[np.float64],
    level: float,
) -> MembershipBound:
    reached = roc.true_positives(members, others, level)
    allowed = roc.allowed_errors(len(others), level)
    lowest = rate_interval(round(reached * len(members)), len(members)).low
    highest = rate_interval(allowed, len(others)).high
    at_most = _most(inquiry, dp, highest, drawn=True)
    return MembershipBound(
        false_positives=level,
        bound=_most(inquiry, dp, level, drawn=False),
        true_positives=reached,
        lowest=lowest,
        highest=highest,
        allowed=at_most,
        exceeded=lowest > at_most,
    )


def _most(inquiry: Inquiry, dp: LocalPrivacy, false_positives: float, *, drawn: bool) -> float:
    """The largest true positive rate of any attack, at the hospital where it is largest.

    ``drawn``: among the records that were drawn in a round that joined, not among all.
    """
    training = inquiry.subject.plan.training
    found = list[float]()
    for name in inquiry.others:
        counted = dp.counted(len(inquiry.subject.truth.site(name).records))
        rate = sample_rate(counted, training)
        steps = training.steps(counted)
        history = [(dp.noise(counted, training), rate, training.rounds * steps)]
        of_all = dp.true_positives(history, false_positives)
        joined = steps * len(inquiry.joined.get(name, ()))
        share = 1 - (1 - rate) ** joined if drawn else 1.0
        if share:
            found.append(min(1.0, of_all / share))
    return max(found, default=1.0)
