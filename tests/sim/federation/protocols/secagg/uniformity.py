"""Whether numbers of the ring look uniform and unrelated: two tests at one level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

LEVEL = 1e-6  # the probability that a test rejects truly random numbers


def uniform_p(values: NDArray[np.uint32]) -> float:
    """The p-value of the chi-square test that all bytes are equally likely; the least of the four
    places of a byte, times four.
    """
    places = values.view(np.uint8).reshape(-1, 4)
    found = list[float]()
    for place in range(4):
        counts = np.bincount(places[:, place], minlength=256)
        expected = len(values) / 256
        found.append(float(chi2.sf(((counts - expected) ** 2 / expected).sum(), 255)))
    return min(1.0, 4 * min(found))


def unrelated_p(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """The p-value of the test that two vectors are not correlated, as numbers with a sign."""
    first, second = (part.view(np.int32).astype(float) for part in (one, other))
    correlation = float(np.corrcoef(first, second)[0, 1])
    return float(2 * norm.sf(abs(np.arctanh(correlation)) * np.sqrt(len(first) - 3)))


def suspicious(vectors: Sequence[NDArray[np.uint32]], known: Sequence[NDArray[np.uint32]]) -> bool:
    """Whether a test rejects that ``vectors`` are uniform, and unrelated to each other, to their
    neighboring places and to what is ``known``.
    """
    if any(uniform_p(one) < LEVEL for one in vectors):
        return True
    pairs = [(one, other) for i, one in enumerate(vectors) for other in [*vectors[:i], *known]]
    pairs += [(one[1:], one[:-1]) for one in vectors]
    return any(unrelated_p(*pair) < LEVEL for pair in pairs)
