"""How far into the spread of the honest updates a row can be put (Shejwalkar & Houmansadr, 2021)."""

import numpy as np

from attacks.byzantine.honest import seen
from sim.errors import RefusedError
from sim.types import Byzantine, Knowledge, Updates, Vector


def at_least_two(attack: Byzantine, known: Knowledge) -> Updates:
    """The updates taken for honest. Raises ``RefusedError`` for fewer than two: one has no spread to hide in."""
    rows = seen(known)
    if len(rows) < 2:
        raise RefusedError(f"n_known={len(rows)}: {type(attack).__name__} needs 2 known updates, colluders' or honest")
    return rows


def reach(length: float, offsets: Vector, room: Vector) -> float:
    """Largest gamma with ``gamma^2 * length - 2 * gamma * offsets <= room`` in every entry; 0 without a direction."""
    if not length:
        return 0.0
    half = offsets / length
    return float(np.max([np.min(half + np.sqrt(half**2 + np.maximum(room, 0) / length)), 0.0]))
