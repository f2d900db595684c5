"""Counts of the parts of a defense that shorten updates, round by round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Shortened:
    """The number and lengths of the rows that one part of a defense has shortened so far.

    ``radius``: the one of its configuration, None where it takes each round's median length.
    ``rows``: of all ``rounds``, and ``longer`` those beyond the radius. ``medians``: the sum of the
    rounds' median lengths; ``longest``: the greatest length.
    """

    part: str
    radius: float | None
    rounds: int = 0
    rows: int = 0
    longer: int = 0
    medians: float = 0.0
    longest: float = 0.0

    def after(self, lengths: NDArray[np.float64], radius: float) -> Self:
        """The same with one more round, whose rows of these ``lengths`` were cut to ``radius``."""
        return replace(
            self,
            rounds=self.rounds + 1,
            rows=self.rows + len(lengths),
            longer=self.longer + int(np.count_nonzero(lengths > radius)),
            medians=self.medians + median_length(lengths),
            longest=max(self.longest, float(lengths.max())),
        )


def median_length(lengths: NDArray[np.float64]) -> float:
    """The radius that is taken from a round's rows: their median length.

    It lies between the shortest and the longest honest row as long as fewer than half of the rows
    are hostile.
    """
    return float(np.median(lengths))
