"""What observers are told of a run, round by round, and what they give to its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from flwr.app import Context, Message
from numpy.typing import NDArray

from sim.design.site import Source
from sim.evidence import Cause, Outcome, Screened
from sim.types import Vector, View

Weights: TypeAlias = NDArray[np.float32]  # (n_params,)
# the replies of hospitals whose plan and site are in a source, by the node that a message is to
Answer: TypeAlias = Callable[[Mapping[int, Source], Sequence[Message], Sequence[Context]], Sequence[Message]]


@dataclass(frozen=True)
class Skipped:
    """A round in which the weights stayed, why, and the hospitals of which nothing usable came, sorted by name."""

    round: int
    cause: Cause
    reason: str
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Aggregated:
    """One round at the aggregator, after its end.

    ``view``: what the aggregator saw, with its memory from before the round; None if there was no usable reply. ``aggregate``
    (n_params,): by how much the weights changed; None if the round was ``skipped``. ``shares``: each hospital's share of the
    aggregate, of a rule that selects or weighs hospitals. ``reported``: numbers that hospitals state beside their updates.
    """

    view: View | None = None
    aggregate: Vector | None = None
    shares: Mapping[str, float] | None = None
    skipped: Skipped | None = None
    screened: tuple[Screened, ...] = ()
    reported: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Round:
    """One round of a run, as the simulator knows it after its end.

    ``before`` and ``after`` (n_params,): the weights sent out, and the new ones. ``moved``: of each attack on what is sent, how
    far the reply of each hospital that it concerns was moved.
    """

    number: int
    before: Weights
    after: Weights
    aggregated: Aggregated
    moved: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Ended:
    """A run after its last round.

    ``initial`` and ``weights`` (n_params,): the model before round 1 and the final one. ``attack_free`` (n_params,): the final
    model of the same run without the attack, where it was run. ``answer``: asks hospitals once more, of which nothing is kept.
    """

    initial: Weights
    weights: Weights
    answer: Answer
    attack_free: Weights | None = None


@dataclass(frozen=True)
class Findings:
    """What an observer gives to the evidence: outcomes, and other fields of the run's record by name."""

    outcomes: Sequence[Outcome] = ()
    details: Mapping[str, object] = field(default_factory=dict)


class State(Protocol):
    """What lasts from round to round: a dataclass of plain values and arrays, stored so that a run can go on from it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Observer(Protocol):
    """Measures one thing about a run and changes nothing. A run takes any number of observers, and tells each of all rounds.

    ``state``: what the observer carries from round to round, and nothing else; a run that goes on after an interruption sets it.
    """

    @property
    def state(self) -> State: ...

    def start(self, weights: Weights) -> None:
        """The run starts, with the model ``weights`` (n_params,)."""

    def round(self, seen: Round) -> None:
        """A round is over, aggregated or skipped."""

    def findings(self, ended: Ended) -> Findings:
        """What was measured, after the last round."""
        ...
