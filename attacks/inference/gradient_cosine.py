"""Membership by whether an update goes where a record pulls (Li et al., 2023, ICLR)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.calibrated import candidates
from attacks._shared.pulls import cosines, own_rows
from attacks._shared.spaced import spread
from sim.errors import one_of, whole
from sim.types import About, Asked, Holdings, Party, Question


@dataclass(frozen=True)
class GradientCosine:
    """The mean cosine between a hospital's update and the step that the record asks for.

    Where updates are added up, the sum that holds the hospital's update is all there is, and so for
    another hospital the step of the common model.

    Args:
        party: who attacks: aggregator or hospital.
        n_rounds: rounds that are looked at, spread over the run.
    """

    party: Party = "aggregator"
    n_rounds: int = 10
    question: ClassVar[Question] = "membership"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="GradientCosine",
        paper=(
            "Li et al., Effective Passive Membership Inference Attacks in Federated Learning"
            " Against Overparameterized Models"
        ),
        year=2023,
        sees="updates or their sums, or the common models; the records in question with labels",
        variants=("party=hospital",),
    )

    def __post_init__(self) -> None:
        one_of(("aggregator", "hospital"), party=self.party)
        whole(1, 1000, n_rounds=self.n_rounds)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return spread(self.n_rounds, rounds)

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        records = candidates(asked)
        total = np.zeros(len(records))
        for one in seen.rounds:
            if one.view is None:
                continue
            found = cosines(seen.model, one.before, one.view.rows, records)
            rows = own_rows(one.view.members, asked.hospitals)
            total += np.where(rows < 0, 0.0, found[rows, np.arange(len(rows))])
        return (total / max(1, len(seen.rounds)))[:, None]
