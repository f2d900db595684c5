"""No secure aggregation: the aggregator sees every hospital's update (McMahan et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.types import About, Updates, View


@dataclass(frozen=True)
class Clear:
    """Each hospital is a row of the view, and the aggregator learns record counts."""

    about: ClassVar[About] = About(
        title="Clear",
        paper=(
            "McMahan et al.,"
            " Communication-Efficient Learning of Deep Networks from Decentralized Data"
        ),
        year=2017,
        sees="every hospital's update and record count",
    )

    def __call__(
        self, updates: Updates, hospitals: Sequence[str], weights: NDArray[np.float64]
    ) -> View:
        """``updates`` (n_hospitals, n_params) as they are, one row a hospital."""
        return View(updates, tuple((hospital,) for hospital in hospitals), weights)

    def n_rows(self, n_hospitals: int) -> int:
        """Rows that the aggregator sees of ``n_hospitals``."""
        return n_hospitals
