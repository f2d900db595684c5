"""Distances between updates, computed once and shared by the rules that need them."""

import numpy as np
from numpy.typing import NDArray

from sim.types import Updates


def centered(updates: Updates) -> NDArray[np.float64]:
    """``updates`` minus their (upper) coordinate-wise median, (n_rows, n_params), in float64.

    The median and not the mean: rows far out then cannot cost the others their digits.
    """
    middle = np.sort(updates, axis=0)[len(updates) // 2].astype(np.float64)
    return np.asarray(updates - middle, dtype=np.float64)


def squared_distances(updates: Updates) -> NDArray[np.float64]:
    """Squared Euclidean distances between rows, (n_rows, n_rows); symmetric, never negative, zero on the diagonal.

    One Gram product in float64. The error is a few float64 roundings of the squared lengths of the two rows, taken from
    the coordinate-wise median: tiny updates of a large model keep their digits, also beside rows of size 1e30.
    """
    points = centered(updates)
    gram = points @ points.T
    lengths = np.diag(gram)
    squared = np.maximum(lengths[:, None] + lengths[None, :] - (gram + gram.T), 0.0)
    np.fill_diagonal(squared, 0.0)
    return squared


def embedded(updates: Updates) -> NDArray[np.float64]:
    """Points (n_rows, n_rows) that lie to each other as the rows of ``updates`` do: all that distances need, and far smaller.

    From one Gram product of rows scaled to length 1. A distance is off by about 1e-8 of the two rows' lengths, taken from the
    coordinate-wise median.
    """
    points = centered(updates)
    gram = points @ points.T
    lengths = np.sqrt(np.diag(gram))
    divisor = np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(gram / divisor / divisor[:, None])
    return np.asarray(lengths[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))
