"""What sums determine together, held to exact elimination over fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import sums
from sim.design import overlap
from sim.types import Members
from tests.federation import experiment

LETTERS = "abcdefg"
SUMS = st.lists(st.sets(st.sampled_from(LETTERS), min_size=1), min_size=1, max_size=9)


def rank(rows: list[list[int]]) -> int:
    """The rank by exact elimination."""
    left = [[Fraction(value) for value in row] for row in rows]
    found = 0
    for column in range(len(left[0])):
        pivot = next((row for row in left[found:] if row[column]), None)
        if pivot is None:
            continue
        left.remove(pivot)
        left.insert(found, pivot)
        for row in left[found + 1 :]:
            factor = row[column] / pivot[column]
            row[:] = [value - factor * other for value, other in zip(row, pivot, strict=True)]
        found += 1
    return found


def plainly_single(groups: Members) -> set[str]:
    """The hospitals whose own axis adds nothing to the rank of the sums."""
    rows = [[int(name in group) for name in LETTERS] for group in groups]
    axes = {name: [int(name == other) for other in LETTERS] for name in LETTERS}
    return {name for name, axis in axes.items() if rank([*rows, axis]) == rank(rows)}


@given(SUMS)
def test_single_updates_are_those_that_exact_elimination_determines(
    drawn: list[set[str]],
) -> None:
    groups = tuple(tuple(sorted(group)) for group in drawn)
    assert sums.single(groups) == plainly_single(groups)
    alone = {group[0] for group in sums.solved(groups).groups if len(group) == 1}
    assert alone == plainly_single(groups)


@given(SUMS, st.integers(0, 99))
def test_solved_groups_have_the_sums_of_their_hospitals(drawn: list[set[str]], seed: int) -> None:
    groups = tuple(tuple(sorted(group)) for group in drawn)
    values = dict(zip(LETTERS, np.random.default_rng(seed).normal(size=(7, 3)), strict=True))
    totals = np.array([sum(values[name] for name in group) for group in groups])
    found = sums.solved(groups)
    for group, row in zip(found.groups, found.weights @ totals, strict=True):
        np.testing.assert_allclose(row, sum(values[name] for name in group), atol=1e-8)


def test_hospitals_that_are_in_the_same_sums_stay_together() -> None:
    found = sums.solved((("a", "b", "c"), ("a", "b"), ("d", "e")))
    assert found.groups == (("a", "b"), ("c",), ("d", "e"))
    assert sums.solved((("a", "b"), ("b", "c"))).groups == ()


# --- of a design


def test_the_rounds_that_are_stated_are_the_first_that_do() -> None:
    words = ("consortium=heart12", "secagg=groups", "secagg.size=4", "training.rounds=12")
    plan = experiment(*words).plan
    found = overlap.overlap(plan)
    assert found is not None
    assert found.first is not None
    assert found.all is not None
    known = [
        len(sums.single(tuple(group for i in range(1, last + 1) for group in plan.groups(i))))
        for last in range(1, 13)
    ]
    assert all(few <= many for few, many in pairwise(known))
    assert known.index(12) + 1 == found.all
    assert next(i for i, n in enumerate(known) if n) + 1 == found.first
    text = overlap.sentence(plan)
    assert text is not None
    assert f"those of {found.first} rounds determine a single update" in text


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (("secagg=groups", "secagg.size=6", "training.rounds=3"), "determine no single update"),
        (("secagg=groups", "secagg.size=6", "secagg.redraw=fixed"), None),
        (("secagg=groups", "secagg.size=6", "secagg.by=size"), None),
        (("secagg=sum",), None),
        ((), None),
    ],
)
def test_groups_that_stay_or_rounds_that_are_few_show_nothing(
    words: tuple[str, ...], stated: str | None
) -> None:
    text = overlap.sentence(experiment("consortium=heart12", *words).plan)
    assert text is None if stated is None else stated in str(text)


@given(SUMS, st.lists(st.integers(1, 50), min_size=7, max_size=7), st.integers(0, 99))
def test_estimates_have_the_sums_and_are_exact_where_updates_go_with_steps(
    drawn: list[set[str]], numbers: list[int], seed: int
) -> None:
    groups = tuple(tuple(sorted(group)) for group in drawn)
    steps = dict(zip(LETTERS, numbers, strict=True))
    rng = np.random.default_rng(seed)
    common = rng.normal(size=3)
    alike = {name: steps[name] * common for name in LETTERS}
    other = dict(zip(LETTERS, rng.normal(size=(7, 3)), strict=True))
    found = sums.estimated(groups, steps)
    for values in (alike, other):
        totals = np.array([sum(values[name] for name in group) for group in groups])
        guessed = dict(zip(found.groups, found.weights @ totals, strict=True))
        again = [sum(guessed[(name,)] for name in group) for group in groups]
        np.testing.assert_allclose(again, totals, atol=1e-5)
        for name in sums.single(groups) if values is other else [one for (one,) in guessed]:
            np.testing.assert_allclose(guessed[(name,)], values[name], atol=1e-5)


def test_without_numbers_of_steps_there_is_no_estimate() -> None:
    assert sums.estimated((("a", "b"),), {}).groups == ()
