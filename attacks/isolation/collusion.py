"""Hospitals that give the aggregator their own updates (Bonawitz et al., 2017, IACR 2017/281)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import RefusedError
from sim.types import About, Isolated, Pooled, Vector, View


@dataclass(frozen=True)
class Collusion:
    """The sum less the colluders' own updates: with all but one hospital, the last one's update.

    The hostile hospitals collude with the aggregator. With fewer of them a smaller sum is left. No
    protocol can prevent it, since the sum is what it gives; more hospitals in a sum, or noise on
    the updates, make it worth less.
    """

    colludes: ClassVar[bool] = True
    about: ClassVar[About] = About(
        title="Collusion",
        paper=(
            "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning"
        ),
        year=2017,
        sees="the aggregator's view, and the updates of the hospitals that collude with it",
    )

    def __call__(self, pooled: Pooled, rng: np.random.Generator) -> Isolated:
        """The rows of the view without the colluding hospitals.

        Raises:
            RefusedError: no hospital colludes.
        """
        if not pooled.own:
            raise RefusedError(
                "adversary.n_hostile: Collusion needs at least 1 hospital that colludes"
            )
        found = list(without(pooled))
        rows = np.array([total / len(group) for total, group in found])
        return Isolated(
            View(rows.reshape(len(found), pooled.view.rows.shape[1]), tuple(g for _, g in found))
        )


def without(pooled: Pooled) -> Iterator[tuple[Vector, tuple[str, ...]]]:
    """The sum of each row of the view without the colluding hospitals, and the others in it.

    Rows of colluding hospitals alone are left out.
    """
    for row, group in zip(pooled.view.rows, pooled.view.members, strict=True):
        left = tuple(name for name in group if name not in pooled.own)
        if left:
            total = len(group) * row.astype(np.float64)
            for name in group:
                if name in pooled.own:
                    total -= pooled.own[name]
            yield total, left
