"""Rules, steps and attacks as slowly and plainly as their papers state them: lists, loops and no
numpy arithmetic.

Functions bear the name of the plug-in's file and take its fields. ``COST`` is for rules that are
defined as a minimizer and may have several: a result is right if it costs no more than the
oracle's.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, product
from statistics import NormalDist, fmean, median_low, pstdev, stdev
from statistics import median as middle

import numpy as np
from scipy.optimize import minimize
from sklearn.cluster import HDBSCAN, MeanShift, estimate_bandwidth

from sim.seeds import stream

Rows = list[list[float]]


def mean(rows: Rows, weighting: str) -> list[float]:
    assert weighting == "uniform"
    return [fmean(column) for column in zip(*rows, strict=True)]


def median(rows: Rows, n_hostile: int, weighting: str) -> list[float]:
    assert weighting == "uniform"
    assert n_hostile < len(rows)
    return [middle(column) for column in zip(*rows, strict=True)]


def trimmed_mean(rows: Rows, n_hostile: int, weighting: str) -> list[float]:
    assert weighting == "uniform"
    return [
        fmean(sorted(column)[n_hostile : len(column) - n_hostile])
        for column in zip(*rows, strict=True)
    ]


def meamed(rows: Rows, n_hostile: int) -> list[float]:
    return [around_median(column, len(rows) - n_hostile) for column in zip(*rows, strict=True)]


def around_median(column: Sequence[float], n_used: int) -> float:
    center = middle(column)
    return fmean(sorted(column, key=lambda value: (abs(value - center), value))[:n_used])


def krum_scores(rows: Rows, n_hostile: int, variant: str = "paper") -> list[float]:
    power = 4 if variant == "distance4" else 2
    n_neighbors = (
        len(rows) - n_hostile - {"paper": 2, "byzfl": 1, "ndss21": 3, "distance4": 2}[variant]
    )
    scores = []
    for i, row in enumerate(rows):
        gaps = sorted(math.dist(row, other) ** power for j, other in enumerate(rows) if j != i)
        scores.append(round(math.fsum(gaps[: max(0, n_neighbors)]), 6))
    return scores


def krum(rows: Rows, n_hostile: int, variant: str = "paper") -> list[float]:
    scores = krum_scores(rows, n_hostile, variant)
    return rows[scores.index(min(scores))]


def multi_krum(rows: Rows, n_hostile: int, m: int | None, variant: str) -> list[float]:
    scores = krum_scores(rows, n_hostile, variant)
    best = sorted(range(len(rows)), key=scores.__getitem__)
    return mean([rows[i] for i in best[: m or len(rows) - n_hostile - 2]], "uniform")


def bulyan(rows: Rows, n_hostile: int, variant: str) -> list[float]:
    n_chosen, left, chosen = len(rows) - 2 * n_hostile, list(rows), []
    if variant == "one_shot":
        scores = krum_scores(rows, n_hostile)
        chosen = [rows[i] for i in sorted(range(len(rows)), key=scores.__getitem__)[:n_chosen]]
    while len(chosen) < n_chosen:
        totals = [round(math.fsum(math.dist(row, other) ** 2 for other in left), 6) for row in left]
        ranks = list(zip(krum_scores(left, n_hostile), totals, strict=True))
        chosen.append(left.pop(ranks.index(min(ranks))))
    return [around_median(column, n_chosen - 2 * n_hostile) for column in zip(*chosen, strict=True)]


def mda(rows: Rows, n_hostile: int) -> list[float]:
    sets = combinations(rows, len(rows) - n_hostile)
    return mean(
        list(min(sets, key=lambda used: max(math.dist(a, b) for a, b in product(used, used)))),
        "uniform",
    )


def monna(rows: Rows, n_hostile: int, root: str) -> list[float]:
    trusted = rows[int(root.removeprefix("h"))]
    return mean(
        sorted(rows, key=lambda row: math.dist(row, trusted))[: len(rows) - n_hostile], "uniform"
    )


def smea(rows: Rows, n_hostile: int) -> list[float]:
    sets = combinations(rows, len(rows) - n_hostile)
    return mean(
        list(min(sets, key=lambda used: top_direction(list(used), [1.0] * len(used))[0])), "uniform"
    )


def caf(rows: Rows, n_hostile: int, every_row: bool = False) -> list[float]:
    """``every_row``: the largest projection is taken among rows without weight too."""
    weights, best = [1.0] * len(rows), (math.inf, rows[0])
    while math.fsum(weights) > len(rows) - 2 * n_hostile:
        spread, direction, center = top_direction(rows, weights)
        best = min(best, (spread, center), key=lambda pair: pair[0])
        outlying = [
            (dot(direction, row) - dot(direction, center)) ** 2 * (every_row or left > 0)
            for row, left in zip(rows, weights, strict=True)
        ]
        weights = [
            weight * (1 - value / max(outlying))
            for weight, value in zip(weights, outlying, strict=True)
        ]
    return best[1]


def top_direction(rows: Rows, weights: list[float]) -> tuple[float, list[float], list[float]]:
    """Greatest weighted variance, its direction, and the weighted mean."""
    center = np.average(rows, axis=0, weights=weights)
    _, singular, directions = np.linalg.svd(np.sqrt(weights)[:, None] * (np.array(rows) - center))
    return float(singular[0] ** 2 / math.fsum(weights)), directions[0].tolist(), center.tolist()


def rfa(
    rows: Rows, n_hostile: int, nu: float, steps: int, start: str, weighting: str
) -> list[float]:
    assert n_hostile < len(rows)
    point = mean(rows, weighting) if start == "mean" else [0.0] * len(rows[0])
    for _ in range(steps):
        nearness = [1 / max(nu, math.dist(row, point)) for row in rows]
        point = [dot(nearness, column) / math.fsum(nearness) for column in zip(*rows, strict=True)]
    return point


def centered_clipping(rows: Rows, tau: float | None, iterations: int, start: str) -> list[float]:
    assert start in ("previous", "zero")
    point = [0.0] * len(rows[0])
    tau = middle(math.hypot(*row) for row in rows) if tau is None else tau
    for _ in range(iterations):
        gaps = clip([[a - b for a, b in zip(row, point, strict=True)] for row in rows], tau)
        point = [at + move for at, move in zip(point, mean(gaps, "uniform"), strict=True)]
    return point


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    size = math.hypot(*left) * math.hypot(*right)
    return dot(left, right) / size if size else 0.0


def fltrust(rows: Rows, root: str) -> list[float]:
    trusted = rows.pop(int(root.removeprefix("h")))
    scores = [max(0.0, cosine(row, trusted)) for row in rows]
    weighed = [
        [score * value for value in row]
        for score, row in zip(scores, normalize(rows, math.hypot(*trusted)), strict=True)
    ]
    return [math.fsum(column) / (math.fsum(scores) or 1.0) for column in zip(*weighed, strict=True)]


def foolsgold(rows: Rows, confidence: float, variant: str) -> list[float]:
    n, nobody = len(rows), {"authors": 0.0, "signed": -1.0}[variant]
    greatest = [
        max(nobody, *(cosine(rows[i], rows[j]) for j in range(n) if j != i)) for i in range(n)
    ]
    trust = []
    for i in range(n):
        pardons = [
            greatest[i] / greatest[j] if greatest[j] > greatest[i] and greatest[j] else 1.0
            for j in range(n)
        ]
        trust.append(
            min(
                1.0,
                max(
                    0.0,
                    1
                    - max(
                        nobody, *(cosine(rows[i], rows[j]) * pardons[j] for j in range(n) if j != i)
                    ),
                ),
            )
        )
    weights = []
    for value in trust:
        part = min(max(value / (max(trust) or 1.0), 1e-5), 1 - 1e-5)
        weights.append(min(1.0, max(0.0, confidence * (math.log(part / (1 - part)) + 0.5))))
    return [
        dot(weights, column) / (math.fsum(weights) or 1.0) for column in zip(*rows, strict=True)
    ]


def dnc(rows: Rows, n_hostile: int, iterations: int, n_dims: int, filter: float) -> list[float]:
    assert n_dims >= len(rows[0])
    assert iterations == 1
    _, direction, center = top_direction(rows, [1.0] * len(rows))
    nearest = sorted(rows, key=lambda row: (dot(direction, row) - dot(direction, center)) ** 2)
    return mean(nearest[: len(rows) - math.floor(filter * n_hostile)], "uniform")


def sign_majority(rows: Rows, step: float) -> list[float]:
    votes = [
        sum((value > 0) - (value < 0) for value in column) for column in zip(*rows, strict=True)
    ]
    return [step * ((vote > 0) - (vote < 0)) for vote in votes]


def rlr(rows: Rows, n_hostile: int, threshold: int | None) -> list[float]:
    votes = [
        sum((value > 0) - (value < 0) for value in column) for column in zip(*rows, strict=True)
    ]
    least = threshold or n_hostile + 1
    return [
        value if abs(vote) >= least else -value
        for value, vote in zip(mean(rows, "uniform"), votes, strict=True)
    ]


def weak_dp(rows: Rows, max_norm: float | None, noise: float) -> list[float]:
    drawn = stream(0, "rule").normal(size=len(rows[0])).tolist()
    return [
        value + noise * more
        for value, more in zip(mean(clip(rows, max_norm), "uniform"), drawn, strict=True)
    ]


def flame(rows: Rows, noise: float) -> list[float]:
    """For a model of zeros."""
    apart = np.array(
        [[1 - cosine(row, other) if row is not other else 0.0 for other in rows] for row in rows]
    )
    labels = HDBSCAN(
        min_cluster_size=len(rows) // 2 + 1,
        min_samples=1,
        metric="precomputed",
        allow_single_cluster=True,
        copy=True,
    )
    inside = [
        row
        for row, label in zip(clip_to_median(rows), labels.fit_predict(apart), strict=True)
        if label >= 0
    ]
    spread = noise * middle(math.hypot(*row) for row in rows)
    drawn = stream(0, "rule").normal(size=len(rows[0])).tolist()
    return [
        value + spread * more
        for value, more in zip(mean(inside or clip_to_median(rows), "uniform"), drawn, strict=True)
    ]


def signguard(rows: Rows, lower: float, upper: float, fraction: float) -> list[float]:
    norms = [math.hypot(*row) for row in rows]
    drawn = stream(0, "rule").choice(
        len(rows[0]), math.ceil(fraction * len(rows[0])), replace=False
    )
    signs = [[(row[i] > 0) - (row[i] < 0) for i in drawn] for row in rows]
    features = [[line.count(sign) / len(line) for sign in (1, 0, -1)] for line in signs]
    width = estimate_bandwidth(features, quantile=max(0.5, 2 / len(rows))) * (1 + 1e-9)
    labels = (
        MeanShift(bandwidth=width, cluster_all=False).fit_predict(features).tolist()
        if width
        else [*map(features.index, features)]
    )
    largest = max((label for label in labels if label >= 0), key=labels.count)
    used = [
        row
        for row, norm, label in zip(clip_to_median(rows), norms, labels, strict=True)
        if label == largest and lower * middle(norms) <= norm <= upper * middle(norms)
    ]
    return mean(used, "uniform") if used else [0.0] * len(rows[0])


def clipped_clustering(rows: Rows) -> list[float]:
    clusters = [[i] for i in range(len(rows))]
    while len(clusters) > 2:
        left, right = min(
            combinations(clusters, 2),
            key=lambda pair: fmean(1 - cosine(rows[i], rows[j]) for i, j in product(*pair)),
        )
        clusters = [cluster for cluster in clusters if cluster not in (left, right)] + [
            left + right
        ]
    larger = max(sorted(clusters, key=min), key=len)
    return mean([clip_to_median(rows)[i] for i in larger], "uniform")


def geometric_median(
    rows: Rows, n_hostile: int, tolerance: float, max_steps: int, weighting: str
) -> list[float]:
    assert weighting == "uniform"
    assert n_hostile < len(rows)
    assert 0 < tolerance < 1 <= max_steps
    cheapest = min(rows, key=lambda row: total_distance(row, rows))
    starts = [cheapest, [median_low(column) for column in zip(*rows, strict=True)]]
    found = [
        minimize(total_distance, start, (rows,), method="Nelder-Mead", options=CLOSE).x.tolist()
        for start in starts
    ]
    return min([cheapest, *found], key=lambda point: total_distance(point, rows))


def total_distance(point: list[float], rows: Rows) -> float:
    return math.fsum(math.dist(point, row) for row in rows)


CLOSE = {"xatol": 1e-6, "fatol": 1e-9}  # of rows up to 50: closer than a test of the cost can tell
COST: dict[str, Callable[[list[float], Rows], float]] = {"geometric_median": total_distance}


def clip(rows: Rows, max_norm: float | None) -> Rows:
    if not max_norm:
        return clip_to_median(rows) if max_norm is None else [[0.0 for _ in row] for row in rows]
    return [
        row
        if math.hypot(*row) <= max_norm
        else [value * max_norm / math.hypot(*row) for value in row]
        for row in rows
    ]


def clip_to_median(rows: Rows) -> Rows:
    return clip(rows, middle(math.hypot(*row) for row in rows))


def arc(rows: Rows, n_hostile: int) -> Rows:
    n_clipped = math.floor(Fraction(2 * n_hostile, len(rows)) * (len(rows) - n_hostile))
    return clip(rows, sorted((math.hypot(*row) for row in rows), reverse=True)[n_clipped])


def normalize(rows: Rows, norm: float) -> Rows:
    return [[value * norm / (math.hypot(*row) or 1.0) for value in row] for row in rows]


def nnm(rows: Rows, n_hostile: int) -> Rows:
    used = len(rows) - n_hostile
    return [
        mean(sorted(rows, key=lambda other: math.dist(row, other))[:used], "uniform")
        for row in rows
    ]


def bucketing(rows: Rows, size: int) -> Rows:
    shuffled = [rows[i] for i in stream(0, "step").permutation(len(rows))]
    return [mean(shuffled[i : i + size], "uniform") for i in range(0, len(rows), size)]


def momentum(rows: Rows, beta: float) -> Rows:
    assert 0 <= beta <= 1
    return rows


def alie(
    rows: Rows, n_hospitals: int, n_hostile: int, z: float | str, sign: int, deviation: str
) -> list[float]:
    supporters = math.floor(n_hospitals / 2 + 1) - n_hostile
    honest = n_hospitals - n_hostile
    quantile = NormalDist().inv_cdf((honest - supporters) / honest) if z == "paper" else float(z)
    spread = pstdev if deviation == "population" else stdev
    return [fmean(column) + sign * quantile * spread(column) for column in zip(*rows, strict=True)]


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


def squared_distance(left: np.ndarray, right: np.ndarray) -> float:
    return math.fsum((float(a) - float(b)) ** 2 for a, b in zip(left, right, strict=True))
