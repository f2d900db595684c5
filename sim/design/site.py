"""The site of one hospital, held by it alone: its records, its privacy policy and its key."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from sim.design.batches import sample_rate
from sim.design.plan import FederationPlan
from sim.design.refusals import Refusal
from sim.kinds import LocalPrivacy
from sim.seeds import Key
from sim.training import Training
from sim.types import History, Records


@dataclass(frozen=True)
class PrivacyPolicy:
    """The least protection that a hospital accepts; it refuses to train under a plan with less.

    ``dp``: records must be protected by record-level differential privacy.
    ``max_epsilon``: the most that one record may lose over all rounds, None for no limit; a round
    that would spend more is refused before any training.
    ``secagg``: the aggregator must not see the hospital's update alone.
    ``least_group``: the fewest hospitals of a sum that holds the hospital's update, also where
    others are missing.
    ``no_imprint``: a model whose first neurons look in one direction is not trained.
    """

    dp: bool = False
    max_epsilon: float | None = None
    secagg: bool = False
    least_group: int = 1
    no_imprint: bool = False

    def refusal(
        self, plan: FederationPlan, n_records: int, history: History | None = None
    ) -> Refusal | None:
        """The reason why a hospital with so many records refuses to go on by the plan, or None.

        ``history``: the private training that it has done, None where no more is asked of it.
        """
        if self.dp and plan.dp is None:
            return "dp"
        most = math.inf if history is None or self.max_epsilon is None else self.max_epsilon
        if most < math.inf and after_a_round(plan, n_records, history or []) > most:
            return "epsilon"
        if self.secagg and not plan.is_hiding:
            return "secagg"
        if min(plan.quorum.sizes[0], plan.quorum.least) < self.least_group:
            return "group"
        return None


def after_a_round(plan: FederationPlan, n_records: int, history: History) -> float:
    """The epsilon after ``history`` and one more round; infinite without privacy."""
    if plan.dp is None:
        return math.inf
    training = plan.training
    counted = plan.dp.counted(n_records)
    rate = sample_rate(counted, training)
    one = (plan.dp.noise(counted, training), rate, training.steps(counted))
    return plan.dp.epsilon(added(history, one))


def added(history: History, steps: tuple[float, float, int]) -> History:
    """The history with more steps, of which equal ones are one entry."""
    if history and history[-1][:2] == steps[:2]:
        return [*history[:-1], (*steps[:2], history[-1][2] + steps[2])]
    return [*history, steps]


def spent(plan: FederationPlan, n_records: int) -> float:
    """The epsilon of a hospital with ``n_records`` over all rounds; infinite without privacy."""
    return math.inf if plan.dp is None else _epsilon(plan.dp, plan.training, n_records)


@lru_cache(maxsize=1024)
def _epsilon(dp: LocalPrivacy, training: Training, n_records: int) -> float:
    counted = dp.counted(n_records)
    steps = training.rounds * training.steps(counted)
    noise = dp.noise(counted, training)
    return dp.epsilon([(noise, sample_rate(counted, training), steps)])


class Journal(Protocol):
    """The plans that a hospital has begun, which it remembers from one execution to the next."""

    def begin(self, plan: str) -> bytes | None:
        """Random bytes of a new execution of the plan with this digest; None: it was begun."""
        ...


@dataclass(frozen=True, eq=False)
class Site:
    """One hospital as it knows itself.

    ``device``: where it trains, as in ``device=``. ``training``: how it trains instead of as the
    plan states; only a hostile hospital has other values. ``complies``: whether it hardens its
    records, and clips and noises whole updates, as the plan states. ``journal``: None in
    simulation, where each run is one execution of its plan and draws by name.
    """

    name: str
    records: Records = field(repr=False)
    policy: PrivacyPolicy
    key: Key
    device: str = "cpu"
    training: Training | None = None
    complies: bool = True
    journal: Journal | None = None


class Source(Protocol):
    """The source of a hospital's plan and site for its app: never a message."""

    @property
    def plan(self) -> FederationPlan:
        """The plan that this hospital agreed to."""
        ...

    def site(self, partition: int, round_: int) -> Site:
        """The site of a node by its partition, as it is in a round."""
        ...
