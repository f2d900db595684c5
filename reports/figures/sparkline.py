"""The course of one run as a small picture: a path of SVG, made without a drawing library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from reports.text import words

WIDTH: Final = 300  # of the picture, in its own units
HEIGHT: Final = 60
MOST_POINTS: Final = 60

Course = Sequence[tuple[int, float | None]]  # round and score, in the order of rounds


class Window(NamedTuple):
    """The rounds in which hostile hospitals may attack, as a part of the picture's width."""

    left: float
    width: float


def lower_edge(courses: Iterable[Course]) -> float:
    """The score at the lower edge of all pictures: the least one, down to a tenth, at most 0.5."""
    found = [value for course in courses for _, value in course if value is not None]
    return min(0.5, math.floor(10 * min(found, default=0.5)) / 10)


def path(course: Course, rounds: int, low: float) -> str:
    """The path of the scores between ``low`` and 1, with a gap where a round has none.

    Of long courses every so many rounds are drawn, and the last one.
    """
    step = math.ceil(len(course) / MOST_POINTS) or 1
    drawn = [*course[:-1:step], *course[-1:]]
    found = list[str]()
    before: tuple[int, int] | None = None
    for round_, value in drawn:
        if value is None:
            before = None
            continue
        x = _across(round_, rounds)
        y = round(HEIGHT * (1 - value) / (1 - low))
        if before is None:
            found.append(f"M{x} {y}l")
        else:
            across = x - before[0]
            down = y - before[1]
            found.append(f"{across} {down} ")
        before = (x, y)
    joined = "".join(found).strip()
    return joined.replace(" M", "M").replace(" -", "-")


def window(first: int, last: int | None, rounds: int) -> Window:
    """The window of attacks from round ``first`` to ``last``, None: to the end."""
    left = _across(first, rounds)
    return Window(left, _across(min(last or rounds, rounds), rounds) - left)


def described(course: Course) -> str:
    """The course in words."""
    known = [(round_, value) for round_, value in course if value is not None]
    if not known:
        return "no round has an AUROC"
    least, lowest = min(known, key=lambda pair: pair[1])
    round_, value = known[-1]
    return (
        f"AUROC {words.score(known[0][1])} in round {known[0][0]}, lowest {words.score(lowest)}"
        f" in round {least}, {words.score(value)} in round {round_}"
    )


def _across(round_: int, rounds: int) -> int:
    return round(WIDTH * round_ / max(rounds, 1))
