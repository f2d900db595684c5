"""Plain and record-weighted average (McMahan et al., 2017, arXiv:1602.05629)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.limits import enough
from sim.errors import RefusedError, one_of
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Mean:
    """Average of the hospitals' updates. One hostile hospital can move it anywhere.

    Args:
        weighting: ``uniform`` counts every hospital alike; ``count`` weighs a row by the record count that the party learns.
    """

    weighting: Literal["uniform", "count"] = "uniform"
    about: ClassVar[About] = About(
        title="Mean",
        paper="McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data",
        year=2017,
        sees="any rows, also one sum over all hospitals; record counts with weighting=count",
        limit="n_rows >= 1",
        variants=("weighting=uniform", "weighting=count"),
    )

    def __post_init__(self) -> None:
        one_of(("uniform", "count"), weighting=self.weighting)

    @property
    def min_rows(self) -> int:
        """Least number of rows."""
        return 1

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The average, (n_params,). Raises ``RefusedError`` for ``count`` where no record counts are known."""
        enough(self, view)
        weights = view.sizes if self.weighting == "uniform" else _counts(view)
        return np.asarray((weights / weights.sum()) @ view.rows.astype(np.float64))


def _counts(view: View) -> NDArray[np.float64]:
    if view.weights is None:
        raise RefusedError("weighting=count: Mean needs record counts, and this party does not learn record counts")
    if view.weights.min() < 0 or not view.weights.sum() > 0:
        raise RefusedError(f"weights={view.weights.tolist()}: Mean needs record counts of at least 0 and a sum above 0")
    return view.weights
