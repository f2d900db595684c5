"""Rules, steps and server optimizers in extended precision, as their papers and docstrings define
them.

Numbers are mpmath's with ``DIGITS`` digits: sums, products and differences of any updates are exact
in them. Functions bear the name of the plug-in's file, take all rounds (the last is the one asked
about) and the plug-in's fields, and return every result that the definition allows.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, pairwise, product
from operator import mul
from typing import Any

import mpmath as mp
import numpy as np
from sklearn.cluster import HDBSCAN, MeanShift, estimate_bandwidth

from sim.seeds import stream

DIGITS = 170
TIE = mp.mpf(10) ** -9
FLAT = mp.mpf(10) ** -24
SAME = mp.mpf(10) ** -6
Row = list[Any]
Rows = list[Row]
Rounds = list[Rows]

mp.mp.dps = DIGITS


def numbers(rows: np.ndarray) -> Rows:
    return [[mp.mpf(float(value)) for value in row] for row in rows]


def dot(left: Sequence[Any], right: Sequence[Any]) -> Any:
    return mp.fdot(zip(left, right, strict=True))


def length(row: Sequence[Any]) -> Any:
    return mp.sqrt(dot(row, row))


def minus(left: Sequence[Any], right: Sequence[Any]) -> Row:
    return [a - b for a, b in zip(left, right, strict=True)]


def times(factor: Any, row: Row) -> Row:
    return [factor * value for value in row]


def apart(left: Row, right: Row) -> Any:
    gap = minus(left, right)
    return dot(gap, gap)


def weighted(shares: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Row:
    return [dot(shares, column) for column in zip(*rows, strict=True)]


def average(rows: Rows) -> Row:
    return [mp.fsum(column) / len(rows) for column in zip(*rows, strict=True)]


def middle(values: Sequence[Any]) -> Any:
    ascending = sorted(values)
    return (ascending[(len(ascending) - 1) // 2] + ascending[len(ascending) // 2]) / 2


def places(values: Sequence[Any], unit: Any = 0) -> list[int]:
    """Place of each value in ascending order; neighbors tie that differ by at most ``TIE`` of the
    greater or of ``unit``.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    found, place = [0] * len(values), 0
    for before, after in pairwise(order):
        place += values[after] - values[before] > TIE * max(values[after], unit)
        found[after] = place
    return found


def first(values: Sequence[Any], n: int, unit: Any = 0) -> list[int]:
    """Numbers of the ``n`` least values; of those that tie the first."""
    found = places(values, unit)
    return sorted(range(len(values)), key=found.__getitem__)[:n]


def mean(rounds: Rounds, weighting: str) -> Rows:
    return [average(rounds[-1])]


def median(rounds: Rounds, n_hostile: int, weighting: str) -> Rows:
    return [[middle(column) for column in zip(*rounds[-1], strict=True)]]


def trimmed_mean(rounds: Rounds, n_hostile: int, weighting: str) -> Rows:
    columns = [
        sorted(column)[n_hostile : len(column) - n_hostile]
        for column in zip(*rounds[-1], strict=True)
    ]
    return [[mp.fsum(column) / len(column) for column in columns]]


def meamed(rounds: Rounds, n_hostile: int) -> Rows:
    return [around_median(rounds[-1], len(rounds[-1]) - n_hostile)]


def around_median(rows: Rows, n_used: int) -> Row:
    result = []
    for column in zip(*rows, strict=True):
        left, center = sorted(column), middle(column)
        while len(left) > n_used:
            low_is_farther = (center - left[0]) - (left[-1] - center) > TIE * (left[-1] - left[0])
            left.pop(0 if low_is_farther else -1)
        result.append(mp.fsum(left) / n_used)
    return result


def krum_scores(rows: Rows, n_hostile: int, variant: str = "paper") -> list[Any]:
    n_left_out = n_hostile + {"paper": 2, "byzfl": 1, "ndss21": 3, "distance4": 2}[variant]
    power = 2 if variant == "distance4" else 1
    gaps = [
        sorted(apart(row, other) ** power for j, other in enumerate(rows) if j != i)
        for i, row in enumerate(rows)
    ]
    return [mp.fsum(line[: max(0, len(rows) - n_left_out)]) for line in gaps]


def krum(rounds: Rounds, n_hostile: int, variant: str) -> Rows:
    return [rounds[-1][first(krum_scores(rounds[-1], n_hostile, variant), 1)[0]]]


def multi_krum(rounds: Rounds, n_hostile: int, m: int | None, variant: str) -> Rows:
    rows = rounds[-1]
    best = first(krum_scores(rows, n_hostile, variant), m or len(rows) - n_hostile - 2)
    return [average([rows[i] for i in best])]


def bulyan(rounds: Rounds, n_hostile: int, variant: str) -> Rows:
    left, chosen = list(rounds[-1]), []
    n_chosen = len(left) - 2 * n_hostile
    if variant == "one_shot":
        chosen = [left[i] for i in first(krum_scores(left, n_hostile), n_chosen)]
    while len(chosen) < n_chosen:
        totals = places([mp.fsum(apart(row, other) for other in left) for row in left])
        ranks = list(zip(places(krum_scores(left, n_hostile)), totals, strict=True))
        chosen.append(left.pop(ranks.index(min(ranks))))
    return [around_median(chosen, n_chosen - 2 * n_hostile)]


def mda(rounds: Rounds, n_hostile: int) -> Rows:
    rows = rounds[-1]
    gaps = [[apart(a, b) for a in rows] for b in rows]
    flat = places([gap for line in gaps for gap in line])
    sets = list(combinations(range(len(rows)), len(rows) - n_hostile))
    best = min(sets, key=lambda used: max(flat[i * len(rows) + j] for i, j in product(used, used)))
    return [average([rows[i] for i in best])]


def monna(rounds: Rounds, n_hostile: int, root: str) -> Rows:
    rows = rounds[-1]
    trusted = rows[int(root.removeprefix("h"))]
    nearest = first([apart(row, trusted) for row in rows], len(rows) - n_hostile)
    return [average([rows[i] for i in nearest])]


def top(rows: Rows, weights: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Greatest weighted variance, and squared projections on all directions that share it."""
    covariance, gaps = covariance_of(rows, weights)
    d = len(covariance)
    if all(covariance[i, i] == 0 for i in range(d)):
        return mp.mpf(0), [mp.mpf(0)] * len(rows)
    values, vectors = mp.eigsy(covariance)
    directions = [
        [vectors[i, k] for i in range(d)] for k in range(d) if values[k] >= max(values) * (1 - TIE)
    ]
    return max(values), [
        mp.fsum(dot(gap, direction) ** 2 for direction in directions) for gap in gaps
    ]


def covariance_of(rows: Rows, weights: Sequence[Any]) -> tuple[Any, Rows]:
    """The weighted covariance, and the rows about their mean."""
    total = mp.fsum(weights)
    center = times(1 / total, weighted(weights, rows))
    gaps = [minus(row, center) for row in rows]
    columns = list(zip(*gaps, strict=True))
    heavy = [list(map(mul, weights, column)) for column in columns]
    return mp.matrix([[dot(one, other) / total for other in columns] for one in heavy]), gaps


def spread(rows: Rows) -> Any:
    """Greatest variance."""
    covariance, _ = covariance_of(rows, [1] * len(rows))
    return max(mp.eigsy(covariance, eigvals_only=True))


def smea(rounds: Rounds, n_hostile: int) -> Rows:
    sets = list(combinations(rounds[-1], len(rounds[-1]) - n_hostile))
    spreads = [spread(list(used)) for used in sets]
    return [average(list(sets[first(spreads, 1)[0]]))]


def caf(rounds: Rounds, n_hostile: int) -> Rows:
    rows = rounds[-1]
    weights, best, least = [mp.mpf(1)] * len(rows), [mp.mpf(1)] * len(rows), mp.inf
    while mp.fsum(weights) > (len(rows) - 2 * n_hostile) * (1 + TIE):
        inside = [i for i, weight in enumerate(weights) if weight > 0]
        spread, outlying = top([rows[i] for i in inside], [weights[i] for i in inside])
        if spread < least * (1 - TIE):
            best, least = list(weights), spread
        if spread == 0:
            break
        for i, value in zip(inside, outlying, strict=True):
            left = 1 - value / max(outlying)
            weights[i] *= left if left > TIE else 0
    return [times(1 / mp.fsum(best), weighted(best, rows))]


def dnc(rounds: Rounds, n_hostile: int, iterations: int, n_dims: int, filter: float) -> Rows:
    rows = rounds[-1]
    assert n_dims >= len(rows[0])
    assert iterations == 1
    outlying = top(rows, [1] * len(rows))[1]
    used = first(outlying, len(rows) - math.floor(filter * n_hostile), max(outlying))
    return [average([rows[i] for i in used])]


def geometric_median(
    rounds: Rounds, n_hostile: int, tolerance: float, max_steps: int, weighting: str
) -> Rows:
    """Every row whose hold the others' pull does not exceed; if there is none, where all pulls
    cancel, by Newton's method.
    """
    rows = rounds[-1]
    held = [
        row for row in different(rows) if length(pull(rows, row)) <= rows.count(row) * (1 + TIE)
    ]
    return held or [cancelled(tuple(map(tuple, rows)))]


def different(rows: Rows) -> Rows:
    return [row for i, row in enumerate(rows) if row not in rows[:i]]


def pull(rows: Sequence[Sequence[Any]], point: Row) -> Row:
    gaps = [minus(row, point) for row in rows if row != point]
    units = [times(1 / length(gap), gap) for gap in gaps] or [[mp.mpf(0)] * len(point)]
    return [mp.fsum(column) for column in zip(*units, strict=True)]


@cache  # variants of a rule ask for the same rows
def cancelled(rows: Sequence[Sequence[Any]]) -> Row:
    point = [middle(column) + length(rows[0]) / 10**20 for column in zip(*rows, strict=True)]
    for _ in range(200):
        nearness = [1 / length(minus(row, point)) for row in rows]
        weiszfeld = times(1 / mp.fsum(nearness), weighted(nearness, rows))
        point, left = newton(rows, weiszfeld)
        if length(left) < mp.mpf(10) ** -40:
            return point
    raise AssertionError("the oracle does not converge")


def newton(rows: Sequence[Sequence[Any]], point: Row) -> tuple[Row, Row]:
    """The next point, and the pull there."""
    gaps = [minus(row, point) for row in rows]
    nearness = [1 / length(gap) for gap in gaps]
    units = [times(near, gap) for near, gap in zip(nearness, gaps, strict=True)]
    columns, total = list(zip(*units, strict=True)), mp.fsum(nearness)
    shares = [list(map(mul, nearness, column)) for column in columns]
    curvature = mp.matrix([[-dot(one, other) for other in columns] for one in shares])
    for i in range(len(point)):
        curvature[i, i] += total
    here = [mp.fsum(column) for column in columns]
    step = list(mp.lu_solve(curvature, mp.matrix(here)))
    while True:
        reached = [a + b for a, b in zip(point, step, strict=True)]
        left = pull(rows, reached)
        # near the end every second step goes too far by little: half of it would lose its digits
        if dot(left, step) >= 0 or length(left) < length(here) / 2:
            return reached, left
        step = times(mp.mpf(1) / 2, step)


def rfa(rounds: Rounds, n_hostile: int, nu: float, steps: int, start: str, weighting: str) -> Rows:
    rows = rounds[-1]
    point = average(rows) if start == "mean" else [mp.mpf(0)] * len(rows[0])
    for _ in range(steps):
        nearness = [1 / max(mp.mpf(nu), length(minus(row, point))) for row in rows]
        point = times(1 / mp.fsum(nearness), weighted(nearness, rows))
    return [point]


def shortened(row: Row, most: Any) -> Row:
    size = length(row)
    return row if size <= most else times(most / size, row)


def radius(given: float | None, rows: Rows) -> Any:
    """The given radius, or the median length of the rows."""
    return middle([length(row) for row in rows]) if given is None else mp.mpf(given)


def centered_clipping(rounds: Rounds, tau: float | None, iterations: int, start: str) -> Rows:
    point = [mp.mpf(0)] * len(rounds[0][0])
    for rows in rounds if start == "previous" else rounds[-1:]:
        most = radius(tau, [minus(row, point) for row in rows])
        for _ in range(iterations):
            moves = average([shortened(minus(row, point), most) for row in rows])
            point = [a + b for a, b in zip(point, moves, strict=True)]
    return [point]


def cosine(left: Row, right: Row) -> Any:
    size = length(left) * length(right)
    return dot(left, right) / size if size else mp.mpf(0)


def fltrust(rounds: Rounds, root: str) -> Rows:
    trusted = int(root.removeprefix("h"))
    rows = [row for i, row in enumerate(rounds[-1]) if i != trusted]
    scores = [max(mp.mpf(0), cosine(row, rounds[-1][trusted])) for row in rows]
    size = length(rounds[-1][trusted])
    scaled = [times(size / (length(row) or 1), row) for row in rows]
    return [times(1 / (mp.fsum(scores) or 1), weighted(scores, scaled))]


def foolsgold(rounds: Rounds, confidence: float, variant: str) -> Rows:
    rows = rounds[-1]
    n, nobody = len(rows), {"authors": 0, "signed": -1}[variant]
    history = [
        [mp.fsum(values) for values in zip(*(one[i] for one in rounds), strict=True)]
        for i in range(n)
    ]
    alike = [[cosine(a, b) for b in history] for a in history]
    greatest = [max([nobody, *(alike[i][j] for j in range(n) if j != i)]) for i in range(n)]
    trust = []
    for i in range(n):
        likeness = [nobody]
        for j in range(n):
            pardoned = greatest[j] > greatest[i] and greatest[j] != 0
            likeness += (
                [alike[i][j] * (greatest[i] / greatest[j] if pardoned else 1)] if j != i else []
            )
        value = min(mp.mpf(1), max(mp.mpf(0), 1 - max(likeness)))
        trust.append(value if value > TIE else mp.mpf(0))
    weights = []
    for value in trust:
        part = min(max(value / (max(trust) or 1), mp.mpf("1e-5")), 1 - mp.mpf("1e-5"))
        weights.append(
            min(mp.mpf(1), max(mp.mpf(0), confidence * (mp.log(part / (1 - part)) + mp.mpf("0.5"))))
        )
    return [times(1 / (mp.fsum(weights) or 1), weighted(weights, rows))]


def sign(value: Any) -> int:
    return (value > 0) - (value < 0)


def sign_majority(rounds: Rounds, step: float) -> Rows:
    return [
        [step * mp.mpf(sign(sum(map(sign, column)))) for column in zip(*rounds[-1], strict=True)]
    ]


def rlr(rounds: Rounds, n_hostile: int, threshold: int | None) -> Rows:
    columns = list(zip(*rounds[-1], strict=True))
    agreed = [abs(sum(map(sign, column))) >= (threshold or n_hostile + 1) for column in columns]
    return [
        [
            value if together else -value
            for value, together in zip(average(rounds[-1]), agreed, strict=True)
        ]
    ]


def clipped_to_median(rows: Rows, lengths: Sequence[Any] = ()) -> Rows:
    most = middle(lengths or [length(row) for row in rows])
    return [shortened(row, most) for row in rows]


def weak_dp(rounds: Rounds, max_norm: float | None, noise: float) -> Rows:
    drawn = stream(0, "rule").normal(size=len(rounds[-1][0]))
    most = radius(max_norm, rounds[-1])
    clipped = average([shortened(row, most) for row in rounds[-1]])
    return [[value + noise * float(more) for value, more in zip(clipped, drawn, strict=True)]]


def leveled(rows: Rows) -> list[list[Any]]:
    """Cosine distances, those that tie as one."""
    gaps = [
        [mp.mpf(0) if row is other else 1 - cosine(row, other) for other in rows] for row in rows
    ]
    flat = [gap if gap > FLAT else mp.mpf(0) for line in gaps for gap in line]
    least: dict[int, Any] = {}
    for place, gap in zip(places(flat), flat, strict=True):
        least[place] = min(gap, least.get(place, gap))
    found = iter([least[place] for place in places(flat)])
    return [[next(found) for _ in rows] for _ in rows]


def flame(rounds: Rounds, noise: float) -> Rows:
    """For a model of zeros."""
    rows = rounds[-1]
    gaps = np.array([[float(gap) for gap in line] for line in leveled(rows)])
    clusters = HDBSCAN(
        min_cluster_size=len(rows) // 2 + 1,
        min_samples=1,
        metric="precomputed",
        allow_single_cluster=True,
        copy=True,
    )
    labels = clusters.fit_predict(gaps)
    clipped = clipped_to_median(rows)
    inside = [row for row, label in zip(clipped, labels, strict=True) if label >= 0]
    spread = noise * middle([length(row) for row in rows])
    drawn = stream(0, "rule").normal(size=len(rows[0]))
    return [
        [
            value + spread * float(more)
            for value, more in zip(average(inside or clipped), drawn, strict=True)
        ]
    ]


def signguard(rounds: Rounds, lower: float, upper: float, fraction: float) -> Rows:
    rows = rounds[-1]
    sizes = [length(row) for row in rows]
    drawn = stream(0, "rule").choice(
        len(rows[0]), math.ceil(fraction * len(rows[0])), replace=False
    )
    signs = [[sign(row[i]) for i in drawn] for row in rows]
    features = [[line.count(value) / len(line) for value in (1, 0, -1)] for line in signs]
    width = estimate_bandwidth(features, quantile=max(0.5, 2 / len(rows))) * (1 + 1e-9)
    labels = [*map(features.index, features)]
    if width > 0:
        labels = MeanShift(bandwidth=width, cluster_all=False).fit_predict(features).tolist()
    largest = max((label for label in labels if label >= 0), key=labels.count)
    least, most = lower * middle(sizes) * (1 - SAME), upper * middle(sizes) * (1 + SAME)
    usual = [
        label == largest and least <= size <= most
        for label, size in zip(labels, sizes, strict=True)
    ]
    inside = [row for row, one in zip(clipped_to_median(rows), usual, strict=True) if one]
    return [average(inside) if inside else [mp.mpf(0)] * len(rows[0])]


def clipped_clustering(rounds: Rounds) -> Rows:
    rows = rounds[-1]
    clipped = clipped_to_median(rows, [length(row) for one in rounds for row in one])
    found = []
    for clusters in joined(frozenset(frozenset([i]) for i in range(len(rows))), leveled(rows)):
        larger = max(sorted(clusters, key=min), key=len)
        found.append(average([clipped[i] for i in larger]))
    return found


Clusters = frozenset[frozenset[int]]


def joined(clusters: Clusters, gaps: list[list[Any]]) -> Iterator[Clusters]:
    """Every pair of clusters that average linkage may end with; of pairs that tie each is tried."""
    seen = set[Clusters]()

    @cache  # most pairs stand in many of the ways to join
    def mean_gap(left: frozenset[int], right: frozenset[int]) -> Any:
        return mp.fsum(gaps[i][j] for i, j in product(left, right)) / (len(left) * len(right))

    def ends(clusters: Clusters) -> Iterator[Clusters]:
        if clusters in seen or len(seen) > 3000:
            return
        seen.add(clusters)
        if len(clusters) == 2:
            yield clusters
            return
        pairs = list(combinations(sorted(clusters, key=min), 2))
        means = [mean_gap(*pair) for pair in pairs]
        for place, (left, right) in zip(places(means), pairs, strict=True):
            if place == 0:
                yield from ends(clusters - {left, right} | {left | right})

    yield from ends(clusters)


# --- steps: rows to rows


def clip(rounds: Rounds, max_norm: float | None) -> Rows:
    most = radius(max_norm, rounds[-1])
    return [shortened(row, most) for row in rounds[-1]]


def clip_to_median(rounds: Rounds) -> Rows:
    return clipped_to_median(rounds[-1])


def arc(rounds: Rounds, n_hostile: int) -> Rows:
    n = len(rounds[-1])
    most = sorted((length(row) for row in rounds[-1]), reverse=True)[
        2 * n_hostile * (n - n_hostile) // n
    ]
    return [shortened(row, most) for row in rounds[-1]]


def normalize(rounds: Rounds, norm: float) -> Rows:
    return [times(norm / (length(row) or 1), row) for row in rounds[-1]]


def nnm(rounds: Rounds, n_hostile: int) -> Rows:
    rows = rounds[-1]
    nearest = [first([apart(row, other) for other in rows], len(rows) - n_hostile) for row in rows]
    return [average([rows[i] for i in inside]) for inside in nearest]


def bucketing(rounds: Rounds, size: int) -> Rows:
    shuffled = [rounds[-1][i] for i in stream(0, "step").permutation(len(rounds[-1]))]
    return [average(shuffled[i : i + size]) for i in range(0, len(shuffled), size)]


def momentum(rounds: Rounds, beta: float) -> Rows:
    running = rounds[0]
    for rows in rounds[1:]:
        running = [
            [beta * a + (1 - mp.mpf(beta)) * b for a, b in zip(*pair, strict=True)]
            for pair in zip(running, rows, strict=True)
        ]
    return running


# --- server optimizers: aggregates of all rounds to the last step


def fedavgm(aggregates: Rows, lr: float, beta: float) -> Row:
    step = [mp.mpf(0)] * len(aggregates[0])
    for aggregate in aggregates:
        step = [beta * a + b for a, b in zip(step, aggregate, strict=True)]
    return times(lr, step)


def adaptive(aggregates: Rows, lr: float, beta1: float, beta2: float, tau: float, kind: str) -> Row:
    moments = [(mp.mpf(0), mp.mpf(tau) ** 2)] * len(aggregates[0])
    for aggregate in aggregates:
        moments = [
            (beta1 * one + (1 - mp.mpf(beta1)) * value, second(kind, two, value**2, mp.mpf(beta2)))
            for (one, two), value in zip(moments, aggregate, strict=True)
        ]
    return [lr * one / (mp.sqrt(two) + tau) for one, two in moments]


def second(kind: str, moment: Any, square: Any, beta2: Any) -> Any:
    if kind == "fedadagrad":
        return moment + square
    if kind == "fedadam":
        return beta2 * moment + (1 - beta2) * square
    return moment - (1 - beta2) * square * sign(moment - square)
