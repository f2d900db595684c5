"""Records found by matching the direction of their update (Geiping et al., 2020, NeurIPS)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.matching import MOST_RECORDS, Search, cosine, searched, searches
from sim.errors import number, whole
from sim.limits import MOST_STEPS, REPEATS
from sim.types import About, Guess, ImageSchema, Look, Observation

DECAYS = (3 / 8, 5 / 8, 7 / 8)  # of the iterations, after which steps are a tenth as long
MEAN = 0.9  # decay of the mean gradient, and of its square, in Adam
SQUARE = 0.999


@dataclass(frozen=True)
class InvertingGradients:
    """Inverting gradients: records whose training would move the model in the observed direction.

    One minus the cosine of the two updates, plus the total variation of images, is made small by
    Adam on the signs of the gradient, with pixels held from 0 to 1, in float32. The cosine knows no
    length, so that clipping hides nothing. Several local steps are repeated one after the other. Of
    several restarts the one with the smallest distance counts, which the attacker can see; labels
    come from the update of the last bias, in another order in each restart. Noise leaves guesses
    that are wrong.

    Args:
        round: round whose updates are attacked, from 1.
        iterations: steps of Adam.
        restarts: tries of each row, from other first records.
        variation: weight of the total variation; tables have none.
        lr: length of the first steps, in each pixel.
    """

    round: int = 1
    iterations: int = 2400
    restarts: int = 2
    variation: float = 0.01
    lr: float = 0.1
    about: ClassVar[About] = About(
        title="InvertingGradients",
        paper="Geiping et al., Inverting Gradients - How Easy Is It to Break Privacy in Federated"
        " Learning?",
        year=2020,
        sees=(
            "updates or their sums, the model, the training values, counts of records, the public"
            " schema of a record"
        ),
    )

    def __post_init__(self) -> None:
        whole(1, round=self.round)
        whole(1, MOST_STEPS, iterations=self.iterations)
        whole(1, REPEATS, restarts=self.restarts)
        number(0, variation=self.variation)
        number(0, open_low=True, lr=self.lr)

    def __call__(self, seen: Observation, rng: np.random.Generator) -> list[Guess]:
        """The guess of each row of the view; without records where nothing can be searched."""
        found = list(searches(seen, rng))
        guesses = [Guess(np.zeros((0, seen.schema.n_features)))] * len(found)
        sizes = [None if one is None else (len(one.labels), one.n_hospitals) for one in found]
        for at in self._together(sizes):
            rows = [one for one in (found[i] for i in at) if one is not None]
            for i, guess in zip(at, self._found(rows, rng), strict=True):
                guesses[i] = guess
        return guesses

    def looks(self, rows: Sequence[tuple[int, int]]) -> list[Look]:
        """The amount that is searched behind rows of so many records and hospitals."""
        known = searched(rows)
        return [
            Look(len(at) * self.restarts, *known[at[0]], self.iterations + 1)
            for at in self._together(known)
        ]

    def _together(self, rows: Sequence[tuple[int, int] | None]) -> Iterator[list[int]]:
        """The places of rows that are searched at once: alike, and few enough for the memory.

        ``rows``: records and hospitals of each, None where nothing is searched.
        """
        alike = dict[tuple[int, int], list[int]]()
        for i, one in enumerate(rows):
            if one is not None:
                alike.setdefault(one, []).append(i)
        for (n_records, _), places in alike.items():
            size = max(1, MOST_RECORDS // (n_records * self.restarts))
            yield from (places[i : i + size] for i in range(0, len(places), size))

    def _found(self, rows: Sequence[Search], rng: np.random.Generator) -> list[Guess]:
        """The guesses of rows with as many records each."""
        tries = [row for row in rows for _ in range(self.restarts)]
        first = tries[0]
        labels = np.array([rng.permutation(row.labels) for row in tries], np.float32)
        records = first.start(len(tries), rng).astype(np.float32)
        of = cosine(np.array([row.update for row in tries]))
        mean = np.zeros_like(records)
        square = np.zeros_like(records)
        ends = [round(share * self.iterations) for share in DECAYS]
        lr = self.lr
        for step in range(self.iterations):
            _, by_features, _ = first.mismatch(records, labels, of)
            if isinstance(first.schema, ImageSchema):
                by_features = by_features + self.variation * rising(records, first.schema)
            sign = np.sign(by_features)
            mean = MEAN * mean + (1 - MEAN) * sign
            square = SQUARE * square + (1 - SQUARE) * sign * sign
            lr *= 0.1 ** ends.count(step)
            unbiased = np.sqrt(square / (1 - SQUARE ** (step + 1))) + 1e-8
            records = records - lr * mean / (1 - MEAN ** (step + 1)) / unbiased
            records = first.fitting(records)
        distance, _, _ = first.mismatch(records, labels, of)
        best = np.nan_to_num(distance, nan=np.inf).reshape(len(rows), -1).argmin(axis=1)
        best += self.restarts * np.arange(len(rows))
        return [
            Guess(records[at].astype(np.float64), float(row.labels.mean()))
            for at, row in zip(best, rows, strict=True)
        ]


def rising(images: NDArray[np.floating], schema: ImageSchema) -> NDArray[np.floating]:
    """The derivative of the total variation of images (..., n_features).

    That is the mean distance of neighbors in a row plus the mean distance of neighbors in a column.
    """
    pixels = images.reshape(-1, schema.height, schema.width)
    found = np.zeros_like(pixels)
    for axis, side in ((1, schema.height), (2, schema.width)):
        if side > 1:
            n_pairs = schema.n_features // side * (side - 1)
            signs = np.sign(np.diff(pixels, axis=axis)) / n_pairs
            ahead = [slice(None)] * 3
            behind = [slice(None)] * 3
            ahead[axis] = slice(1, None)
            behind[axis] = slice(-1)
            found[tuple(ahead)] += signs
            found[tuple(behind)] -= signs
    return found.reshape(images.shape)
