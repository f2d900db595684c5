"""The values that observers hold and see of a run, and what they give to its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias

from flwr.app import Context, Message

from sim.design.attack import AttackPlan
from sim.design.plan import FederationPlan
from sim.design.site import Source
from sim.design.truth import GroundTruth
from sim.evidence import Outcome
from sim.federation.rounds import Aggregated, Weights
from sim.seeds import Key
from sim.types import Isolated, Vector, View

# gives the replies of hospitals whose plan and site are in a source, by the node of a message
Answer: TypeAlias = Callable[
    [Mapping[int, Source], Sequence[Message], Sequence[Context]], Sequence[Message]
]


@dataclass(frozen=True, eq=False)
class Subject:
    """The run that an observer measures: nothing in it is hidden from the simulator.

    ``key``: of the aggregator, whose draws an observer can repeat. ``min_class_rows``: test
    patients of each class that a hospital's own AUROC needs. ``show_records``: whether evidence may
    hold records.
    """

    plan: FederationPlan
    attack: AttackPlan
    truth: GroundTruth
    key: Key
    min_class_rows: int
    show_records: bool


@dataclass(frozen=True, eq=False)
class Round:
    """One round of a run, as the simulator knows it after its end.

    ``before`` and ``after`` (n_params,): the model, and the new one. ``received``: the one that
    hospitals trained, which is ``before`` unless an attack has made another one. ``moved``: of each
    attack on what is sent, how far the reply of each hospital that it concerns was moved.
    ``uploads``: what each hospital uploaded, before its quantization, in a round in which an attack
    looks for single updates. ``isolated``: what it worked out; None without such an attack.
    """

    number: int
    before: Weights
    received: Weights
    after: Weights
    aggregated: Aggregated
    moved: Mapping[str, Sequence[float]] = field(default_factory=dict)
    uploads: Mapping[str, Vector] = field(default_factory=dict)
    isolated: Isolated | None = None

    @property
    def readable(self) -> View | None:
        """The finest rows that anybody holds after the round; None where nobody holds any.

        An aggregator that is trusted to add noise to a mean is nobody who reads.
        """
        if self.isolated is not None:
            return self.isolated.view
        released = self.aggregated.released
        if released is not None and released.view is not None:
            return released.view
        return self.aggregated.view


@dataclass(frozen=True, eq=False)
class Ended:
    """A run after its last round.

    ``initial`` and ``weights`` (n_params,): the model before round 1 and the final one.
    ``attack_free`` (n_params,): the final model of the same run without the attack, where it was
    run. ``answer``: asks hospitals once more; nothing stores the answers.
    """

    initial: Weights
    weights: Weights
    answer: Answer
    attack_free: Weights | None = None


@dataclass(frozen=True)
class Findings:
    """An observer's part of the evidence: outcomes, and other fields of the record by name."""

    outcomes: Sequence[Outcome] = ()
    details: Mapping[str, object] = field(default_factory=dict)


class State(Protocol):
    """The state of an observer between rounds: a dataclass of plain values and arrays.

    It is stored, so that a run can go on from it.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Observer(Protocol):
    """Measures one thing about a run and changes nothing.

    A run takes any number of observers, and tells each of all rounds. ``state``: what the observer
    carries from round to round, and nothing else; a run that goes on after an interruption sets it.
    """

    @property
    def state(self) -> State: ...

    def start(self, weights: Weights) -> None:
        """The run starts, with the model ``weights`` (n_params,)."""

    def round(self, seen: Round) -> None:
        """A round is over, aggregated or skipped."""

    def findings(self, ended: Ended) -> Findings:
        """The outcomes and details that were measured, after the last round."""
        ...
