"""FLTrust (Cao et al., 2021, arXiv:2012.13995)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Weighing
from aggregators.checks import root_row
from aggregators.linalg import cosines, lengths, mixed, products
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Fltrust(Weighing):
    """The average of rows of the trusted row's length, by the cosine of their angle to that row.

    The trusted row is the update of hospital ``root``, which does not count as a row itself. A row
    that does not point its way has no weight; where none does the aggregate is zero. Any number of
    the others may be hostile; if the trusted hospital is, nothing is promised.

    Args:
        root: name of the trusted hospital.
    """

    root: str | None
    about: ClassVar[About] = About(
        title="Fltrust",
        paper="Cao et al., FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping",
        year=2021,
        sees="rows of few hospitals each, and the trusted hospital's own",
        limit="n_rows >= 2",
        cost="n²d",
        promise=(
            "while the trusted hospital is honest it is no longer than that row"
            " and never points against it; nothing else about its direction"
        ),
    )

    @property
    def min_rows(self) -> int:
        """Least number of rows: the trusted one and another."""
        return 2

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Trust scores over their sum.

        Raises ``RefusedError`` if the trusted hospital has no row of its own.
        """
        root = root_row(self, view)
        scores = np.maximum(cosines(products(view.rows))[root], 0.0)
        scores[root] = 0.0
        return np.asarray(scores / (scores.sum() or 1.0))

    def combined(self, view: View, shares: NDArray[np.float64], rng: np.random.Generator) -> Vector:
        """The weighted average of rows of the trusted row's length, (n_params,)."""
        norms = lengths(view.rows)
        scale = norms[root_row(self, view)] / np.where(norms > 0, norms, 1.0)
        return mixed(shares * scale, view.rows)
