"""Average with a vote a hospital, or a vote a record (McMahan et al., 2017, arXiv:1602.05629)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing
from aggregators.checks import record_counts
from sim.errors import one_of
from sim.types import About, View


@dataclass(frozen=True)
class Mean(Weighing):
    """The average of the hospitals' updates; one hostile hospital can move it anywhere.

    The default is the plain mean of hospitals. Federated averaging as McMahan et al. define it
    weighs every hospital by its number of records: that is ``weighting=count``.

    Args:
        weighting: ``uniform``: one vote a hospital; ``count``: one a record, as far as the party
            learns record counts.
    """

    weighting: Literal["uniform", "count"] = "uniform"
    about: ClassVar[About] = About(
        title="Mean",
        paper=(
            "McMahan et al.,"
            " Communication-Efficient Learning of Deep Networks from Decentralized Data"
        ),
        year=2017,
        sees="any rows, also one sum over all hospitals; record counts with weighting=count",
        limit="n_rows >= 1",
        cost="nd",
        variants=("weighting=count",),
        promise="nothing: one row moves it anywhere",
    )

    def __post_init__(self) -> None:
        one_of(("uniform", "count"), weighting=self.weighting)

    @property
    def min_rows(self) -> int:
        """Least number of rows."""
        return 1

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Hospitals or records behind each row, over their sum.

        Raises ``RefusedError`` for ``count`` where no record counts are known.
        """
        weights = record_counts(self, view) if self.weighting == "count" else view.sizes
        return np.asarray(weights / weights.sum())
