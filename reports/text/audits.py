"""The findings of audits of private training, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from reports.text import words
from sim.evidence.audits import Audit, is_refuted, refuting
from sim.evidence.one_run import Bounds, ceiling, expected
from sim.types import Node

FACTORS: Final = (1, 2, 10)  # times that noise may be too small
FORM_NAMES: Final = {"one_run": "one-run audit", "f_dp": "f-DP form"}
DIFFER: Final = {  # by the relation of neighbors
    "replace": "one record that stands in place of another",
    "add_remove": "one record that is there or not",
}


def at_least(epsilon: float) -> str:
    """A lower bound of epsilon with two decimals, rounded down."""
    return f"{math.floor(100 * epsilon) / 100:.2f}"


def title(one: Audit) -> str:
    """The heading of an audit of private training."""
    return (
        f"{one.mechanism} in {one.hospital}: what {one.n_canaries:,} canaries show of epsilon"
        f" at delta {words.delta(one.delta)}"
    )


def cells(one: Audit) -> list[str]:
    """The right guesses of an audit, its two bounds, the claim, and whether they exceed it."""
    most = one.bounds.tried[0]
    return [
        f"{most.correct} of {most.guesses}",
        at_least(one.bounds.one_run),
        at_least(one.bounds.f_dp),
        words.epsilon(one.claim),
        "above the claim" if one.exceeds else "",
    ]


def heading(found: Sequence[Audit]) -> str:
    """Whether the audits refute the claim, in a few words; or that they could not."""
    if is_refuted(found):
        return "The claim is refuted"
    return f"The claim is not refuted{'' if _can_refute(found[0]) else ', and could not be'}"


def _can_refute(one: Audit) -> bool:
    """Whether an audit of which all guesses are right would exceed the claim."""
    most = _ceiling(one)
    return max(most.one_run, most.f_dp) > one.claim


def verdict(found: Sequence[Audit]) -> str:
    """Whether the audits refute the claim, in one sentence."""
    exceeding = sum(one.exceeds for one in found)
    audits = f"in {exceeding} of {words.count(len(found), 'audit')} a bound is above the claim"
    claim = f"epsilon {words.epsilon(max(one.claim for one in found))}"
    if is_refuted(found):
        needed = refuting(len(found), found[0].confidence)
        return f"Refuted: {audits}; {needed} are enough. The training spends more than {claim}."
    if not _can_refute(found[0]):
        n = f"{found[0].n_canaries:,} canaries"
        return (
            f"Not refuted: {audits}. That shows nothing of {claim}: with {n} no bound can be above"
            " it, however small the noise is; more canaries are needed."
        )
    return f"Not refuted: {audits}. That is no proof of {claim}."


def sentences(found: Sequence[Audit]) -> list[str]:
    """The verdict, and what such audits can and cannot see at this claim."""
    return [verdict(found), *limits(found[0])]


def limits(one: Audit) -> list[str]:
    """Sentences on what an audit with so many canaries can and cannot see at its claim."""
    most = _ceiling(one)
    by_form = {"one_run": most.one_run, "f_dp": most.f_dp}
    texts = list[str]()
    for form, value in by_form.items():
        shown = f"The {FORM_NAMES[form]} shows at most {at_least(value)} here"
        blind = f", so it cannot refute a claim of {words.epsilon(one.claim)}"
        texts.append(f"{shown}, even where no noise is added{blind * (value <= one.claim)}.")
    return [
        *texts,
        f"All bounds of an audit hold together with {words.share(one.confidence)} confidence: the"
        " one-run bound for every mechanism, the f-DP form's where the trade-off curve is that of"
        " Gaussian noise.",
    ]


def powers(one: Audit) -> list[Node]:
    """The bounds to expect where noise is too small by ``FACTORS``, and where there is none."""
    if not one.claim > 0:
        return []
    rows = [
        (f"{factor} times too small" if factor > 1 else "as claimed", _expected(one, factor))
        for factor in FACTORS
    ]
    return [
        {"noise": noise, "one_run": at_least(of.one_run), "f_dp": at_least(of.f_dp)}
        for noise, of in [*rows, ("none (all guesses right)", _ceiling(one))]
    ]


def as_json(found: Sequence[Audit]) -> Node:
    """The findings of the audits of one claim, in plain values."""
    one = found[0]
    most = _ceiling(one)
    return {
        "consortium": one.consortium,
        "hospital": one.hospital,
        "mechanism": one.mechanism,
        "relation": one.relation,
        "delta": one.delta,
        "confidence": one.confidence,
        "canaries": one.n_canaries,
        "trained": one.trained,
        "refuted": is_refuted(found),
        "exceeding": sum(each.exceeds for each in found),
        "ceiling": {"one_run": most.one_run, "f_dp": most.f_dp},
        "audits": [
            {
                "run": each.run,
                "seed": each.seed,
                "claim": each.claim,
                "one_run": each.bounds.one_run,
                "f_dp": each.bounds.f_dp,
                "exceeds": each.exceeds,
                "tried": [tried._asdict() for tried in each.bounds.tried],
            }
            for each in found
        ],
    }


def _ceiling(one: Audit) -> Bounds:
    return ceiling(one.n_canaries, one.guesses, one.delta, one.confidence)


def _expected(one: Audit, factor: float) -> Bounds:
    return expected(one.claim, factor, one.n_canaries, one.guesses, one.delta, one.confidence)
