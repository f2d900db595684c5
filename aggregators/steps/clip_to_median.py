"""Clipping to the median length (Nguyen et al., 2022, arXiv:2101.02281, section 4.3)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Scaling, shortening
from sim.types import About


@dataclass(frozen=True)
class ClipToMedian(Scaling):
    """Every row that is longer than the median length of all rows, scaled down to that length."""

    about: ClassVar[About] = About(
        title="ClipToMedian",
        paper="Nguyen et al., FLAME: Taming Backdoors in Federated Learning",
        year=2022,
        sees="rows of few hospitals each",
        promise=(
            "no row is longer than the median of all,"
            " which is an honest length while hostile rows are fewer than half"
        ),
    )

    def factors(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factors of at most 1, (n_rows,)."""
        return shortening(norms, float(np.median(norms)))
