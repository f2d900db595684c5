"""How far to go along a line before a known defense notices."""

from collections.abc import Callable

import numpy as np

from sim.errors import RefusedError, number, whole
from sim.types import Knowledge, Updates, Vector


def checked(evals: int, scale: float) -> None:
    """Refuse parameters of ``furthest`` that make no search."""
    whole(3, evals=evals)
    number(0, open_low=True, scale=scale)


def damage(known: Knowledge, honest: Vector) -> Callable[[Updates], float]:
    """Distance of the aggregate from the honest mean ``honest``, if the hostile hospitals sent the given rows.

    Raises ``RefusedError`` without the defense.
    """
    if known.defense is None:
        raise RefusedError("adversary.knowledge: this attack needs updates_and_rule, to try what the defense makes of it")
    foresee = known.defense
    return lambda rows: float(np.linalg.norm(foresee(rows) - honest))


def furthest(value: Callable[[float], float], evals: int, scale: float) -> float:
    """The positive argument with the largest ``value`` found in at most ``evals`` looks.

    Half of the looks are at ``scale`` times powers of two, around 1; the others close in on the best on both sides, by ratios
    whose logarithm is halved each time. A maximum behind a cliff, as selecting rules have it, is found like any other.
    """
    n_each_side = max(1, evals // 4)
    looked = {scale * 2.0**k: value(scale * 2.0**k) for k in range(-n_each_side, n_each_side + 1)}
    log_ratio = 1.0
    while len(looked) + 2 <= evals:
        log_ratio /= 2
        best = max(looked, key=lambda x: looked[x])
        looked.update({x: value(x) for x in (best * 2**log_ratio, best / 2**log_ratio)})
    return max(looked, key=lambda x: looked[x])
