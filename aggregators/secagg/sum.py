"""Secure aggregation into one sum (Bonawitz et al., 2017, IACR ePrint 2017/281)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.types import About, Updates, View


@dataclass(frozen=True)
class Sum:
    """One row, the average over all hospitals, and nothing finer; record counts stay hidden.

    The ideal outcome of the protocol: masks, quantization and drop-outs are not simulated.
    """

    about: ClassVar[About] = About(
        title="Sum",
        paper=(
            "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning"
        ),
        year=2017,
        sees="the sum over all hospitals",
    )

    def __call__(
        self, updates: Updates, hospitals: Sequence[str], weights: NDArray[np.float64]
    ) -> View:
        """The average of ``updates`` (n_hospitals, n_params) as a view of one row."""
        mean = updates.mean(axis=0, dtype=np.float64, keepdims=True)
        return View(mean, (tuple(hospitals),), None)

    def n_rows(self, n_hospitals: int) -> int:
        """Rows that the aggregator sees of ``n_hospitals``."""
        return 1
