"""The hospital that a record comes from (Hu et al., 2021, IEEE ICDM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.spaced import spread
from sim.errors import RefusedError, one_of, whole
from sim.probes import probe, tempered
from sim.types import PARTIES, About, Asked, Holdings, Party, Question, Records


@dataclass(frozen=True)
class SourceInference:
    """A record comes from the hospital whose own model has the least loss on it.

    The aggregator adds each hospital's update to the model that it sent out, and takes the mean
    log likelihood of the record over some rounds. With ``beside_features`` what a classifier makes
    of the record itself, learned from records whose hospital is known, is added to it, as far as
    this classifier predicts records that it has not seen. Other parties see no hospital's model:
    to them the final model's answer is one more column for that classifier. Hospitals of one sum
    are not distinguished.

    Args:
        party: who attacks; all parties can.
        n_rounds: rounds that are looked at, spread over the run.
        beside_features: whether the record itself is used as well.
    """

    party: Party = "aggregator"
    n_rounds: int = 10
    beside_features: bool = True
    question: ClassVar[Question] = "source"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="SourceInference",
        paper="Hu et al., Source Inference Attacks in Federated Learning",
        year=2021,
        sees="updates or their sums, or answers of the final model; the records with their labels",
        variants=("beside_features=false: as in the paper",),
    )

    def __post_init__(self) -> None:
        one_of(PARTIES, party=self.party)
        whole(1, 1000, n_rounds=self.n_rounds)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return spread(self.n_rounds, rounds)

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        records = asked.records
        known = asked.known
        if records is None or known is None:
            raise RefusedError(f"question={asked.question}: SourceInference needs the source")
        answers = np.array(asked.known_answers, dtype=np.int64)
        n_choices = len(asked.choices)
        if self.party != "aggregator":
            of_records, of_known = (
                np.column_stack([_inputs(some), seen.outputs(some.features)])
                for some in (records, known)
            )
            return probe(of_known, answers, n_choices)(of_records)
        found = self._likelihood(seen, records, asked.choices)
        if self.beside_features:
            found = found + tempered(_inputs(known), answers, n_choices, rng)(_inputs(records))
        return found

    def _likelihood(
        self, seen: Holdings, records: Records, hospitals: tuple[str, ...]
    ) -> NDArray[np.float64]:
        """The log likelihood of each record by each hospital's models, (n, n_hospitals).

        It is the mean over rounds, less that over hospitals, in units of its deviation.
        """
        total = np.zeros((len(records), len(hospitals)))
        signs = np.where(records.labels > 0.5, 1.0, -1.0)
        for one in seen.rounds:
            if one.view is None:
                continue
            models = one.before + one.view.rows
            found = -np.logaddexp(0, -signs * seen.model.logits(models, records.features))
            found = np.where(np.isfinite(found), found, 0.0)
            # a hospital that was in no row is as likely as the others are on average
            here = np.repeat(found.mean(axis=0)[:, None], len(hospitals), axis=1)
            for row, members in zip(found, one.view.members, strict=True):
                for name in {*members} & {*hospitals}:
                    here[:, hospitals.index(name)] = row
            total += here
        total -= total.mean(axis=1, keepdims=True)
        return total / max(float(total.std()), 1e-12)


def _inputs(records: Records) -> NDArray[np.float64]:
    """Features and label of each record, (n, n_features + 1)."""
    return np.column_stack([records.features, records.labels]).astype(np.float64)
