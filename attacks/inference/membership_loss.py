"""Membership by how sure the final model is of a record (Yeom et al., 2018, IEEE CSF)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.calibrated import candidates, true_logits
from sim.errors import one_of
from sim.types import PARTIES, About, Asked, Holdings, Party, Question


@dataclass(frozen=True)
class MembershipLoss:
    """The smaller the final model's loss on a record, the likelier it was trained on.

    It needs nothing but answers of the final model, and knows nothing of how hard a record is: most
    of the records that it is surest of are easy ones that nobody trained on.

    Args:
        party: who attacks; all parties can.
    """

    party: Party = "outsider_api"
    question: ClassVar[Question] = "membership"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="MembershipLoss",
        paper=(
            "Yeom et al., Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting"
        ),
        year=2018,
        sees="the final model's answers; the records in question with their labels",
    )

    def __post_init__(self) -> None:
        one_of(PARTIES, party=self.party)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return ()

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        records = candidates(asked)
        return true_logits(seen.outputs(records.features), records.labels)[:, None]
