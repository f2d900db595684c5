"""The ROC of scores that tell records that were trained on from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = "Sequence[float] | NDArray[np.float64]"


class Curve(NamedTuple):
    """False and true positive rates of all thresholds, from (0, 0) to (1, 1)."""

    false: NDArray[np.float64]
    true: NDArray[np.float64]


def curve(members: Scores, others: Scores) -> Curve:
    """The curve of the test that calls a record a member if its score reaches a threshold.

    >>> curve([3.0, 1.0], [2.0, 0.0]).true.tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """
    known = np.sort(np.asarray(members, dtype=np.float64))
    rest = np.sort(np.asarray(others, dtype=np.float64))
    thresholds = np.unique(np.concatenate([known, rest]))[::-1]
    reached = [1 - np.searchsorted(one, thresholds) / len(one) for one in (rest, known)]
    false, true = (np.concatenate([[0.0], rates]) for rates in reached)
    return Curve(false, true)


def auc(members: Scores, others: Scores) -> float:
    """The share of pairs of a member and another record in which the member's score is higher.

    A pair of equal scores counts half.

    >>> auc([3.0, 1.0], [2.0, 0.0])
    0.75
    """
    rest = np.sort(np.asarray(others, dtype=np.float64))
    sides = [np.searchsorted(rest, np.asarray(members), side=side) for side in ("left", "right")]
    return float(np.mean(sides) / len(rest))


def true_positives(members: Scores, others: Scores, false_positives: float) -> float:
    """The largest true positive rate with at most this false positive rate, without a coin toss.

    >>> true_positives([3.0, 1.0], [2.0, 0.0], 0.01)
    0.5
    """
    rest = np.sort(np.asarray(others, dtype=np.float64))[::-1]
    allowed = allowed_errors(len(rest), false_positives)
    if allowed >= len(rest):
        return 1.0
    return float(np.mean(np.asarray(members) > rest[allowed]))


def allowed_errors(n_others: int, false_positives: float) -> int:
    """The most of ``n_others`` records that this false positive rate lets be taken for members."""
    return int(false_positives * n_others + 1e-9)


def advantage(members: Scores, others: Scores) -> float:
    """The largest true minus false positive rate of any threshold.

    >>> advantage([3.0, 1.0], [2.0, 0.0])
    0.5
    """
    found = curve(members, others)
    return float(np.max(found.true - found.false))
