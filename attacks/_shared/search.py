"""A search for how far to go along a line before a known defense notices."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from sim.errors import RefusedError, number, whole
from sim.limits import REPEATS
from sim.types import Knowledge, Updates, Vector

Looks = dict[float, float]  # argument -> value there
LARGEST_SCALE = 1e12  # rows travel as float32, which ends at 3e38
NEAR = 6  # looks below the scale, at its halves
FAR = 3  # looks above the scale, up to the end of the climb
FURTHEST = 40  # most doublings of the step


def checked(evals: int, scale: float) -> None:
    """Refuse parameters of ``furthest`` that make no search."""
    whole(3, REPEATS, evals=evals)
    number(0, LARGEST_SCALE, open_low=True, scale=scale)


def damage(known: Knowledge, honest: Vector) -> Callable[[Updates], float]:
    """The distance by which rows of hostile hospitals move the aggregate from the honest mean.

    An aggregate that is not finite does no damage, for no aggregator takes it.

    Raises:
        RefusedError: the defense is not known.
    """
    if known.defense is None:
        raise RefusedError(
            "adversary.knowledge: this attack needs updates_and_rule,"
            " to try what the defense makes of it"
        )
    aggregate = known.defense

    def measured(rows: Updates) -> float:
        distance = float(np.linalg.norm(aggregate(rows) - honest))
        return distance if math.isfinite(distance) else 0.0

    return measured


def furthest(value: Callable[[float], float], evals: int, scale: float) -> float:
    """The argument of at least 0 with the largest ``value`` found in at most ``evals`` looks.

    Five of nine looks climb from 0 (the search of Allouah et al., 2023): a first step of ``scale``,
    twice as long after each look that is better, so that the reach grows for as long as the value
    does; from the first look that is worse on, each step is four fifths as long as the one before.
    Then come ``scale`` divided by powers of two, for a maximum close to 0; steps up to where an
    undisturbed climb ends, for a rule that yields only far out; and the other looks halve the gaps
    beside the best one, the wider gap first.
    """
    looks: Looks = {0.0: value(0.0)}
    n_climb = max(2, 5 * evals // 9)
    _climb(value, looks, n_climb - 1, scale)
    end = 2.0 ** min(n_climb - 1, FURTHEST) - 1
    near = (scale / 2**k for k in range(1, NEAR + 1))
    far = (scale * end ** (k / FAR) for k in range(1, FAR + 1))
    _look(value, looks, (*near, *far), evals)
    while len(looks) < evals and (between := _between(looks)) not in looks:
        looks[between] = value(between)
    return _best(looks)


def _climb(value: Callable[[float], float], looks: Looks, n_looks: int, scale: float) -> None:
    best = 0.0
    step = scale
    growing = True
    for _ in range(n_looks):
        at = best + step
        looks[at] = value(at)
        better = looks[at] > looks[best]
        growing = growing and better
        best = at if better else best
        step *= (2 if at < scale * 2.0**FURTHEST else 1) if growing else 0.8


def _look(value: Callable[[float], float], looks: Looks, at: Iterable[float], evals: int) -> None:
    for x in at:
        if len(looks) < evals and x not in looks:
            looks[x] = value(x)


def _between(looks: Looks) -> float:
    """The middle, on a logarithmic scale, of the wider gap beside the best look.

    A gap that begins at 0 has no such middle; its half is taken.
    """
    ordered = sorted(looks)
    at = ordered.index(_best(looks))
    gaps = [(ordered[i], ordered[i + 1]) for i in (at, at - 1) if 0 <= i < len(ordered) - 1]
    low, high = max(gaps, key=lambda gap: gap[1] / gap[0] if gap[0] else 2.0)
    return math.sqrt(low) * math.sqrt(high) if low else high / 2


def _best(looks: Looks) -> float:
    return max(looks, key=lambda x: looks[x])
