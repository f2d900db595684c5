"""The search for the smallest change of a design that meets its criteria: successive halving.

Changes of the least cost come first. They are judged with few seeds; those that are shown not to
meet a criterion are left out, and of the others the better ones go on with more seeds (successive
halving, Jamieson and Talwalkar 2016). The search ends with the first cost at which a change that is
judged with all seeds meets all criteria.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
HURRY: Final = 0.5  # share of the time after which no further change is looked at


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
    def promising(self) -> bool:
        """Whether its figures meet all bounds, so that more seeds may show that it meets them."""
        return self.state == "left_out" and self.shortfall == 0

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
    figures = [one.figure for one in judged.tried if one.figure is not None]
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


def search(
    changes: Sequence[Change],
    judge: Judge,
    n_seeds: int,
    used: Callable[[], float] = lambda: 0.0,
) -> Search:
    """The smallest of these changes that meet all criteria, as ``judge`` finds out.

    Changes of one cost are searched together, the cheapest cost first. ``used``: the share of the
    time that is used up; once that is half, what looks good is judged with all seeds before more
    changes are looked at.
    """
    steps = {number: Step(change) for number, change in enumerate(changes)}
    for cost in COSTS:
        ours = [number for number, step in steps.items() if step.change.cost == cost]
        complete = _halved(ours, steps, judge, n_seeds, used)
        if not complete or any(steps[number].state == "met" for number in ours):
            return _ended(steps, complete=complete)
    return _ended(steps, complete=True)


def _halved(
    alive: list[int],
    steps: dict[int, Step],
    judge: Judge,
    n_seeds: int,
    used: Callable[[], float],
) -> bool:
    """Successive halving of changes of one cost; False if the time is over before it ends."""
    every = alive
    for seeds in stages(n_seeds):
        for number in alive:
            hurried = seeds < n_seeds and used() > HURRY
            if hurried and any(steps[one].promising for one in alive):
                break
            found = judge(steps[number].change, seeds)
            if found is None:
                return False
            steps[number] = _judged(steps[number], found, seeds, last=seeds == n_seeds)
        alive = _better(alive, steps)
    return all(steps[number].seeds or steps[number].reason for number in every)


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


def _better(numbers: Sequence[int], steps: dict[int, Step]) -> list[int]:
    """Those whose figures meet all bounds, and the best third if these are fewer.

    What is shown not to meet a criterion is not among them.
    """
    open_ = [number for number in numbers if steps[number].state == "left_out"]
    ranked = sorted(open_, key=lambda number: steps[number].shortfall)
    promising = [number for number in ranked if steps[number].promising]
    return ranked[: max(len(promising), -(-len(ranked) // FACTOR))]


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
