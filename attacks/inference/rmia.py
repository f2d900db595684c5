"""Membership by ratios against the records of a population (Zarifzadeh et al., 2024, ICML)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.calibrated import Shadows, shadows
from sim.errors import number, one_of, whole
from sim.types import PARTIES, About, Asked, Holdings, Party, Question

MOST_MODELS = 1024
SHARES = tuple(tenth / 10 for tenth in range(11))  # tried for ``offline``


@dataclass(frozen=True)
class RMIA:
    """The share of a population's records that the model favors less than the record in question.

    A record is favored by the probability of its true label over what reference models give it; so
    few of them are enough. The population are the other asked records. Reference models that did
    not train on a record tell the probability without it; what it would be on average over models
    with and without it is extrapolated by ``offline``, a factor that the attacker finds by taking
    one reference model for the target of the others.

    Args:
        party: who attacks; all parties can.
        models: reference models.
        gamma: how much more a record has to be favored than another, to count.
    """

    party: Party = "outsider_api"
    models: int = 8
    gamma: float = 1.0
    question: ClassVar[Question] = "membership"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="RMIA",
        paper="Zarifzadeh et al., Low-Cost High-Power Membership Inference Attacks",
        year=2024,
        sees="the final model's answers; the records in question with their labels; the plan",
        variants=("models=2", "gamma=2.0"),
    )

    def __post_init__(self) -> None:
        one_of(PARTIES, party=self.party)
        whole(2, MOST_MODELS, models=self.models)
        number(1, gamma=self.gamma)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return ()

    def trainings(self, rounds: int, n_hospitals: int) -> float:
        """As many federations as there are models."""
        return self.models

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        from scipy.special import expit  # takes a while to load

        found = shadows(seen, asked, self.models, rng)
        factor = self._factor(found)
        return self._scores(expit(found.target), _without(found), factor)[:, None]

    def _factor(self, found: Shadows) -> float:
        """The extrapolation with which the records of the first reference model are found best."""
        from scipy.special import expit  # takes a while to load

        rest = Shadows(found.logits[0], found.logits[1:], found.used[1:])
        is_there = (~rest.used).any(axis=0)
        target = expit(rest.target)[is_there]
        mean = _without(rest)[is_there]
        known = found.used[0][is_there]
        gaps = [_gap(self._scores(target, mean, factor), known) for factor in SHARES]
        return SHARES[int(np.argmax(gaps))]

    def _scores(
        self, probability: NDArray[np.float64], without: NDArray[np.float64], factor: float
    ) -> NDArray[np.float64]:
        """The share of all records whose ratio is smaller, (n,)."""
        reference = (1 + factor) / 2 * without + (1 - factor) / 2
        ratio = probability / np.maximum(reference, 1e-12)
        below = np.searchsorted(np.sort(ratio), ratio / self.gamma, side="left")
        return np.asarray(below / len(ratio), dtype=np.float64)


def _without(found: Shadows) -> NDArray[np.float64]:
    """Each record's mean probability by the models that did not train on it, (n,)."""
    from scipy.special import expit  # takes a while to load

    chosen = ~found.used
    n = np.maximum(chosen.sum(axis=0), 1)
    mean: NDArray[np.float64] = np.sum(expit(found.logits), axis=0, where=chosen) / n
    return mean


def _gap(scores: NDArray[np.float64], known: NDArray[np.bool_]) -> float:
    """The area under the curve with which ``scores`` tell the known records, by ranks."""
    order = np.sort(scores[~known])
    if not len(order) or not known.any():
        return 0.0
    return float(np.mean(np.searchsorted(order, scores[known], side="left")) / len(order))
