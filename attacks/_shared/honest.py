"""The updates that hostile hospitals take for honest, and moments of rows of any dtype."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sim.types import Knowledge, Updates, Vector

BLOCK = 2048  # columns handled at a time, so that a block of many hospitals stays in the cache


class Block(NamedTuple):
    """Some ``columns`` of the rows, their mean ``center`` (width,), and the rows less that mean.

    ``rows``: (n_rows, width).
    """

    columns: slice
    center: Vector
    rows: Updates


Push = Callable[[Block], Updates]  # directions (n_pushes, width) in these columns


@dataclass(frozen=True)
class Cloud:
    """Rows around their mean ``center`` (n_params,), and directions ``pushes``.

    ``pushes``: (n_pushes, n_params). ``products`` (n_rows, n_rows): inner products of the centered
    rows. ``offsets`` (n_pushes, n_rows): inner products of the pushes with the centered rows.
    """

    center: Vector
    pushes: Updates
    products: Updates
    offsets: Updates

    @property
    def squared_distances(self) -> Updates:
        """Squared distance of every pair of rows."""
        lengths = np.diag(self.products)
        return np.maximum(lengths[:, None] + lengths - 2 * self.products, 0)


def seen(known: Knowledge) -> Updates:
    """The honest updates if they are known and there are any, else the hostile hospitals' own."""
    return known.own if known.others is None or not len(known.others) else known.others


def mean(rows: Updates) -> Vector:
    """Mean of the rows, (n_params,) float64."""
    return np.asarray(rows.mean(axis=0, dtype=np.float64))


def deviation(rows: Updates, ddof: int = 0) -> Vector:
    """Standard deviation of every parameter over the rows, (n_params,) float64."""
    found = np.empty(rows.shape[1])
    for at in range(0, rows.shape[1], BLOCK):
        block = rows[:, at : at + BLOCK].astype(np.float64)
        block -= block.mean(axis=0)
        found[at : at + BLOCK] = np.einsum("ij,ij->j", block, block)
    return np.sqrt(found / (len(rows) - ddof))


def cloud(rows: Updates, push: Push, n_pushes: int = 1) -> Cloud:
    """The rows around their mean, in one pass over them.

    Products of float32 rows are worked out in float32, centered and a block of columns at a time;
    where that overflows, everything is done again in float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = _cloud(rows, push, n_pushes, rows.dtype)
    fine = np.isfinite(found.products).all() and np.isfinite(found.offsets).all()
    return found if fine else _cloud(rows, push, n_pushes, np.dtype(np.float64))


def _cloud(rows: Updates, push: Push, n_pushes: int, dtype: np.dtype[Any]) -> Cloud:
    n, d = rows.shape
    found = Cloud(np.empty(d), np.empty((n_pushes, d)), np.zeros((n, n)), np.zeros((n_pushes, n)))
    shares = np.full(n, 1 / n, dtype)
    for at in range(0, d, BLOCK):
        columns = slice(at, at + BLOCK)
        part = rows[:, columns].astype(dtype, copy=False)
        center = shares @ part
        block = Block(columns, center, part - center)
        pushes = push(block).astype(dtype, copy=False)
        found.center[columns] = center
        found.pushes[:, columns] = pushes
        found.products[:] += block.rows @ block.rows.T
        found.offsets[:] += pushes @ block.rows.T
    return found


def combined(rows: Updates, weights: Vector) -> Vector:
    """Weighted sum of the rows, (n_params,)."""
    shares = weights.astype(rows.dtype)
    starts = range(0, rows.shape[1], BLOCK)
    return np.concatenate([shares @ rows[:, at : at + BLOCK] for at in starts])


def repeated(row: Vector, known: Knowledge) -> Updates:
    """The same row for every hostile hospital; a view that cannot be written to."""
    return np.broadcast_to(row, known.own.shape)
