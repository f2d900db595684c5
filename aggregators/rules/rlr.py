"""Robust learning rate (Ozdayi et al., 2021, arXiv:2007.03767)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.checks import enough
from aggregators.linalg import mixed
from sim.errors import whole
from sim.types import About, Vector, View


@dataclass(frozen=True)
class Rlr:
    """The mean of the rows, turned around in every coordinate on whose sign too few rows agree.

    Few is where the signs of the rows sum to less than ``threshold``.

    Meant against backdoors, which a minority must write into coordinates that the others do not
    agree on. The lengths of rows are not bounded: clip them first.

    Args:
        n_hostile: hostile rows to withstand.
        threshold: least absolute sum of signs; None: ``n_hostile + 1``.
    """

    n_hostile: int
    threshold: int | None = None
    about: ClassVar[About] = About(
        title="Rlr",
        paper=(
            "Ozdayi et al.,"
            " Defending against Backdoors in Federated Learning with Robust Learning Rate"
        ),
        year=2021,
        sees="rows of few hospitals each",
        limit="n_rows >= max(2*n_hostile + 1, threshold or 0)",
        cost="nd",
        promise="nothing: one long row moves it anywhere, and lengths have to be clipped first",
    )

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)
        whole(1, threshold=1 if self.threshold is None else self.threshold)

    @property
    def min_rows(self) -> int:
        """Least number of rows: as many as the honest ones need to reach the threshold."""
        return max(2 * self.n_hostile + 1, self.threshold or 0)

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The mean with some coordinates turned around, (n_params,).

        Raises ``RefusedError`` for too few rows.
        """
        enough(self, view)
        n_rows = len(view.rows)
        votes = np.sign(view.rows).sum(axis=0, dtype=np.float64)
        agreed = np.abs(votes) >= (self.threshold or self.n_hostile + 1)
        mean = mixed(np.full(n_rows, 1 / n_rows), view.rows)
        return np.asarray(np.where(agreed, 1.0, -1.0) * mean)
