"""The search for the smallest change of a design that meets its criteria: successive halving.

All changes are judged with few seeds first. Those that are shown not to meet a criterion are left
out, of the others the better half goes on with more seeds (Jamieson and Talwalkar 2016). With all
seeds the cheapest come first, and the search ends with the first cost at which a change meets all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from threats.changes import COSTS, Change
from threats.criteria import Judged

State = Literal["met", "not_met", "left_out", "undefined", "unfinished"]
# the criteria of a change judged with so many seeds; None once the time is over; or why its design
# is not defined
Judge = Callable[[Change, int], Sequence[Judged] | str | None]
FACTOR: Final = 3  # by how many times more seeds the next stage has
FEWEST: Final = 2  # seeds of the first stage


@dataclass(frozen=True)
class Step:
    """One change and what became of it.

    ``seeds``: with how many it was judged last. ``criteria``: how. ``reason``: why its design is
    not defined, empty otherwise.
    """

    change: Change
    state: State = "unfinished"
    seeds: int = 0
    criteria: tuple[Judged, ...] = ()
    reason: str = ""

    @property
    def shortfall(self) -> float:
        """By how much the figures miss their bounds, over all criteria; 0 where none does."""
        return sum(shortfall(one) for one in self.criteria)

    @property
    def order(self) -> tuple[float, int]:
        """A key by which the better change comes first, of equally good ones the cheaper."""
        return self.shortfall, list(COSTS).index(self.change.cost)


@dataclass(frozen=True)
class Search:
    """What a search found. ``complete``: whether it ended before the time did.

    ``steps``: every change with what became of it. ``in_the_way``: ids of the criteria that no
    change was found to meet; empty if a change meets all, or if each is met by some change.
    """

    steps: tuple[Step, ...]
    in_the_way: tuple[str, ...]
    complete: bool

    @property
    def smallest(self) -> tuple[Step, ...]:
        """The cheapest changes that meet all criteria."""
        return tuple(step for step in self.steps if step.state == "met")

    @property
    def nearest(self) -> Step | None:
        """Of the changes that were judged, the one that comes nearest to all bounds."""
        judged = [step for step in self.steps if step.criteria]
        return min(judged, key=lambda step: step.order, default=None)


def shortfall(judged: Judged) -> float:
    """By how much the worst figure of a criterion misses its bound; infinite without a figure."""
    figures = [one.figure for one in judged.tried if one.seeds]
    if not figures:
        return math.inf
    sign = -1 if judged.bound == "at_least" else 1
    return max(0.0, *(sign * (figure - judged.limit) for figure in figures))


def stages(n_seeds: int) -> list[int]:
    """The numbers of seeds of the stages, the last of which has all.

    >>> stages(10), stages(5), stages(1)
    ([2, 4, 10], [2, 5], [1])
    """
    found = [n_seeds]
    while found[0] > FEWEST:
        found.insert(0, max(FEWEST, -(-found[0] // FACTOR)))
    return found


def search(changes: Sequence[Change], judge: Judge, n_seeds: int) -> Search:
    """The smallest of these changes that meet all criteria, as ``judge`` finds out."""
    steps = {number: Step(change) for number, change in enumerate(changes)}
    alive = list(steps)
    for seeds in stages(n_seeds):
        last = seeds == n_seeds
        for group in _groups(alive, steps, last=last):
            for number in group:
                found = judge(steps[number].change, seeds)
                if found is None:
                    return _ended(steps, complete=False)
                steps[number] = _judged(steps[number], found, seeds, last=last)
            if last and any(steps[number].state == "met" for number in group):
                return _ended(steps, complete=True)
        if not last:
            alive = _better_half([number for number in alive if not steps[number].reason], steps)
    return _ended(steps, complete=True)


def _groups(alive: Sequence[int], steps: dict[int, Step], *, last: bool) -> Iterator[list[int]]:
    """The changes of a stage: together, and in the last one those of each cost, cheapest first."""
    if not last:
        yield list(alive)
        return
    for cost in COSTS:
        group = [number for number in alive if steps[number].change.cost == cost]
        if group:
            yield group


def _judged(step: Step, found: Sequence[Judged] | str, seeds: int, *, last: bool) -> Step:
    if isinstance(found, str):
        return replace(step, state="undefined", reason=found)
    outcomes = {one.outcome for one in found}
    state: State = "left_out"
    if last:
        state = "met" if outcomes == {"met"} else "not_met"
    elif "not_met" in outcomes:
        state = "not_met"
    return replace(step, state=state, seeds=seeds, criteria=tuple(found))


def _better_half(numbers: Sequence[int], steps: dict[int, Step]) -> list[int]:
    """The better half of what may still meet all criteria, with all of the cheapest that seem to.

    What is shown not to meet a criterion has no place in it.
    """
    open_ = [number for number in numbers if steps[number].state != "not_met"]
    ranked = sorted(open_, key=lambda number: steps[number].order)
    half = ranked[: -(-len(ranked) // 2)]
    promising = [number for number in ranked if steps[number].shortfall == 0]
    cheapest = steps[promising[0]].change.cost if promising else None
    more = [number for number in promising if steps[number].change.cost == cheapest]
    return sorted(set(half) | set(more))


def _ended(steps: dict[int, Step], *, complete: bool) -> Search:
    every = tuple(steps.values())
    judged = [step for step in every if step.criteria]
    names = dict.fromkeys(one.id for step in judged for one in step.criteria)
    met = {one.id for step in judged for one in step.criteria if _is_met(one)}
    found = any(step.state == "met" for step in every)
    left = tuple(name for name in names if name not in met)
    return Search(every, () if found else left, complete)


def _is_met(one: Judged) -> bool:
    """Whether a criterion is met, or would be if its figures stay as they are with more seeds."""
    return one.outcome == "met" or (one.outcome == "inconclusive" and shortfall(one) == 0)
