"""Directions in which to push the honest mean (Shejwalkar & Houmansadr, 2021)."""

from typing import Literal

import numpy as np

from attacks.byzantine.honest import Block, Push
from sim.types import Updates

Direction = Literal["unit", "std", "sign"]


def _std(block: Block) -> Updates:
    return np.asarray(-np.sqrt(np.einsum("ij,ij->j", block.rows, block.rows) / len(block.rows))[None])


def signs(block: Block) -> Updates:
    """Signs of the mean of the rows, (1, width); 0 where rounding alone may have moved the mean off 0."""
    rounding = len(block.rows) * np.finfo(block.rows.dtype).eps * np.abs(block.rows).max(axis=0)
    return np.where(np.abs(block.center) > rounding, np.sign(block.center), 0.0)[None]


# Against the honest rows: their mean, their standard deviations, or the signs of their mean; all negated. Lengths do not matter:
# how far to go is found out afterwards.
PUSHES: dict[Direction, Push] = {
    "unit": lambda block: -block.center[None],
    "std": _std,
    "sign": lambda block: -signs(block),
}
DIRECTIONS = tuple(PUSHES)
