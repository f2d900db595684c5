"""The search for the smallest change of a design that meets its criteria: successive halving.

Changes of the least cost come first. They are judged with few seeds; those that are shown not to
meet a criterion are left out, and of the others the better ones go on with more seeds (successive
halving, Jamieson and Talwalkar 2016). The search ends with the first cost of which a change, judged
with all seeds, meets all criteria; all changes of that cost are tried if the time allows it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from threats.changes import COSTS, Change
from threats.criteria import Judged

State = Literal["met", "not_met", "inconclusive", "left_out", "undefined", "unfinished", "untried"]
# the criteria of a change judged with so many seeds; None once the time is over; or why its design
# is not defined
Judge = Callable[[Change, int], Sequence[Judged] | str | None]
FACTOR: Final = 3  # by how many times more seeds the next stage has
FEWEST: Final = 2  # seeds of the first stage
HURRY: Final = 0.5  # share of the time left after which no further change is looked at
# what became of changes that were judged, in words
FATES: Final[Mapping[State, str]] = {
    "met": "met all criteria",
    "not_met": "missed one",
    "inconclusive": "stayed undecided with all seeds",
    "left_out": "ended with fewer seeds, as others came nearer",
    "unfinished": "ended with fewer seeds, as the time was over",
}


@dataclass(frozen=True)
class Step:
    """One change and what became of it.

    ``seeds``: with how many it was judged last. ``criteria``: how. ``reason``: why its design is
    not defined, empty otherwise. A change that is ``left_out`` was judged with fewer seeds than
    others, one that is ``unfinished`` as well, as the time was over.
    """

    change: Change
    state: State = "untried"
    seeds: int = 0
    criteria: tuple[Judged, ...] = ()
    reason: str = ""

    @property
    def shortfall(self) -> float:
        """The shortfall of the figures from their bounds, over all criteria; 0 where none does."""
        return sum(shortfall(one) for one in self.criteria)

    @property
    def promising(self) -> bool:
        """Whether its figures meet all bounds, so that more seeds may show that it meets them."""
        return self.state == "unfinished" and self.shortfall == 0

    @property
    def order(self) -> tuple[float, int]:
        """A key by which the better change comes first, of equally good ones the cheaper."""
        return self.shortfall, list(COSTS).index(self.change.cost)


@dataclass(frozen=True)
class Search:
    """The result of a search.

    ``complete``: whether it tried all that it had to before its time ended.

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
        """The change, of those that were judged, that comes nearest to all bounds."""
        judged = [step for step in self.steps if step.criteria]
        return min(judged, key=lambda step: step.order, default=None)


def shortfall(judged: Judged) -> float:
    """The shortfall of the worst figure of a criterion from its bound.

    Infinite where an attack left no figure, or none was tried.
    """
    sign = -1 if judged.bound == "at_least" else 1
    missed = [
        math.inf if one.figure is None else sign * (one.figure - judged.limit)
        for one in judged.tried
    ]
    return max(0.0, *missed) if missed else math.inf


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
    time that is used up; once half of what was left is, what looks good is judged with all seeds
    before more changes are looked at.
    """
    steps = {number: Step(change) for number, change in enumerate(changes)}
    for cost in COSTS:
        left = [number for number, step in steps.items() if step.change.cost == cost]
        while left:
            if not _halved(left, steps, judge, n_seeds, used):
                return _ended(steps, complete=False)
            left = [number for number in left if steps[number].state == "untried"]
        if any(step.state == "met" for step in steps.values()):
            break
    return _ended(steps, complete=True)


def _halved(
    alive: list[int],
    steps: dict[int, Step],
    judge: Judge,
    n_seeds: int,
    used: Callable[[], float],
) -> bool:
    """Successive halving of changes of one cost; False if the time is over before it ends.

    Some may be left untried, but never all.
    """
    start = used()
    enough = start + HURRY * (1 - start)
    for seeds in stages(n_seeds):
        for number in alive:
            hurried = seeds < n_seeds and used() > enough
            if hurried and any(steps[one].promising for one in alive):
                break
            found = judge(steps[number].change, seeds)
            if found is None:
                return False
            steps[number] = _judged(steps[number], found, seeds, last=seeds == n_seeds)
        alive = _better(alive, steps)
    return True


def _judged(step: Step, found: Sequence[Judged] | str, seeds: int, *, last: bool) -> Step:
    if isinstance(found, str):
        return replace(step, state="undefined", reason=found)
    outcomes = {one.outcome for one in found}
    state: State = "inconclusive" if last else "unfinished"
    if "not_met" in outcomes:
        state = "not_met"
    elif last and outcomes == {"met"}:
        state = "met"
    return replace(step, state=state, seeds=seeds, criteria=tuple(found))


def _better(numbers: Sequence[int], steps: dict[int, Step]) -> list[int]:
    """Those whose figures meet all bounds, and the best third if these are fewer.

    What is shown not to meet a criterion is not among them; the others are left out.
    """
    open_ = [number for number in numbers if steps[number].state == "unfinished"]
    ranked = sorted(open_, key=lambda number: steps[number].shortfall)
    promising = [number for number in ranked if steps[number].promising]
    n_better = max(len(promising), -(-len(ranked) // FACTOR))
    for number in ranked[n_better:]:
        steps[number] = replace(steps[number], state="left_out")
    return ranked[:n_better]


def summary(found: Search) -> Iterator[str]:
    """The result of a search in sentences: what helps or is in the way, and what was tried."""
    if found.smallest:
        names = ", ".join(f"{one.change.text} ({COSTS[one.change.cost]})" for one in found.smallest)
        verb = "meets" if len(found.smallest) == 1 else "each meets"
        yield f"{names}: {verb} all criteria."
    else:
        yield from _none_found(found)
    yield from _tried(found)
    if found.smallest:
        yield (
            "A change that was chosen by its figures looks better than it is: judge it again, as a"
            " design of its own, with seeds that were not looked at (trial.first_seed)."
        )


def _none_found(found: Search) -> Iterator[str]:
    yield "No change was found that meets all criteria."
    nearest = found.nearest
    if nearest is None:
        return
    if found.in_the_way:
        yield f"In the way: {', '.join(found.in_the_way)}, which no change that was tried meets."
    else:
        yield "Each criterion is within its bound under some change, and no change meets all."
    open_ = [one.id for one in nearest.criteria if one.outcome != "met"]
    leaves = f"leaves {', '.join(open_)}" if open_ else "leaves none with fewer seeds than all"
    yield f"Nearest: {nearest.change.text}, which {leaves}."


def _tried(found: Search) -> Iterator[str]:
    """How many changes were tried, what became of them, and why others were not."""
    fates = Counter(step.state for step in found.steps)
    parts = [f"{fates[state]} {text}" for state, text in FATES.items() if fates[state]]
    n_tried = sum(fates[state] for state in FATES)
    of_all = f"Tried: {n_tried} of {len(found.steps)} changes"
    yield f"{of_all}, of which {', '.join(parts)}." if parts else f"{of_all}."
    order = list(COSTS)
    reached = max((order.index(one.change.cost) for one in found.smallest), default=len(order))
    untried = [order.index(one.change.cost) for one in found.steps if one.state == "untried"]
    dearer = sum(cost > reached for cost in untried)
    reasons = (
        (fates["undefined"], "made no design that can be run"),
        (dearer, "cost more than what was found"),
        (len(untried) - dearer, "stayed untried, as the time was over"),
    )
    others = [f"{n} {text}" for n, text in reasons if n]
    if others:
        yield f"Of the others, {', '.join(others)}."


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
