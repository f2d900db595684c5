"""What one hospital holds: its records, its privacy policy and its key. No other party holds any of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sim.config.settings import Training
from sim.design.plan import FederationPlan
from sim.seeds import Key
from sim.types import Records


@dataclass(frozen=True)
class PrivacyPolicy:
    """The least protection that a hospital accepts; a hospital refuses to train under a plan with less.

    ``dp``: records must be protected by record-level differential privacy.
    ``max_epsilon``: the most that one record may lose over all rounds, None for no limit.
    ``secagg``: the aggregator must not see the hospital's update alone.
    """

    dp: bool = False
    max_epsilon: float | None = None
    secagg: bool = False


@dataclass(frozen=True, eq=False)
class Site:
    """One hospital as it knows itself. ``device``: where it trains, as in ``device=``.

    ``training``: how it trains instead of as the plan says; only a hostile hospital has such a thing.
    """

    name: str
    records: Records = field(repr=False)
    policy: PrivacyPolicy
    key: Key
    device: str = "cpu"
    training: Training | None = None


class Source(Protocol):
    """Where the app of a hospital gets its plan and its site from: never from a message."""

    @property
    def plan(self) -> FederationPlan:
        """The plan that this hospital agreed to."""
        ...

    def site(self, partition: int, round_: int) -> Site:
        """The site of a node by its partition, as it is in a round."""
        ...
