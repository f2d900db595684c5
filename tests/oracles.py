"""Rules, steps and attacks as slowly and plainly as their papers state them: lists, loops and no numpy arithmetic.

Functions bear the name of the plug-in's file and take its fields. ``COST`` is for rules that are defined as a minimizer and
may have several: a result is right if it costs no more than the oracle's.
"""

import math
from collections.abc import Callable
from statistics import NormalDist, fmean, median_low, pstdev, stdev
from statistics import median as middle

import numpy as np
from scipy.optimize import minimize

Rows = list[list[float]]


def mean(rows: Rows, weighting: str) -> list[float]:
    assert weighting == "uniform"
    return [fmean(column) for column in zip(*rows, strict=True)]


def median(rows: Rows, n_hostile: int) -> list[float]:
    assert n_hostile < len(rows)
    return [middle(column) for column in zip(*rows, strict=True)]


def trimmed_mean(rows: Rows, n_hostile: int) -> list[float]:
    return [fmean(sorted(column)[n_hostile : len(column) - n_hostile]) for column in zip(*rows, strict=True)]


def krum(rows: Rows, n_hostile: int) -> list[float]:
    scores = []
    for i, row in enumerate(rows):
        gaps = sorted(math.dist(row, other) ** 2 for j, other in enumerate(rows) if j != i)
        scores.append(round(math.fsum(gaps[: len(rows) - n_hostile - 2]), 6))
    return rows[scores.index(min(scores))]


def geometric_median(rows: Rows, n_hostile: int, tolerance: float, max_steps: int) -> list[float]:
    assert n_hostile < len(rows)
    assert 0 < tolerance < 1 <= max_steps
    starts = [*rows, [median_low(column) for column in zip(*rows, strict=True)]]
    found = [minimize(total_distance, start, args=(rows,), method="Nelder-Mead").x.tolist() for start in starts]
    return min([*rows, *found], key=lambda point: total_distance(point, rows))


def total_distance(point: list[float], rows: Rows) -> float:
    return math.fsum(math.dist(point, row) for row in rows)


COST: dict[str, Callable[[list[float], Rows], float]] = {"geometric_median": total_distance}


def clip(rows: Rows, max_norm: float) -> Rows:
    return [row if math.hypot(*row) <= max_norm else [value * max_norm / math.hypot(*row) for value in row] for row in rows]


def alie(rows: Rows, n_hospitals: int, n_hostile: int, z: float | str, sign: int, deviation: str) -> list[float]:
    supporters = math.floor(n_hospitals / 2 + 1) - n_hostile
    honest = n_hospitals - n_hostile
    quantile = NormalDist().inv_cdf((honest - supporters) / honest) if z == "paper" else float(z)
    spread = pstdev if deviation == "population" else stdev
    return [fmean(column) + sign * quantile * spread(column) for column in zip(*rows, strict=True)]


def squared_distance(left: np.ndarray, right: np.ndarray) -> float:
    return math.fsum((float(a) - float(b)) ** 2 for a, b in zip(left, right, strict=True))
