"""Directions in which to push the honest mean (Shejwalkar & Houmansadr, 2021)."""

from typing import Literal

import numpy as np

from attacks._shared.honest import Block, Push
from sim.types import Updates, Vector

Direction = Literal["unit", "std", "sign"]


def trend(center: Vector, rows: Updates) -> Vector:
    """The mean ``center`` (width,) of the rows, with 0 where rounding alone can explain it.

    ``rows`` (n_rows, width) are the rows with their mean taken off.
    """
    rounding = len(rows) * np.finfo(rows.dtype).eps * np.abs(rows).max(axis=0)
    return np.where(np.abs(center) > rounding, center, 0.0)


def signs(block: Block) -> Updates:
    """Signs of the mean of the rows, (1, width); 0 where ``trend`` is 0."""
    return np.sign(trend(block.center, block.rows))[None]


def _std(block: Block) -> Updates:
    squares = np.einsum("ij,ij->j", block.rows, block.rows)
    return np.asarray(-np.sqrt(squares / len(block.rows))[None])


# Directions against the honest rows: their mean, their standard deviations, the signs of their
# mean, all negated. Lengths do not matter: how far to go is found out afterwards.
PUSHES: dict[Direction, Push] = {
    "unit": lambda block: -trend(block.center, block.rows)[None],
    "std": _std,
    "sign": lambda block: -signs(block),
}
DIRECTIONS = tuple(PUSHES)
