"""Neurons of a first layer that look in one direction, as those of an imprint do."""

from __future__ import annotations

import numpy as np

from sim.types import Layout, Vector

ANGLE = 0.01  # up to which two directions are one, in radians
MOST = 3  # neurons of one direction that chance may give
LEAST_INPUTS = 4  # of a neuron; with fewer, chance gives more than that
AT_ONCE = 1024  # neurons that are compared with all others


def is_imprinted(weights: Vector, layout: Layout) -> bool:
    """Whether more than ``MOST`` neurons of the first layer look in one direction.

    First weights drawn at random never do. The opposite direction is the same one, and lengths do
    not count. Neurons with fewer than ``LEAST_INPUTS`` inputs are not compared.
    """
    (_, (n_out, *shape)), *_ = layout
    n_in = int(np.prod(shape))
    if n_in < LEAST_INPUTS:
        return False
    rows = weights[: n_out * n_in].reshape(n_out, n_in).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    rows = rows[np.isfinite(largest) & (largest > 0)]
    rows = rows / np.abs(rows).max(axis=1, keepdims=True)  # squares of large ones overflow
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    least = np.cos(ANGLE)
    parts = (directions[at : at + AT_ONCE] for at in range(0, len(directions), AT_ONCE))
    return any(
        bool(((np.abs(part @ directions.T) >= least).sum(axis=1) > MOST).any()) for part in parts
    )
