"""Directions in which to push the honest mean (Shejwalkar & Houmansadr, 2021)."""

from typing import Literal

import numpy as np

from attacks._shared.honest import Block, Push
from sim.types import Updates, Vector

Direction = Literal["unit", "std", "sign"]


def _std(block: Block) -> Updates:
    return np.asarray(
        -np.sqrt(np.einsum("ij,ij->j", block.rows, block.rows) / len(block.rows))[None]
    )


def trend(center: Vector, rows: Updates) -> Vector:
    """The mean ``center`` (width,) of rows that lie around it as ``rows``; 0 where rounding alone
    may have moved it off 0.
    """
    rounding = len(rows) * np.finfo(rows.dtype).eps * np.abs(rows).max(axis=0)
    return np.where(np.abs(center) > rounding, center, 0.0)


def signs(block: Block) -> Updates:
    """Signs of the mean of the rows, (1, width), as ``trend`` has them."""
    return np.sign(trend(block.center, block.rows))[None]


# Against the honest rows: their mean, their standard deviations, or the signs of their mean; all
# negated. Lengths do not matter: how far to go is found out afterwards.
PUSHES: dict[Direction, Push] = {
    "unit": lambda block: -trend(block.center, block.rows)[None],
    "std": _std,
    "sign": lambda block: -signs(block),
}
DIRECTIONS = tuple(PUSHES)
