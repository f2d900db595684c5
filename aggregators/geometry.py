"""What many rules need of updates: distances, lengths, weighted sums, sorted columns. Columns are taken a block at a time.

Sums and lengths of float32 updates are worked out in float32, and in float64 where its range does not do: right to about a
millionth of the rows' size, as the updates themselves are. What subtracts large numbers from each other (inner products of rows,
middle values) is float64. Nothing here ever holds a float64 copy of all updates.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim.types import Updates, Vector

BLOCK = 1 << 16  # values of a block of columns: half a megabyte of float64 stays in the cache
SORTED = 1 << 15  # the same, where columns are turned into rows
FEW = 16  # rows up to which comparing whole rows sorts columns faster
LONGEST = 4096  # columns of a block: so few float32 squares add up without losing digits
LEAST, MOST = 1e-30, 1e30  # squared lengths and factors between these are safe in float32


def blocks(updates: Updates, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover all columns, each of about ``size`` values."""
    width = max(1, min(LONGEST, size // max(1, len(updates))))
    return (slice(start, start + width) for start in range(0, updates.shape[1], width))


def precision(updates: Updates, factors: NDArray[np.float64]) -> DTypeLike:
    """Float type in which these factors, 0 or more, can multiply ``updates`` without losing digits; sums may still overflow."""
    safe = np.count_nonzero((factors > LEAST) & (factors < MOST)) == np.count_nonzero(factors)
    return updates.dtype if safe else np.float64


def mixtures(shares: NDArray[np.float64], updates: Updates) -> Updates:
    """``shares @ updates`` for shares (n_rows,) or (n_sums, n_rows).

    In the float type of the updates, or in float64 where the range of that does not do.
    """
    if precision(updates, shares) == updates.dtype:
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.dot(shares.astype(updates.dtype), updates)
        if updates.dtype == np.float64 or np.isfinite(sums).all():
            return np.asarray(sums)
    sums = np.empty((*shares.shape[:-1], updates.shape[1]))
    for block in blocks(updates):
        sums[..., block] = shares @ updates[:, block].astype(np.float64)
    return sums


def mixed(shares: NDArray[np.float64], updates: Updates) -> NDArray[np.float64]:
    """``shares @ updates`` for shares (n_rows,), (n_params,) float64."""
    return mixtures(shares, updates).astype(np.float64, copy=False)


def lengths(updates: Updates, origin: Vector | None = None) -> NDArray[np.float64]:
    """Euclidean distance of every row from ``origin`` (n_params,), zero if not given; (n_rows,)."""
    squares = _squares(updates, origin, updates.dtype)
    unsure = ~((squares > LEAST) & (squares < MOST))
    if updates.dtype != np.float64 and np.count_nonzero(unsure):
        squares[unsure] = _squares(updates[unsure], origin, np.float64)
    return np.asarray(np.sqrt(squares))


def _squares(updates: Updates, origin: Vector | None, dtype: DTypeLike) -> NDArray[np.float64]:
    squares = np.zeros(len(updates))
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(updates, LONGEST * len(updates)):
            part = updates[:, block].astype(dtype, copy=False)
            if origin is not None:
                part = part - origin[block].astype(dtype)
            squares += np.vecdot(part, part)
    return squares


def sorted_columns(updates: Updates) -> Iterator[tuple[slice, Updates]]:
    """For each block of columns its values as (width, n_rows), every line in ascending order; good until the next block."""
    if len(updates) <= FEW:
        for block in blocks(updates):
            yield block, _merged(updates[:, block]).T
        return
    space = np.empty((min(LONGEST, updates.shape[1]), len(updates)), updates.dtype)
    for block in blocks(updates, SORTED):
        part = updates[:, block].T
        columns = space[: len(part)]
        columns[...] = part  # what is contiguous sorts faster
        columns.sort(axis=1)
        yield block, columns


def _merged(updates: Updates) -> Updates:
    """The columns of (n_rows, width) in ascending order, by Batcher's network: whole rows are compared at a time."""
    rows, spare = list(updates.copy()), np.empty_like(updates[0])
    for low, high in _network(len(rows)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return np.array(rows)


@lru_cache
def _network(n: int) -> list[tuple[int, int]]:
    """Pairs of places to compare and exchange, in order, that sort ``n`` values: odd-even merges (Batcher, 1968)."""
    pairs, sorted_ = list[tuple[int, int]](), 1
    while sorted_ < n:
        gap = sorted_
        while gap:
            starts = range(gap % sorted_, n - gap, 2 * gap)
            lows = (start + i for start in starts for i in range(min(gap, n - start - gap)))
            pairs += [(low, low + gap) for low in lows if low // (2 * sorted_) == (low + gap) // (2 * sorted_)]
            gap //= 2
        sorted_ *= 2
    return pairs


def ordered(updates: Updates, weights: NDArray[np.float64]) -> Iterator[tuple[slice, Updates, NDArray[np.float64]]]:
    """For each block of columns its values in ascending order, and the weight of all rows up to each value, (n_rows, width)."""
    for block in blocks(updates):
        order = updates[:, block].argsort(axis=0, kind="stable")
        yield block, np.take_along_axis(updates[:, block], order, axis=0), weights[order].cumsum(axis=0)


def products(updates: Updates, origin: Vector | None = None) -> NDArray[np.float64]:
    """Inner products of the rows, minus ``origin`` (n_params,) if given, with each other; (n_rows, n_rows)."""
    gram = np.zeros((len(updates), len(updates)))
    for block in blocks(updates):
        part = updates[:, block].astype(np.float64)
        if origin is not None:
            part -= origin[block].astype(np.float64)
        gram += part @ part.T
    return gram


def cosines(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines of the angles between rows, in [-1, 1], from their inner products (n_rows, n_rows); 0 where a row is zero."""
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, np.inf)
    return np.clip(gram / size / size[:, None], -1.0, 1.0)


def centered_products(updates: Updates) -> NDArray[np.float64]:
    """Inner products of the rows minus the row of (lower) median length, (n_rows, n_rows).

    Rows far out then cannot cost the others their digits, as they would through a mean: while most rows are honest, that row is
    no longer than some honest one.
    """
    return products(updates, updates[lengths(updates).argsort()[(len(updates) - 1) // 2]])


def squared_distances(updates: Updates) -> NDArray[np.float64]:
    """Squared Euclidean distances between rows, (n_rows, n_rows); symmetric, never negative, zero on the diagonal.

    One Gram product in float64. The error is a few float64 roundings of the squared lengths of the two rows, taken from
    the row of median length: tiny updates of a large model keep their digits, also beside rows of size 1e30.
    """
    gram = centered_products(updates)
    squares = np.diag(gram)
    squared = np.maximum(squares[:, None] + squares[None, :] - (gram + gram.T), 0.0)
    np.fill_diagonal(squared, 0.0)
    return squared


def embedded(updates: Updates) -> NDArray[np.float64]:
    """Points (n_rows, n_rows) that lie to each other as the rows of ``updates`` do: all that distances need, and far smaller.

    From one Gram product of rows scaled to length 1. A distance is off by about 1e-8 of the two rows' lengths, taken from the
    row of median length.
    """
    gram = centered_products(updates)
    size = np.sqrt(np.diag(gram))
    divisor = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(gram / divisor / divisor[:, None])
    return np.asarray(size[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))
