"""A round at the aggregator, after its end: what was seen, aggregated or skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.evidence import Cause, Screened
from sim.states import State
from sim.types import Vector, View

Weights: TypeAlias = NDArray[np.float32]  # (n_params,)


@dataclass(frozen=True)
class Skipped:
    """A round in which the weights stayed, and why.

    ``missing``: the hospitals of which nothing usable came, sorted by name.
    """

    round: int
    cause: Cause
    reason: str
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Released:
    """The effect of privacy of whole updates in one round.

    ``clip``: the greatest length of an update. ``deviation``: of the noise in a coordinate of the
    mean. ``view``: what leaves an aggregator that adds the noise; None where hospitals do.
    """

    clip: float
    deviation: float
    view: View | None


@dataclass(frozen=True, eq=False)
class Aggregated:
    """One round at the aggregator, after its end.

    ``view``: what the aggregator saw; None if there was no usable reply. ``states``: of steps, rule
    and optimizer before the round, in the order of ``Chain.parts``. ``aggregate`` (n_params,): by
    how much the weights changed; None if the round was ``skipped``. ``shares``: each hospital's
    share of the aggregate, of a rule that selects or weighs hospitals. ``reported``: numbers that
    hospitals state beside their updates. ``unopened``: see ``Concluded``. ``released``: of a round
    with privacy of whole updates.
    """

    view: View | None = None
    states: Sequence[State] = ()
    aggregate: Vector | None = None
    shares: Mapping[str, float] | None = None
    skipped: Skipped | None = None
    screened: tuple[Screened, ...] = ()
    reported: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unopened: Sequence[tuple[str, str]] = ()
    released: Released | None = None
