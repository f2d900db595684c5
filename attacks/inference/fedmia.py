"""Membership by an update that stands out among all hospitals' (Zhu et al., 2025, CVPR)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.calibrated import candidates, true_logits
from attacks._shared.pulls import cosines, own_rows
from attacks._shared.spaced import spread
from sim.errors import RefusedError, one_of, whole
from sim.types import About, Asked, Holdings, Question, Records, SeenRound, View

FEWEST = 3  # rows: one that is asked about, and others for a mean and a deviation
OUTLYING = 3.0  # deviations above the mean, from which another hospital may hold the record too
LEAST_DEVIATION = 1e-9


@dataclass(frozen=True)
class FedMIA:
    """A membership test: how far a hospital's update stands out among all others' for a record.

    In each round the other hospitals' updates, as good as surely trained without the record, give a
    Gaussian; the score is the mean over rounds of its distribution function at the hospital's own.
    Those more than three deviations above the mean are left out of it, for they may hold the record
    as well. It knows no shadow model, and needs the updates of single hospitals, or of three groups
    at least.

    Args:
        measure: what of an update is measured: cosine with the step that the record asks for, or
            the loss of the hospital's own model on it.
        n_rounds: rounds that are looked at, spread over the run.
    """

    measure: str = "cosine"
    n_rounds: int = 10
    party: ClassVar = "aggregator"
    question: ClassVar[Question] = "membership"
    min_rows: ClassVar[int] = FEWEST
    about: ClassVar[About] = About(
        title="FedMIA",
        paper=(
            "Zhu et al., FedMIA: An Effective Membership Inference Attack Exploiting"
            " 'All for One' Principle in Federated Learning"
        ),
        year=2025,
        sees="three updates, or sums of them, at least; the records in question with their labels",
        variants=("measure=loss",),
    )

    def __post_init__(self) -> None:
        one_of(("cosine", "loss"), measure=self.measure)
        whole(1, 1000, n_rounds=self.n_rounds)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return spread(self.n_rounds, rounds)

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        records = candidates(asked)
        total = np.zeros(len(records))
        views = [(one, one.view) for one in seen.rounds if one.view is not None]
        for one, view in views:
            if len(view.rows) < FEWEST:
                raise RefusedError(f"n_rows={len(view.rows)}: FedMIA needs n_rows >= {FEWEST}")
            rows = own_rows(view.members, asked.hospitals)
            total += _stands_out(self._measured(seen, one, view, records), rows)
        return (total / max(1, len(views)))[:, None]

    def _measured(
        self, seen: Holdings, one: SeenRound, view: View, records: Records
    ) -> NDArray[np.float64]:
        """What the update of each row does for each record, (n_rows, n): more is likelier."""
        if self.measure == "cosine":
            return cosines(seen.model, one.before, view.rows, records)
        models = one.before + view.rows
        return true_logits(seen.model.logits(models, records.features), records.labels)


def _stands_out(measured: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Gaussian distribution function of the others at the own measurement, (n,).

    ``measured`` (n_rows, n); ``rows`` (n,): the own one, -1 where there is none: a half.
    """
    from scipy.special import ndtr  # takes a while to load

    own = np.arange(len(measured))[:, None] == rows
    mean, spread_ = _gaussian(measured, ~own)
    mean, spread_ = _gaussian(measured, ~own & (measured <= mean + OUTLYING * spread_))
    at = measured[rows, np.arange(len(rows))]
    found: NDArray[np.float64] = np.where(rows < 0, 0.5, ndtr((at - mean) / spread_))
    return found


def _gaussian(
    measured: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation (n,) of the chosen measurements of each record."""
    n = np.maximum(chosen.sum(axis=0), 1)
    mean = np.sum(measured, axis=0, where=chosen) / n
    square = np.sum((measured - mean) ** 2, axis=0, where=chosen) / np.maximum(n - 1, 1)
    return mean, np.maximum(np.sqrt(square), LEAST_DEVIATION)
