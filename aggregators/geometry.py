"""What many rules need of updates: distances, lengths, weighted sums. Columns are taken a block at a time.

Everything is worked out in float64, without ever holding a float64 copy of all updates.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim.types import Updates, Vector

BLOCK = 1 << 16  # values of a block of columns: half a megabyte of float64 stays in the cache


def blocks(updates: Updates) -> Iterator[slice]:
    """Slices that cover all columns, each of about ``BLOCK`` values."""
    width = max(1, BLOCK // max(1, len(updates)))
    return (slice(start, start + width) for start in range(0, updates.shape[1], width))


def mixed(shares: NDArray[np.float64], updates: Updates) -> NDArray[np.float64]:
    """``shares @ updates`` for shares (n_rows,) or (n_sums, n_rows). Rows that nobody takes a share of are not read."""
    taken = np.flatnonzero(shares if shares.ndim == 1 else shares.any(axis=0))
    used, rows = shares[..., taken], updates if len(taken) == len(updates) else updates[taken]
    sums = np.empty((*shares.shape[:-1], updates.shape[1]))
    for block in blocks(updates):
        sums[..., block] = used @ rows[:, block].astype(np.float64)
    return sums


def lengths(updates: Updates, origin: Vector | None = None) -> NDArray[np.float64]:
    """Euclidean distance of every row from ``origin`` (n_params,), zero if not given; (n_rows,)."""
    squares = np.zeros(len(updates))
    for block in blocks(updates):
        part = updates[:, block].astype(np.float64)
        if origin is not None:
            part -= origin[block]
        squares += np.einsum("ij,ij->i", part, part)
    return np.sqrt(squares)


def ordered(updates: Updates, weights: NDArray[np.float64]) -> Iterator[tuple[slice, Updates, NDArray[np.float64]]]:
    """For each block of columns its values in ascending order, and the weight of all rows up to each value, (n_rows, width)."""
    for block in blocks(updates):
        order = updates[:, block].argsort(axis=0, kind="stable")
        yield block, np.take_along_axis(updates[:, block], order, axis=0), weights[order].cumsum(axis=0)


def products(updates: Updates) -> NDArray[np.float64]:
    """Inner products of the rows with each other, (n_rows, n_rows)."""
    gram = np.zeros((len(updates), len(updates)))
    for block in blocks(updates):
        part = updates[:, block].astype(np.float64)
        gram += part @ part.T
    return gram


def cosines(updates: Updates) -> NDArray[np.float64]:
    """Cosine of the angle between each two rows, (n_rows, n_rows), in [-1, 1]; 0 where a row is zero."""
    gram = products(updates)
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, np.inf)
    return np.clip(gram / size / size[:, None], -1.0, 1.0)


def centered_products(updates: Updates) -> NDArray[np.float64]:
    """Inner products of the rows minus their (upper) coordinate-wise median, (n_rows, n_rows).

    The median and not the mean: rows far out then cannot cost the others their digits.
    """
    gram = np.zeros((len(updates), len(updates)))
    for block in blocks(updates):
        part = np.sort(updates[:, block], axis=0)[len(updates) // 2].astype(np.float64)
        part = updates[:, block] - part
        gram += part @ part.T
    return gram


def squared_distances(updates: Updates) -> NDArray[np.float64]:
    """Squared Euclidean distances between rows, (n_rows, n_rows); symmetric, never negative, zero on the diagonal.

    One Gram product in float64. The error is a few float64 roundings of the squared lengths of the two rows, taken from
    the coordinate-wise median: tiny updates of a large model keep their digits, also beside rows of size 1e30.
    """
    gram = centered_products(updates)
    squares = np.diag(gram)
    squared = np.maximum(squares[:, None] + squares[None, :] - (gram + gram.T), 0.0)
    np.fill_diagonal(squared, 0.0)
    return squared


def embedded(updates: Updates) -> NDArray[np.float64]:
    """Points (n_rows, n_rows) that lie to each other as the rows of ``updates`` do: all that distances need, and far smaller.

    From one Gram product of rows scaled to length 1. A distance is off by about 1e-8 of the two rows' lengths, taken from the
    coordinate-wise median.
    """
    gram = centered_products(updates)
    size = np.sqrt(np.diag(gram))
    divisor = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(gram / divisor / divisor[:, None])
    return np.asarray(size[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))
