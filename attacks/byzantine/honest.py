"""What hostile hospitals take for the honest updates, and its moments, in float64 whatever the dtype of the rows."""

import numpy as np

from sim.types import Knowledge, Updates, Vector

BLOCK = 2048  # columns handled at a time, so that a block of many hospitals stays in the cache


def seen(known: Knowledge) -> Updates:
    """The honest hospitals' updates if they are known and there are any, else the hostile hospitals' own honest ones."""
    return known.own if known.others is None or not len(known.others) else known.others


def mean(rows: Updates) -> Vector:
    """Mean of the rows, (n_params,)."""
    return np.asarray(rows.mean(axis=0, dtype=np.float64))


def deviation(rows: Updates, ddof: int = 0) -> Vector:
    """Standard deviation of every parameter over the rows, (n_params,)."""
    found = np.empty(rows.shape[1])
    for at in range(0, rows.shape[1], BLOCK):
        found[at : at + BLOCK] = rows[:, at : at + BLOCK].std(axis=0, ddof=ddof, dtype=np.float64)
    return found


def gram(rows: Updates, origin: Vector) -> Updates:
    """Inner products of the rows as seen from ``origin``, (n_rows, n_rows)."""
    total = np.zeros((len(rows), len(rows)))
    for at in range(0, rows.shape[1], BLOCK):
        block = rows[:, at : at + BLOCK] - origin[at : at + BLOCK]
        total += block @ block.T
    return total


def along(rows: Updates, origin: Vector, push: Vector) -> Vector:
    """Inner product of every row, as seen from ``origin``, with ``push``, (n_rows,)."""
    total = np.zeros(len(rows))
    for at in range(0, rows.shape[1], BLOCK):
        total += (rows[:, at : at + BLOCK] - origin[at : at + BLOCK]) @ push[at : at + BLOCK]
    return total


def combined(rows: Updates, weights: Vector) -> Vector:
    """Weighted sum of the rows, (n_params,)."""
    return np.concatenate([weights @ rows[:, at : at + BLOCK] for at in range(0, rows.shape[1], BLOCK)])


def squared_distances(products: Updates) -> Updates:
    """Squared distance of every pair of rows, from their ``gram`` matrix."""
    lengths = np.diag(products)
    return np.maximum(lengths[:, None] + lengths - 2 * products, 0)


def repeated(row: Vector, known: Knowledge) -> Updates:
    """The same row for every hostile hospital; a view that cannot be written to."""
    return np.broadcast_to(row, known.own.shape)
