"""Directions in which to push the honest mean (Shejwalkar & Houmansadr, 2021)."""

from typing import Literal

import numpy as np

from attacks.byzantine.honest import deviation, mean
from sim.types import Updates, Vector

Direction = Literal["unit", "std", "sign"]
DIRECTIONS = ("unit", "std", "sign")


def direction(rows: Updates, name: Direction) -> Vector:
    """Against the honest rows: their mean at length 1, the standard deviations, or the signs of the mean; all negated."""
    if name == "std":
        return -deviation(rows)
    center = mean(rows)
    if name == "sign":
        return -np.sign(center)
    length = float(np.linalg.norm(center))
    return -center / length if length else np.zeros_like(center)
