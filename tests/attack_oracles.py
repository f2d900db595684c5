"""Attacks on updates as slowly and plainly as their papers state them: lists, loops and no numpy
arithmetic.

Functions bear the name of the plug-in's file and take what is known and its fields; each gives the
row that a hostile hospital sends.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, pstdev

from tests import oracles

Rows = list[list[float]]
Row = list[float]


@dataclass
class Round:
    """The updates taken for honest, and how many hospitals there are in all and hostile."""

    honest: Rows
    n: int
    f: int


def mean(rows: Rows) -> Row:
    return [fmean(column) for column in zip(*rows, strict=True)]


def plus(row: Row, factor: float, other: Row) -> Row:
    return [a + factor * b for a, b in zip(row, other, strict=True)]


def alie(seen: Round, z: float | str, sign: int, deviation: str) -> Row:
    return oracles.alie(seen.honest, seen.n, seen.f, z, sign, deviation)


def ipm(seen: Round, epsilon: float) -> Row:
    return [-epsilon * value for value in mean(seen.honest)]


def zero(seen: Round, of: str) -> Row:
    return [
        0.0 if of == "row" else -(seen.n - seen.f) * value / seen.f for value in mean(seen.honest)
    ]


def push(rows: Rows, along: str) -> Row:
    center = mean(rows)
    if along == "unit":
        return [-value / math.hypot(*center) for value in center]
    if along == "std":
        return [-pstdev(column) for column in zip(*rows, strict=True)]
    return [-math.copysign(1, value) if value else 0.0 for value in center]


def within_max(row: Row, honest: Rows) -> bool:
    return max(math.dist(row, other) for other in honest) <= max(
        math.dist(a, b) for a in honest for b in honest
    )


def within_sum(row: Row, honest: Rows) -> bool:
    most = max(math.fsum(math.dist(a, b) ** 2 for b in honest) for a in honest)
    return math.fsum(math.dist(row, other) ** 2 for other in honest) <= most


def last_feasible(honest: Rows, along: str, feasible: Callable[[Row, Rows], bool]) -> Row:
    """The paper's search: double until infeasible, then halve the interval."""
    center, direction = mean(honest), push(honest, along)
    low, high = 0.0, 1.0
    while feasible(plus(center, high, direction), honest):
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if feasible(plus(center, middle, direction), honest) else (low, middle)
        )
    return plus(center, low, direction)


def min_max(seen: Round, along: str) -> Row:
    return last_feasible(seen.honest, along, within_max)


def min_sum(seen: Round, along: str) -> Row:
    return last_feasible(seen.honest, along, within_sum)


def fang_krum(seen: Round, least: float) -> Row:
    honest, n, f = seen.honest, seen.n, seen.f
    d, signs = len(honest[0]), [math.copysign(1, value) if value else 0.0 for value in mean(honest)]
    sums = [
        math.fsum(sorted(math.dist(row, other) for other in honest)[1 : n - f - 1])
        for row in honest
    ]
    strength = min(sums) / ((n - 2 * f - 1) * math.sqrt(d)) + max(
        math.hypot(*row) for row in honest
    ) / math.sqrt(d)
    while True:
        crafted = [-strength * sign for sign in signs]
        if strength < least or oracles.krum([crafted] * f + honest, f) == crafted:
            return crafted
        strength /= 2


def fang_range(honest: Rows, colluders_only: bool, b: float) -> tuple[Row, Row]:
    """Least and largest value of every parameter that may be sent."""
    low, high = [], []
    for column in zip(*honest, strict=True):
        middle, spread, least, most = fmean(column), pstdev(column), min(column), max(column)
        if colluders_only:
            ends = (
                (middle + 3 * spread, middle + 4 * spread)
                if middle < 0
                else (middle - 4 * spread, middle - 3 * spread)
            )
        elif middle < 0:
            ends = (most, b * most) if most > 0 else (most, most / b)
        else:
            ends = (least / b, least) if least > 0 else (b * least, least)
        low.append(min(ends))
        high.append(max(ends))
    return low, high


def climb(value: Callable[[float], float], looks: int = 20, step: float = 10.0) -> float:
    """The search of Allouah et al. (2023): from 0, twice as far while it gets better, then ever
    smaller steps.
    """
    best, best_value = 0.0, value(0.0)
    left = looks - 1
    while left > 0:
        tried = value(best + step)
        left -= 1
        if tried <= best_value:
            step *= 0.8
            break
        best, best_value, step = best + step, tried, 2 * step
    for _ in range(left):
        tried = value(best + step)
        if tried > best_value:
            best, best_value = best + step, tried
        step *= 0.8
    return best
