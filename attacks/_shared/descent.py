"""Descent by Adam on the signs of a gradient (Geiping et al., 2020, NeurIPS)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]
MEAN = 0.9  # decay of the mean gradient, and of its square
SQUARE = 0.999
SMALL = 1e-8


def descend(start: Values, slope: Callable[[Values], Values], rates: Sequence[float]) -> Values:
    """The point that is reached from ``start``, with a step of each of the lengths ``rates``.

    >>> descend(np.array([1.0]), lambda point: point, [0.25] * 4).round(6)
    array([0.])
    """
    point = start.copy()
    mean = np.zeros_like(point)
    square = np.zeros_like(point)
    for step, rate in enumerate(rates, start=1):
        sign = np.sign(slope(point))
        mean += (1 - MEAN) * (sign - mean)
        square += (1 - SQUARE) * (sign * sign - square)
        unbiased = np.sqrt(square / (1 - SQUARE**step)) + SMALL
        point -= rate * mean / (1 - MEAN**step) / unbiased
    return point
