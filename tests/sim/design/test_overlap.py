"""After how many rounds sums that differ by one hospital are left, held to all pairs of sums."""

from __future__ import annotations

from itertools import combinations

import pytest

from sim.design import overlap
from sim.design.plan import FederationPlan
from sim.types import Members
from tests.federation import experiment

TWELVE = ("consortium=heart12", "model=logistic", "training.rounds=6", "adversary.n_hostile=0")


def plan(*words: str) -> FederationPlan:
    return experiment(*TWELVE, *words).plan


def allowed(groups: Members, least: int) -> set[frozenset[str]]:
    """All sums that hospitals of these groups would take for one from which others vanished."""
    return {
        frozenset(chosen)
        for group in groups
        for size in range(least, len(group) + 1)
        for chosen in combinations(group, size)
    }


def by_hand(one: FederationPlan) -> int | None:
    earlier = set[frozenset[str]]()
    for number in range(1, one.training.rounds + 1):
        now = allowed(one.groups(number), one.least)
        if any(len(a ^ b) == 1 for a in now for b in earlier):
            return number
        earlier |= now
    return None


@pytest.mark.parametrize(
    "words",
    [
        ("secagg=sum",),
        ("secagg=sum", "secagg.least=12"),
        ("secagg=protocol", "secagg.threshold=11"),
        ("secagg=protocol", "secagg.threshold=12"),
        *(
            ("secagg=groups", f"secagg.size={size}", f"secagg.least={least}", f"seed={seed}")
            for size, least in ((2, 2), (3, 2), (3, 3), (4, 3), (5, 4))
            for seed in (0, 1)
        ),
        ("secagg=groups", "secagg.size=3", "secagg.redraw=fixed"),
        ("secagg=groups", "secagg.size=4", "secagg.least=4", "secagg.redraw=fixed"),
        ("secagg=groups", "secagg.size=5", "secagg.least=5", "secagg.redraw=fixed"),
    ],
)
def test_two_sums_differ_by_one_hospital_after_the_rounds_that_are_stated(
    words: tuple[str, ...],
) -> None:
    one = plan(*words)
    assert overlap.left_out(one) == by_hand(one)
