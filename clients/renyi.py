"""Epsilon from divergences of Renyi, which add up over steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def of_divergences(
    orders: NDArray[np.float64], divergences: NDArray[np.float64], delta: float
) -> float:
    """The least epsilon that divergences of these orders (above 1) give with ``delta``.

    By Canonne, Kamath and Steinke 2020, Proposition 12: never below the truth.
    """
    found = divergences + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return max(0.0, float(found.min()))
