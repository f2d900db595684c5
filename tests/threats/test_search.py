"""The search names the smallest changes that meet all criteria, or what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests import designs
from threats import problems
from threats.changes import COSTS, Change
from threats.criteria import Judged, Outcome, Tried
from threats.search import Judge, search, stages, summary

DESIGN = problems.design(designs.values())
LIMIT = 0.1


def change(text: str, cost: Any = "rule") -> Change:
    return Change(cost=cost, text=text, design=DESIGN)


def judged(figure: float, outcome: Outcome, id_: str = "accuracy") -> Judged:
    """A criterion that a loss is at most ``LIMIT``, with the loss that was found."""
    tried = Tried.model_construct(
        attack="label_flip", outcome=outcome, figure=figure, seeds=(0, 1), reasons=()
    )
    return Judged.model_construct(
        id=id_, bound="loss_at_most", limit=LIMIT, outcome=outcome, tried=(tried,),
        decisive="label_flip",
    )  # fmt: skip


def losing(losses: Mapping[str, float], log: list[tuple[str, int]], full: int) -> Judge:
    """Changes with these losses, which are decided with ``full`` seeds and not with fewer."""

    def judge(one: Change, seeds: int) -> Sequence[Judged]:
        log.append((one.text, seeds))
        loss = losses[one.text]
        decided: Outcome = "met" if loss <= LIMIT else "not_met"
        return [judged(loss, decided if seeds == full else "inconclusive")]

    return judge


def test_the_seeds_of_the_stages_grow_to_all() -> None:
    assert [stages(n) for n in (1, 2, 3, 10, 30)] == [[1], [2], [2, 3], [2, 4, 10], [2, 4, 10, 30]]


@pytest.mark.parametrize("cost", COSTS)
def test_the_smallest_change_is_the_cheapest_that_meets_all(cost: str) -> None:
    costs = list(COSTS)
    every = [change(f"{kind}-{n}", kind) for kind in COSTS for n in range(4)]
    good = {f"{kind}-2" for kind in costs[costs.index(cost) :]}
    log: list[tuple[str, int]] = []
    losses = {one.text: 0.0 if one.text in good else 0.4 for one in every}
    found = search(every, losing(losses, log, 10), 10)
    assert [step.change.text for step in found.smallest] == [f"{cost}-2"]
    assert found.complete
    assert not found.in_the_way
    dearer = {f"{kind}-{n}" for kind in costs[costs.index(cost) + 1 :] for n in range(4)}
    assert not dearer & {text for text, _ in log}


def test_all_changes_of_the_least_cost_that_meet_all_are_named() -> None:
    losses = {"a": 0.05, "b": 0.3, "c": 0.01, "d": 0.09, "e": 0.1}
    found = search([change(text) for text in losses], losing(losses, [], 9), 9)
    assert {step.change.text for step in found.smallest} == {"a", "c", "d", "e"}


def test_hopeless_changes_are_left_out_early() -> None:
    losses = {f"bad-{n}": 0.3 + n / 100 for n in range(8)} | {"good": 0.0}
    log: list[tuple[str, int]] = []
    search([change(text) for text in losses], losing(losses, log, 27), 27)
    counts = {seeds: sum(one == seeds for _, one in log) for seeds in stages(27)}
    assert list(counts.values()) == [9, 3, 1, 1]
    assert ("good", 27) in log


def test_a_change_that_is_shown_not_to_meet_a_criterion_goes_on_no_longer() -> None:
    log: list[tuple[str, int]] = []

    def judge(one: Change, seeds: int) -> Sequence[Judged]:
        log.append((one.text, seeds))
        return [judged(0.2, "not_met")]

    found = search([change("a"), change("b")], judge, 9)
    assert {seeds for _, seeds in log} == {2}
    assert {step.state for step in found.steps} == {"not_met"}


def test_where_no_change_helps_none_is_found_and_the_criterion_in_the_way_is_named() -> None:
    def judge(_: Change, __: int) -> Sequence[Judged]:
        return [judged(0.0, "met", "easy"), judged(0.3, "not_met", "hard")]

    found = search([change("a"), change("b", "number")], judge, 5)
    assert found.smallest == ()
    assert found.in_the_way == ("hard",)
    assert found.complete
    assert found.nearest is not None
    assert found.nearest.change.text == "b"


def test_criteria_that_no_change_meets_together_are_not_in_the_way_alone() -> None:
    def judge(one: Change, _: int) -> Sequence[Judged]:
        losses = (0.0, 0.3) if one.text == "a" else (0.3, 0.0)
        pairs = zip(("one", "other"), losses, strict=True)
        return [judged(loss, "not_met" if loss else "met", id_) for id_, loss in pairs]

    found = search([change("a"), change("b")], judge, 5)
    assert (found.smallest, found.in_the_way) == ((), ())


def test_a_design_that_is_not_defined_is_stated_with_its_reason() -> None:
    found = search([change("a")], lambda _, __: "Krum needs more rows", 5)
    (step,) = found.steps
    assert (step.state, step.reason) == ("undefined", "Krum needs more rows")
    assert found.nearest is None


def test_a_search_ends_with_its_time_and_states_it() -> None:
    calls: list[str] = []

    def judge(one: Change, _: int) -> Sequence[Judged] | None:
        calls.append(one.text)
        return None if len(calls) > 2 else [judged(0.3, "inconclusive")]

    found = search([change(text) for text in "abcd"], judge, 9)
    assert not found.complete
    assert [step.state for step in found.steps] == ["unfinished"] * 2 + ["untried"] * 2
    text = " ".join(summary(found))
    assert "Tried: 2 of 4 changes, of which 2 ended with fewer seeds, as the time was over." in text
    assert "Of the others, 2 stayed untried, as the time was over." in text


def test_all_changes_of_the_least_cost_are_tried_while_there_is_time() -> None:
    """In a hurry what looks good is judged first; after that the search goes on with the rest."""
    losses = {"a": 0.0, "b": 0.0, "c": 0.4, "d": 0.0}
    log: list[tuple[str, int]] = []
    judge = losing(losses, log, 5)
    found = search([change(text) for text in losses], judge, 5, lambda: min(0.9, len(log) / 3))
    assert log == [*zip("abab", (2, 2, 5, 5), strict=True), ("c", 2), ("d", 2), ("d", 5)]
    assert [step.state for step in found.steps] == ["met", "met", "left_out", "met"]
    assert found.complete


def test_a_summary_states_what_became_of_each_change() -> None:
    losses = {"a": 0.0, "b": 0.3, "c": 0.35, "d": 0.4, "e": 0.5}
    known = losing(losses, [], 5)

    def judge(one: Change, seeds: int) -> Sequence[Judged] | str | None:
        return "Krum needs more rows" if one.text == "f" else known(one, seeds)

    every = [*(change(text) for text in "abcdef"), change("g", "members")]
    text = " ".join(summary(search(every, judge, 5)))
    assert text.startswith("a (one rule): meets all criteria. Tried: 5 of 7 changes, of which")
    assert "1 met all criteria, 1 missed one, 3 ended with fewer seeds, as others came" in text
    assert "Of the others, 1 made no design that can be run, 1 cost more than what was" in text
    assert "trial.first_seed" in text


def test_a_figure_that_is_not_there_is_not_within_its_bound() -> None:
    """A change without a figure of a criterion is not taken for one that meets it."""
    nothing = judged(0.0, "inconclusive")
    without = Tried.model_construct(attack="label_flip", figure=None, seeds=(0, 1))
    lacking = nothing.model_copy(update={"tried": (without,)})
    found = search([change("a")], lambda _, __: [lacking], 5)
    assert found.in_the_way == ("accuracy",)
    assert found.nearest is not None
    assert found.nearest.shortfall == float("inf")
