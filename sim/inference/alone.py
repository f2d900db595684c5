"""A hospital's look at what the common models tell of its own records, without its partners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import returned
from sim.design.plan import FederationPlan
from sim.errors import InputError
from sim.evidence import roc
from sim.evidence.intervals import Interval, rate_interval
from sim.inference.holdings import holdings
from sim.types import Asked, Inference, Records, SeenRound


@dataclass(frozen=True, eq=False)
class Audit:
    """The success of an attack at telling a hospital's training records from held-out ones.

    ``members`` and ``others``: the attack's scores of the two, sorted.
    """

    hospital: str
    attack: str
    members: tuple[float, ...]
    others: tuple[float, ...]

    @property
    def auc(self) -> float:
        """The share of pairs in which the training record scores higher; 0.5 is guessing."""
        return roc.auc(self.members, self.others)

    def recognized(self, false_positives: float) -> tuple[float, Interval]:
        """The share of training records recognized at this false positive rate, and its interval.

        The interval is exact and takes records as independent.
        """
        found = roc.true_positives(self.members, self.others, false_positives)
        n = len(self.members)
        return found, rate_interval(round(found * n), n)


def audit(
    plan: FederationPlan,
    hospital: str,
    records: tuple[Records, Records],
    models: NDArray[np.floating],
    name: str,
    attack: Inference,
    rng: np.random.Generator,
) -> Audit:
    """The findings of ``attack`` on a hospital's records, from the models that it received.

    ``name``: of the attack. ``records``: those that the hospital trained on, and others of its own
    that nobody did. ``models`` (n_rounds + 1, n_params): the first model, then that of each round.
    No partner takes part, and shadow models train on this hospital's records alone.

    Raises ``InputError`` for models of another form, and where there are too few records.
    """
    given = np.asarray(models, dtype=np.float32)
    n_params = plan.network.n_params
    if given.ndim != 2 or len(given) < 2 or given.shape[1] != n_params:
        expected = f"expected the first model and that of each round, of {n_params} parameters"
        raise InputError("models", f"an array of shape {given.shape}", expected)
    if not np.isfinite(given).all():
        raise InputError("models", "values that are not finite", "expected finite ones")
    if not all(map(len, records)):
        expected = "expected training records and held-out ones"
        raise InputError(hospital, [len(part) for part in records], expected)
    sizes = [len(part) for part in records]
    order = rng.permutation(sum(sizes))
    is_member = (np.arange(len(order)) < sizes[0])[order]
    features = np.concatenate([part.features for part in records])
    labels = np.concatenate([part.labels for part in records])
    asked = Asked(
        question="membership",
        choices=("member",),
        hospitals=(hospital,) * len(order),
        records=Records(features, labels).take(order),
        share=sizes[0] / len(order),
    )
    seen = holdings(plan, "hospital", _rounds(given, attack), given[-1])
    scores = returned.scores(attack, attack(seen, asked, rng), (len(order), 1))[:, 0]
    return Audit(
        hospital=hospital,
        attack=name,
        members=tuple(np.sort(scores[is_member]).tolist()),
        others=tuple(np.sort(scores[~is_member]).tolist()),
    )


def _rounds(models: NDArray[np.float32], attack: Inference) -> Sequence[SeenRound]:
    """The rounds that the attack watches, between one model and the next."""
    numbers = attack.watched(len(models) - 1)
    return [SeenRound(one, models[one - 1], models[one], None) for one in sorted(numbers)]
