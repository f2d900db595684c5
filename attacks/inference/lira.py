"""Membership by a likelihood ratio for each record (Carlini et al., 2022, IEEE S&P)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.calibrated import shadows
from sim.errors import one_of, whole
from sim.types import PARTIES, About, Asked, Holdings, Party, Question

MOST_MODELS = 1024
FEW = 32  # models with or without a record, below which all records share one deviation
LEAST_DEVIATION = 1e-3


@dataclass(frozen=True)
class LiRA:
    """A likelihood ratio of the final model's logit of a record: trained on against not trained on.

    Both likelihoods are Gaussians of each record's own, fitted to shadow models that train as the
    federation did on parts of the asked records. ``offline`` looks at models without the record
    alone, and at how far above them the logit lies.

    Args:
        party: who attacks; all parties can.
        models: shadow models.
        mode: online or offline.
        deviation: of the Gaussians: each record's own, fixed (the mean of all records), or auto:
            fixed where fewer than 32 models tell it.
    """

    party: Party = "outsider_api"
    models: int = 64
    mode: str = "online"
    deviation: str = "auto"
    question: ClassVar[Question] = "membership"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="LiRA",
        paper="Carlini et al., Membership Inference Attacks From First Principles",
        year=2022,
        sees="the final model's answers; the records in question with their labels; the plan",
        variants=("mode=offline", "deviation=own"),
    )

    def __post_init__(self) -> None:
        one_of(PARTIES, party=self.party)
        whole(4, MOST_MODELS, models=self.models)
        one_of(("online", "offline"), mode=self.mode)
        one_of(("auto", "own", "fixed"), deviation=self.deviation)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return ()

    def trainings(self, rounds: int, n_hospitals: int) -> float:
        """As many federations as there are models."""
        return self.models

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        from scipy.special import log_ndtr  # takes a while to load

        found = shadows(seen, asked, self.models, rng)
        without = self._gaussian(found.logits, ~found.used)
        above = (found.target - without[0]) / without[1]
        if self.mode == "offline":
            scores = -log_ndtr(-above)
        else:
            mean, spread = self._gaussian(found.logits, found.used)
            beside = (found.target - mean) / spread
            scores = (above**2 - beside**2) / 2 + np.log(without[1] / spread)
        return np.asarray(scores, dtype=np.float64)[:, None]

    def _gaussian(
        self, logits: NDArray[np.float64], chosen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation (n,) of each record's logits by the chosen models."""
        n = chosen.sum(axis=0)
        mean = np.sum(logits, axis=0, where=chosen) / n
        square = np.sum((logits - mean) ** 2, axis=0, where=chosen)
        own = square / np.maximum(n - 1, 1)
        is_shared = self.deviation == "fixed" or (self.deviation == "auto" and n.min() < FEW)
        variance = (
            np.full_like(own, square.sum() / np.maximum(n - 1, 1).sum()) if is_shared else own
        )
        return mean, np.maximum(np.sqrt(variance), LEAST_DEVIATION)
