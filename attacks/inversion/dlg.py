"""Records found by matching their update to an observed one (Zhu et al., 2019, NeurIPS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.matching import Search, searched, searches, squared
from sim.errors import one_of, whole
from sim.types import About, Guess, Look, Observation

MEMORY = 100


@dataclass(frozen=True)
class DLG:
    """Deep leakage from gradients: records that would have been trained to the observed update.

    The squared distance of the two updates, over the squared length of the observed one, is made
    small by L-BFGS with a line search that satisfies the strong Wolfe conditions, in float64. With
    ``labels=inferred`` (iDLG, Zhao et al., 2020) labels come from the update of the last bias, with
    ``labels=searched`` (DLG) they are searched with the records. It needs smooth activations
    (sigmoid) and few records behind a row. Noise leaves guesses that are wrong.

    Args:
        round: round whose updates are attacked, from 1.
        evaluations: most updates that are computed for a row.
        labels: inferred or searched.
    """

    round: int = 1
    evaluations: int = 1600
    labels: str = "inferred"
    about: ClassVar[About] = About(
        title="DLG",
        paper="Zhu et al., Deep Leakage from Gradients; Zhao et al. 2020 (labels inferred)",
        year=2019,
        sees=(
            "updates or their sums, the model, the training values, counts of records, the public"
            " schema of a record"
        ),
        variants=("labels=inferred: iDLG", "labels=searched: DLG"),
    )

    def __post_init__(self) -> None:
        whole(1, round=self.round, evaluations=self.evaluations)
        one_of(("inferred", "searched"), labels=self.labels)

    def __call__(self, seen: Observation, rng: np.random.Generator) -> list[Guess]:
        """The guess of each row of the view; without records where nothing can be searched."""
        nothing = np.zeros((0, seen.schema.n_features))
        return [
            Guess(nothing) if search is None else self._found(search, rng)
            for search in searches(seen, rng)
        ]

    def looks(self, rows: Sequence[tuple[int, int]]) -> list[Look]:
        """The amount that is searched behind rows of so many records and hospitals, at most."""
        return [Look(1, n, k, self.evaluations) for n, k in searched(rows)]

    def _found(self, search: Search, rng: np.random.Generator) -> Guess:
        from scipy.optimize import minimize
        from scipy.special import expit

        start = search.start(1, rng)
        n_values = start.size
        of = squared(search.update)
        known = search.labels[None]
        searched = self.labels == "searched"

        def mismatch(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            features = point[:n_values].reshape(start.shape)
            labels = expit(point[None, n_values:]) if searched else known
            value, by_features, by_labels = search.mismatch(features, labels, of)
            slope = [by_features.ravel()]
            if searched:
                slope.append((by_labels * labels * (1 - labels)).ravel())
            return float(value[0]), np.concatenate(slope)

        point = start.ravel()
        if searched:
            point = np.concatenate([point, rng.normal(size=known.size)])
        options = {
            "maxcor": MEMORY,
            "maxfun": self.evaluations,
            "maxiter": self.evaluations,
            "ftol": 0.0,
            "gtol": 0.0,
        }
        found = minimize(mismatch, point, jac=True, method="L-BFGS-B", options=options).x
        labels = expit(found[n_values:]) if searched else search.labels
        records = search.fitting(found[:n_values].reshape(start.shape)[0])
        return Guess(records, float(np.mean(labels > 0.5)))
