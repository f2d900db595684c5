"""Neurons of a first layer that look in much the same direction, as those of an imprint do."""

from __future__ import annotations

import numpy as np

from sim.types import Layout, Vector

FURTHEST = 0.5  # radians, up to which two directions count as one
CHANCE = 0.01  # neurons that may lie so near to a given one by chance
MOST = 3  # neurons of one direction, the given one among them, that an honest model may have
AT_ONCE = 1024  # neurons that are compared with all others


def is_imprinted(weights: Vector, layout: Layout) -> bool:
    """Whether more than ``MOST`` neurons of the first layer look in one direction.

    Two directions are one up to an angle of ``FURTHEST``, or up to a smaller one where neurons are
    many or have few inputs, so that at most ``CHANCE`` of a random layer's neurons lie that near to
    one. The opposite direction is the same one, and lengths do not count. Neurons with a single
    input are not compared.
    """
    (_, (n_out, *shape)), *_ = layout
    n_in = int(np.prod(shape))
    if n_in < 2:
        return False
    rows = weights[: n_out * n_in].reshape(n_out, n_in).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    rows = rows[np.isfinite(largest) & (largest > 0)]
    rows = rows / np.abs(rows).max(axis=1, keepdims=True)  # squares of large ones overflow
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    angle = min(FURTHEST, (CHANCE / n_out) ** (1 / (n_in - 1)))
    least = np.cos(angle) - 1e-12  # of equal directions it may be rounded down
    parts = (directions[at : at + AT_ONCE] for at in range(0, len(directions), AT_ONCE))
    return any(
        bool(((np.abs(part @ directions.T) >= least).sum(axis=1) > MOST).any()) for part in parts
    )
