"""The attack plan, held by the simulator's adversary: the hostile, their attacks and knowledge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sim import returned
from sim.config.settings import Adversary, first
from sim.design.plan import FederationPlan, agreed
from sim.design.site import Site
from sim.errors import InputError
from sim.kinds import TrainingAttack
from sim.messages import Crafting, MessageFault, ProtocolAttack, Stage
from sim.seeds import Key
from sim.training import Training
from sim.types import (
    BY_AGGREGATOR,
    Absence,
    AggregatorAttack,
    AttackKind,
    Backdoor,
    Byzantine,
    Demand,
    Divided,
    Evasion,
    Extraction,
    Fault,
    Inference,
    Inversion,
    Isolation,
    Poison,
    Records,
    ReleaseCheck,
)

Attack: TypeAlias = (
    Poison
    | TrainingAttack
    | Byzantine
    | Fault
    | Absence
    | MessageFault
    | Inversion
    | Inference
    | Isolation
    | AggregatorAttack
    | ProtocolAttack
    | Evasion
    | Extraction
    | ReleaseCheck
)
KINDS: tuple[AttackKind, ...] = get_args(AttackKind)


@dataclass(frozen=True, eq=False)
class AttackPlan:
    """The attacks of a run by name, in order, and the hostile hospitals, sorted by name.

    ``schedule``: in which rounds they attack, and what they know.
    ``absent``: by name of each attack that is an absence, the honest hospitals that it concerns.
    ``keys`` and ``records``: of the hostile hospitals, by name; from the keys their secrets follow.
    """

    hostile: tuple[str, ...]
    schedule: Adversary
    attacks: Mapping[str, Attack]
    absent: Mapping[str, tuple[str, ...]]
    key: Key
    keys: Mapping[str, Key]
    records: Mapping[str, Records] = field(repr=False)

    @overload
    def of_kind(self, kind: Literal["poison"]) -> Mapping[str, Poison]: ...

    @overload
    def of_kind(self, kind: Literal["training"]) -> Mapping[str, TrainingAttack]: ...

    @overload
    def of_kind(self, kind: Literal["byzantine"]) -> Mapping[str, Byzantine]: ...

    @overload
    def of_kind(self, kind: Literal["faults"]) -> Mapping[str, Fault | Absence]: ...

    @overload
    def of_kind(self, kind: Literal["messages"]) -> Mapping[str, MessageFault]: ...

    @overload
    def of_kind(self, kind: Literal["inversion"]) -> Mapping[str, Inversion]: ...

    @overload
    def of_kind(self, kind: Literal["inference"]) -> Mapping[str, Inference]: ...

    @overload
    def of_kind(self, kind: Literal["isolation"]) -> Mapping[str, Isolation]: ...

    @overload
    def of_kind(self, kind: Literal["aggregator"]) -> Mapping[str, AggregatorAttack]: ...

    @overload
    def of_kind(self, kind: Literal["protocol"]) -> Mapping[str, ProtocolAttack]: ...

    @overload
    def of_kind(self, kind: Literal["evasion"]) -> Mapping[str, Evasion]: ...

    @overload
    def of_kind(self, kind: Literal["extraction"]) -> Mapping[str, Extraction]: ...

    @overload
    def of_kind(self, kind: Literal["release"]) -> Mapping[str, ReleaseCheck]: ...

    @overload
    def of_kind(self, kind: AttackKind) -> Mapping[str, Attack]: ...

    def of_kind(self, kind: AttackKind) -> Mapping[str, Attack]:
        """The attacks of one of ``KINDS``."""
        return {name: attack for name, attack in self.attacks.items() if kind_of(attack) == kind}

    @property
    def backdoors(self) -> dict[str, Backdoor]:
        """The attacks that teach the model a trigger."""
        poisons = self.of_kind("poison")
        return {name: one for name, one in poisons.items() if isinstance(one, Backdoor)}

    @property
    def by_hospitals(self) -> tuple[str, ...]:
        """The names of the attacks that hostile hospitals make: no aggregator, and no absence."""
        of_others = set(self.absent).union(*(self.of_kind(kind) for kind in BY_AGGREGATOR))
        return tuple(name for name in self.attacks if name not in of_others)

    def demanded(self, plan: FederationPlan) -> FederationPlan:
        """The plan by which the aggregator asks hospitals to train.

        It is the agreed one, or what the aggregator's attacks make of it.

        Raises ``InputError`` where an attack makes a value out of range.
        """
        attacks = self.of_kind("aggregator")
        if not attacks:
            return plan
        demand = Demand(plan.dp is not None, plan.training.local_steps, plan.training.batch_size)
        for attack in attacks.values():
            demand = returned.instance(attack, attack(demand), Demand)
        asked = {"local_steps": demand.local_steps, "batch_size": demand.batch_size}
        try:
            training = Training.model_validate({**plan.training.model_dump(), **asked})
        except ValidationError as error:
            problem = first(error)
            where = f"attack ({'+'.join(attacks)}) {problem.key}"
            raise InputError(where, problem.value, problem.expected) from None
        dp = plan.terms.dp if demand.dp else None
        return agreed(plan.terms.model_copy(update={"training": training, "dp": dp}))

    def crafting_in(self, round_: int) -> Mapping[str, Crafting]:
        """The attacks that send out a model of their own in this round."""
        inversions = self.of_kind("inversion").items()
        return {
            name: one
            for name, one in inversions
            if isinstance(one, Crafting) and one.round == round_
        }

    def stage(self, plan: FederationPlan, number: int, model: NDArray[np.float32]) -> Stage:
        """The knowledge of the aggregator's attacks when a round with ``model`` begins."""
        return Stage(
            number=number,
            hospitals=plan.hospitals,
            model=model,
            layout=plan.network.layout,
            schema=plan.columns,
            digest=plan.digest,
            secagg=plan.terms.secagg,
            step=1.0 if plan.quantization is None else plan.quantization.step,
            keys=self.keys,
            records=self.records,
        )

    def attacks_in(self, round_: int) -> bool:
        """Whether hostile hospitals attack in this round."""
        return self.schedule.attacks_in(round_)

    def corrupted(self, site: Site, plan: FederationPlan) -> Site:
        """A hostile hospital's site while it attacks.

        It has other records where a poison runs, other training values where an attack changes
        them, and where hospitals attack neither hardening nor bound and noise on its whole update.

        Raises ``InputError`` or ``RefusedError`` where an attack does, and ``InputError`` where a
        value is out of range.
        """
        training = self.training(plan)
        if training.max_norm is not None and self.by_hospitals:
            training = training.model_copy(update={"max_norm": None})
        records = self.poisoned(site, plan)
        complies = not self.by_hospitals
        return replace(site, records=records, training=training, complies=complies)

    def poisoned(self, site: Site, plan: FederationPlan) -> Records:
        """The records that a hostile hospital trains on while it attacks.

        Raises the errors of its poisons.
        """
        records = site.records
        rank = self.hostile.index(site.name)
        for name, poison in self.of_kind("poison").items():
            mine = poison.part(rank, plan.columns) if isinstance(poison, Divided) else poison
            rng = self.key.stream("poison", name, site.name)
            records = mine(records, plan.columns, rng)
            returned.records(poison, records, plan.columns.n_features)
        return records

    def training(self, plan: FederationPlan) -> Training:
        """The training values of a hostile hospital while it attacks.

        Raises ``InputError`` where a value is out of range.
        """
        training = plan.training
        for name, change in self.of_kind("training").items():
            training = returned.instance(change, change(training), Training)
            try:
                Training.model_validate(training.model_dump())
            except ValidationError as error:
                problem = first(error)
                where = f"attack.{name}: training.{problem.key}"
                raise InputError(where, problem.value, problem.expected) from None
        return training


def kind_of(attack: Attack) -> str:
    """The kind of an attack: the folder of its class."""
    return type(attack).__module__.split(".")[1]
