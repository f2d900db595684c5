"""Records whose training gives an observed update: what inversions by optimization search for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks._shared.labels import made_up, prevalences
from sim.types import ImageSchema, LocalTraining, Observation, Schema, Updates, Vector

MOST_RECORDS = 64  # behind a row that is searched

# updates (n_tries, n_params) -> of each its mismatch (n_tries,), and the gradient of that
Mismatch = Callable[[Updates], tuple[NDArray[np.floating], Updates]]


@dataclass(frozen=True, eq=False)
class Search:
    """The facts about the records behind one row of a view before they are searched.

    ``labels`` (n_records,): guessed from the last bias; which record has which is a matter of
    names.
    """

    update: Vector
    training: LocalTraining
    labels: NDArray[np.float64]
    n_hospitals: int
    schema: Schema

    def start(self, n_tries: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Made-up records (n_tries, n_records, n_features) to start from."""
        return made_up((n_tries, len(self.labels)), self.schema, rng)

    def mismatch(
        self, features: NDArray[np.floating], labels: NDArray[np.floating], of: Mismatch
    ) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
        """The mismatch of the updates of tries, and its derivatives by features and by labels."""
        updates, pull_back = self.training.traced(features, labels, self.n_hospitals)
        values, slope = of(updates)
        return values, *pull_back(slope)

    def fitting(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """The nearest records that the schema allows: pixels lie from 0 to 1."""
        return np.clip(features, 0, 1) if isinstance(self.schema, ImageSchema) else features


def searches(
    seen: Observation, rng: np.random.Generator, known: float | None = None
) -> Iterator[Search | None]:
    """The search for the records behind each row of a view; None where nothing can be found.

    That is where training cannot be repeated, the number of records is unknown, above
    ``MOST_RECORDS`` or not shared out evenly to the hospitals, or the update is zero or not finite.
    ``known``: the share of records with the condition, where it need not be guessed.
    """
    shares = prevalences(seen, rng) if known is None else [known] * len(seen.view.rows)
    numbers = seen.n_records or (None,) * len(shares)
    rows = zip(seen.view.rows.astype(np.float64), numbers, shares, seen.view.sizes, strict=True)
    for row, n, share, n_hospitals in rows:
        is_whole = n is not None and 1 <= n <= MOST_RECORDS and n % n_hospitals == 0
        if seen.training is None or n is None or not is_whole or not _tells(row):
            yield None
        else:
            n_positive = round((0.5 if share is None else share) * n)
            labels = (np.arange(n) < n_positive).astype(np.float64)
            yield Search(row, seen.training, labels, int(n_hospitals), seen.schema)


def searched(rows: Sequence[tuple[int, int]], most: int = MOST_RECORDS) -> list[tuple[int, int]]:
    """Of numbers of records and hospitals behind rows those behind which something is searched."""
    return [(n, k) for n, k in rows if 1 <= n <= min(most, MOST_RECORDS) and n % k == 0]


def _tells(update: Vector) -> bool:
    """Whether an update is finite and not zero, nor so long that its square is neither."""
    square = float(update @ update)
    return bool(np.finfo(np.float64).tiny < square < np.inf)


def squared(update: Vector) -> Mismatch:
    """The squared distance from ``update``, over its squared length."""
    scale = float(update @ update)

    def of(updates: Updates) -> tuple[NDArray[np.floating], Updates]:
        gap = updates - update
        return (gap * gap).sum(axis=1) / scale, 2 * gap / scale

    return of


def cosine(observed: Updates) -> Mismatch:
    """One minus the cosine with the observed update of each try, (n_tries, n_params)."""
    tiny = np.finfo(np.float64).tiny
    aims = observed / np.linalg.norm(observed, axis=1, keepdims=True)

    def of(updates: Updates) -> tuple[NDArray[np.floating], Updates]:
        length = np.linalg.norm(updates.astype(np.float64), axis=1, keepdims=True)
        length = np.maximum(length, tiny)
        directions = updates / length
        cosines = np.einsum("ij,ij->i", directions, aims)[:, None]
        slope = (cosines * directions - aims) / length
        return 1 - cosines[:, 0], slope.astype(updates.dtype)

    return of
