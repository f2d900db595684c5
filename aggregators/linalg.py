"""Distances, lengths, weighted sums and sorted columns of updates, a block of columns at a time.

Sums and lengths of float32 updates are worked out in float32, and in float64 where its range does
not do: right to about a millionth of the rows' size, as the updates themselves are. Differences of
large numbers (inner products of rows, middle values) are float64. Nothing here ever holds a float64
copy of all updates.
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
NEAR = 1e-4  # squared distance over squared lengths, below which a Gram product lacks digits
ALIKE = 1e-9  # the same, below which rows may be equal
FLAT = 1e-24  # variances, relative to squared lengths, that are nothing but rounding
TIE = 1e-9  # values whose relative difference is no more count as equal
LEAST = 1e-30  # squared lengths and factors between this
MOST = 1e30  # and this are safe in float32


def blocks(updates: Updates, size: int = BLOCK, longest: int = LONGEST) -> Iterator[slice]:
    """Slices that cover all columns, each of about ``size`` values and at most ``longest`` long."""
    width = max(1, min(longest, size // max(1, len(updates))))
    return (slice(start, start + width) for start in range(0, updates.shape[1], width))


def precision(updates: Updates, factors: NDArray[np.float64]) -> DTypeLike:
    """Float type in which ``factors``, 0 or more, can multiply ``updates`` without losing digits.

    Sums may still overflow.
    """
    safe = np.count_nonzero((factors > LEAST) & (factors < MOST)) == np.count_nonzero(factors)
    return updates.dtype if safe else np.float64


def mixtures(shares: NDArray[np.float64], updates: Updates) -> Updates:
    """``shares @ updates`` for shares (n_rows,) or (n_sums, n_rows).

    The sums have the float type of the updates, or float64 where the range of that does not do.
    """
    if precision(updates, shares) == updates.dtype:
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.dot(shares.astype(updates.dtype), updates)
        if updates.dtype == np.float64:
            return np.asarray(sums)
        if np.isfinite(sums).all():
            tiny = np.flatnonzero((np.abs(sums) < LEAST).reshape(-1, updates.shape[1]).any(axis=0))
            for start in range(0, len(tiny), LONGEST):  # float32 has few digits left there
                columns = tiny[start : start + LONGEST]
                sums[..., columns] = shares @ updates[:, columns].astype(np.float64)
            return np.asarray(sums)
    sums = np.empty((*shares.shape[:-1], updates.shape[1]))
    for block in blocks(updates):
        sums[..., block] = shares @ updates[:, block].astype(np.float64)
    return sums


def mixed(shares: NDArray[np.float64], updates: Updates) -> NDArray[np.float64]:
    """``shares @ updates`` for shares (n_rows,), (n_params,) float64."""
    return mixtures(shares, updates).astype(np.float64, copy=False)


def lengths(updates: Updates, origin: Vector | None = None) -> NDArray[np.float64]:
    """Euclidean distance of every row from ``origin`` (n_params,), zero if not given; (n_rows,).

    >>> lengths(np.array([[3.0, 4.0], [0.0, 1.0]]))
    array([5., 1.])
    """
    squares = _squares(updates, origin, updates.dtype)
    unsure = ~((squares > LEAST) & (squares < MOST))
    if updates.dtype != np.float64 and np.count_nonzero(unsure):
        squares[unsure] = _squares(updates[unsure], origin, np.float64)
    return np.asarray(np.sqrt(squares))


def gaps_from(updates: Updates, row: int) -> NDArray[np.float64]:
    """Squared Euclidean distance of every row from one of them, in float64, (n_rows,)."""
    return _squares(updates, updates[row], np.float64)


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
    """The values of each block of columns, (width, n_rows), each line in ascending order.

    An array is good until the next block.
    """
    if len(updates) <= FEW:
        for block in blocks(updates, longest=BLOCK):  # nothing is added up here
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
    """The columns of (n_rows, width) in ascending order, by Batcher's network.

    Whole rows are compared at a time.
    """
    rows = list(updates.copy())
    spare = np.empty_like(updates[0])
    for low, high in _network(len(rows)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return np.array(rows)


@lru_cache
def _network(n: int) -> list[tuple[int, int]]:
    """Pairs of places to compare and exchange, in order, that sort ``n`` values (Batcher, 1968).

    The network is that of odd-even merges.
    """
    pairs: list[tuple[int, int]] = []
    sorted_ = 1
    while sorted_ < n:
        gap = sorted_
        while gap:
            starts = range(gap % sorted_, n - gap, 2 * gap)
            lows = (start + i for start in starts for i in range(min(gap, n - start - gap)))
            pairs += [
                (low, low + gap)
                for low in lows
                if low // (2 * sorted_) == (low + gap) // (2 * sorted_)
            ]
            gap //= 2
        sorted_ *= 2
    return pairs


def ordered(
    updates: Updates, weights: NDArray[np.float64]
) -> Iterator[tuple[slice, Updates, NDArray[np.float64]]]:
    """The values of each block of columns in ascending order, and the weight up to each value.

    Both have the shape (n_rows, width).
    """
    for block in blocks(updates):
        order = updates[:, block].argsort(axis=0, kind="stable")
        values = np.take_along_axis(updates[:, block], order, axis=0)
        yield block, values, weights[order].cumsum(axis=0)


def products(
    updates: Updates,
    origin: Vector | None = None,
    sizes: NDArray[np.float64] | None = None,
    center: int | None = None,
) -> NDArray[np.float64]:
    """Inner products of the rows with each other, (n_rows, n_rows).

    If given, ``origin`` (n_params,) is taken from every row, each is divided by its entry in
    ``sizes`` (n_rows,), and the row with number ``center`` is then taken from all. Rows that are
    equal have equal products with every row, to the last digit.
    """
    gram = np.zeros((len(updates), len(updates)))
    for block in blocks(updates):
        part = updates[:, block].astype(np.float64)
        if origin is not None:
            part -= origin[block].astype(np.float64)
        if sizes is not None:
            part /= sizes[:, None]
        if center is not None:
            part -= part[center].copy()
        gram += part @ part.T
    first = _firsts(updates, gram)
    return gram if first is None else gram[np.ix_(first, first)]


def _firsts(updates: Updates, gram: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Number of the first row that equals each row, (n_rows,); None if all rows differ.

    Only rows that ``gram`` places next to each other are compared.
    """
    squares = np.diag(gram)
    sums = squares[:, None] + squares
    near = _pairs(sums - 2 * gram <= ALIKE * sums)
    if not len(near):
        return None
    first = np.arange(len(gram))
    for row, other in near:
        both_first = first[row] == row and first[other] == other
        if both_first and np.array_equal(updates[row], updates[other]):
            first[other] = row
    return first if (first != np.arange(len(gram))).any() else None


def _pairs(related: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The pairs of different rows that are ``related`` (n_rows, n_rows), (n_pairs, 2)."""
    if np.count_nonzero(related) == np.count_nonzero(related.diagonal()):
        return np.empty((0, 2), np.intp)  # most often, and in a fraction of the time
    return np.argwhere(np.triu(related, 1))


def cosines(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines of the angles between rows, in [-1, 1], from inner products (n_rows, n_rows).

    They are 0 where a row is zero.
    """
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, np.inf)
    return np.clip(gram / size / size[:, None], -1.0, 1.0)


def cosine_distances(updates: Updates, origin: Vector | None = None) -> NDArray[np.float64]:
    """1 minus the cosines of the angles between rows minus ``origin``, (n_rows, n_rows).

    They are 0 on the diagonal and 1 where a row is zero. They come from the distances of rows of
    length 1, so that small angles keep their digits. Angles below 1e-12 count as none.
    """
    sizes = np.sqrt(_squares(updates, origin, np.float64))
    zero = sizes == 0
    apart = squared_distances(updates, origin, np.where(zero, 1.0, sizes)) / 2
    apart[zero | zero[:, None]] = 1.0
    np.fill_diagonal(apart, 0.0)
    return np.where(apart > FLAT, apart, 0.0)


def _middle(updates: Updates) -> int:
    """Number of the row of (lower) median length.

    Taken from all rows it keeps the digits of the others, as a mean would not beside rows far out:
    while most rows are honest, it is no longer than some honest one.
    """
    return int(lengths(updates).argsort(kind="stable")[(len(updates) - 1) // 2])


def squared_distances(
    updates: Updates, origin: Vector | None = None, sizes: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Squared Euclidean distances between rows, (n_rows, n_rows), symmetric and at least 0.

    Where these are given, of rows minus ``origin`` and over ``sizes``. One Gram product in float64
    of the rows minus the row of median length; rows that are close to each other and far from that
    one are subtracted from each other. The relative error of every distance is about 1e-11 at most,
    and equal rows have equal distances.

    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
    array([[ 0., 25.],
           [25.,  0.]])
    """
    gram = products(updates, origin, sizes, _middle(updates))
    squares = np.diag(gram)
    sums = squares[:, None] + squares[None, :]
    squared = np.maximum(sums - (gram + gram.T), 0.0)
    np.fill_diagonal(squared, 0.0)
    for row, other in _pairs(squared < NEAR * sums):
        gap = _gap(updates, row, other, origin, sizes)
        squared[row, other] = gap
        squared[other, row] = gap
    return squared


def ranks(values: NDArray[np.float64], unit: float = 0.0) -> NDArray[np.intp]:
    """Place of each value in ascending order, from 0, in the shape of ``values``.

    Neighbors in that order tie, and have the same place, if they differ by at most ``TIE`` of the
    greater of the two or of ``unit``.
    """
    return ranks_by_row(values.reshape(1, -1), unit).reshape(values.shape)


def ranks_by_row(rows: NDArray[np.float64], unit: float = 0.0) -> NDArray[np.intp]:
    """The ``ranks`` of the values of each row (n_rows, n) among themselves."""
    n_rows, n = rows.shape
    order = rows.argsort(axis=1, kind="stable")
    order += n * np.arange(n_rows)[:, None]  # places among all values
    ascending = rows.ravel()[order]
    higher = ascending[:, 1:]
    steps = higher - ascending[:, :-1] > TIE * np.maximum(np.abs(higher), unit)
    found = np.zeros(rows.shape, np.intp)
    np.cumsum(steps, axis=1, out=found[:, 1:])
    places = np.empty(rows.size, np.intp)
    places[order] = found
    return places.reshape(rows.shape)


def level(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, those that tie all as the least of them."""
    flat = values.ravel()
    places = ranks(values).ravel()
    least = np.full(len(flat), np.inf)
    np.minimum.at(least, places, flat)
    return least[places].reshape(values.shape)


def _gap(
    updates: Updates,
    row: int,
    other: int,
    origin: Vector | None = None,
    sizes: NDArray[np.float64] | None = None,
) -> float:
    """Squared distance of two rows minus ``origin`` and over ``sizes``, summed term by term."""
    gap = 0.0
    for block in blocks(updates, LONGEST * len(updates)):
        sides = [updates[i, block].astype(np.float64) for i in (row, other)]
        if origin is not None:
            sides = [side - origin[block] for side in sides]
        if sizes is not None:
            sides = [side / sizes[i] for side, i in zip(sides, (row, other), strict=True)]
        difference = sides[0] - sides[1]
        gap += float(difference @ difference)
    return gap


def embedded(updates: Updates) -> NDArray[np.float64]:
    """Points (n_rows, at most n_rows) that lie to each other as the rows of ``updates`` do.

    They come from one Gram product of rows scaled to length 1, or, where rows nearly coincide, from
    a QR factorization. A distance is off by about 1e-12 of the two rows' lengths, taken from the
    row of median length. Equal rows are equal points.
    """
    origin = updates[_middle(updates)]
    gram = products(updates, origin)
    first = _firsts(updates, gram)
    if first is None:
        return _points(updates, origin, gram)
    rows, place = np.unique(first, return_inverse=True)
    return _points(updates[rows], origin, gram[np.ix_(rows, rows)])[place]


def _points(updates: Updates, origin: Vector, gram: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.sqrt(np.diag(gram))
    divisor = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(gram / divisor / divisor[:, None])
    n_apart = np.count_nonzero(size)
    if not n_apart or values[-n_apart] > NEAR:
        return np.asarray(size[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))
    triangle = np.zeros((0, len(updates)))
    for block in blocks(updates):
        part = (updates[:, block].astype(np.float64) - origin[block]) / divisor[:, None]
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, part.T]), mode="r"))
    return np.asarray(size[:, None] * triangle.T)


def top_projections(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Greatest weighted variance of ``points`` (n, n_dims), and squared projections on it, (n,).

    Projections are taken from the weighted mean, on the direction of that variance, or on all
    directions that share it. Variance and projections are 0 where all points coincide.
    """
    gaps = points - weights @ points / weights.sum()
    values, vectors = np.linalg.eigh((gaps.T * weights) @ gaps / weights.sum())
    if values[-1] <= FLAT * np.vecdot(points, points).max():
        return 0.0, np.zeros(len(points))
    top = vectors[:, values >= values[-1] * (1 - TIE)]
    return float(values[-1]), np.square(gaps @ top).sum(axis=1)
