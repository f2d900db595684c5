"""Zero updates (Wu et al., 2020, arXiv:1912.12716)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.honest import mean, repeated, seen
from sim.errors import one_of
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class Zero:
    """An update that brings the round to nothing.

    Args:
        of: ``mean`` sends what makes the sum of all updates zero, as in the paper: the honest sum,
            negated and shared out evenly; ``row`` sends zeros, which only slows the mean.
    """

    of: Literal["mean", "row"] = "mean"
    about: ClassVar[About] = About(
        title="Zero",
        paper=(
            "Wu et al., Federated Variance-Reduced Stochastic Gradient Descent With Robustness"
            " to Byzantine Attacks"
        ),
        year=2020,
        sees="of=mean: all updates it can get; of=row: nothing",
        needs="own",
        uses="updates",
        variants=("of=mean", "of=row"),
    )

    def __post_init__(self) -> None:
        one_of(("mean", "row"), of=self.of)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        if self.of == "row":
            return np.zeros(known.own.shape)
        n_honest = known.n_hospitals - known.n_hostile
        return repeated(-n_honest / known.n_hostile * mean(seen(known)), known)
