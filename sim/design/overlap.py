"""Redrawn groups over rounds: after how many of them sums determine single updates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sim.sums import rounds_until

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan

MOST: Final = 500  # hospitals for which the system is solved


@dataclass(frozen=True)
class Overlap:
    """The rounds after which sums determine the first single update, and all of them.

    None: not within the plan's rounds. It holds as far as a hospital's updates are alike from round
    to round, and all hospitals answer.
    """

    first: int | None
    all: int | None


def overlap(plan: FederationPlan) -> Overlap | None:
    """The overlap of the groups that the plan draws over its rounds.

    None where they stay the same, and for more hospitals than ``MOST``.
    """
    if not (plan.is_hiding and plan.secagg.is_redrawn) or len(plan.hospitals) > MOST:
        return None
    rounds = plan.training.rounds
    n_hospitals = len(plan.hospitals)
    return Overlap(
        first=rounds_until(plan.groups, rounds, lambda known: len(known) > 0),
        all=rounds_until(plan.groups, rounds, lambda known: len(known) == n_hospitals),
    )


def left_out(plan: FederationPlan) -> int | None:
    """The rounds after which an aggregator that leaves out uploads has one update as a difference.

    Of two sums that differ by one hospital, it has that one's update, as far as updates are alike
    in both rounds. None: not within the plan's rounds, or no hospital may be left out of a sum. In
    rounds with a group in common it takes one that is larger than what a sum needs.
    """
    found = dict[str, list[int]]()  # of each hospital, the groups that it was in
    sizes = list[int]()
    for number in range(1, plan.training.rounds + 1):
        groups = plan.groups(number)
        for group in groups:
            earlier = Counter(at for name in group for at in found.get(name, []))
            for at, n_common in earlier.items():
                if n_common >= plan.least < max(len(group), sizes[at]):
                    return number
        for at, group in enumerate(groups, len(sizes)):
            sizes.append(len(group))
            for name in group:
                found.setdefault(name, []).append(at)
        if number == 2 and not plan.secagg.is_redrawn:
            break  # all further rounds are like these
    return None


def sentence(plan: FederationPlan) -> str | None:
    """The sentence on what the plan's groups show over its rounds, None where they last."""
    found = overlap(plan)
    if found is None:
        return None
    start = "Groups are drawn anew in each round, so that sums overlap: "
    if found.first is None:
        return f"{start}those of all {plan.training.rounds} rounds determine no single update."
    whole = "those of no more" if found.all is None else f"those of {found.all} rounds all"
    last = "" if found.all is None else f", and {whole} of them"
    return (
        f"{start}those of {found.first} rounds determine a single update{last}, as far as a"
        " hospital's updates are alike from round to round; secagg.redraw=fixed shows none of it."
    )
