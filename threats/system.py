"""A consortium's design: what its owners declare of hospitals, data, trust and criteria.

Nothing here is measured. Every id that a design gives leads to a part of it; names of the catalog
and of the configuration are checked in ``threats.references``.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, model_validator

from sim.types import Level
from threats.consistency import (
    PARTS,
    UNDEFENDED,
    Bound,
    BrokenError,
    check_bound,
    check_ids,
    check_plain,
    check_powers,
    check_references,
    metric_of,
)
from threats.powers import AssetClass, Power, Role

SCHEMA: Final = "wardround.design/1"
MOST_SEEDS: Final = 1000
EXPOSED: Final = "expected_individuals_exposed"  # a magnitude that is worked out, and no metric

ID: Final = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"
NAME: Final = r"^[A-Za-z0-9_-]{1,100}$"
LINE: Final = r"^[^\n]*$"
CONTROL: Final = r"^FLM-[0-9]{2}$"
STACKED: Final = r"^[A-Za-z0-9_]+(\+[A-Za-z0-9_]+)*$"
ROW: Final = r"^[A-Za-z0-9_.:+/-]+$"

Id = Annotated[str, Field(pattern=ID)]
Name = Annotated[str, Field(pattern=NAME)]  # of a choice of the configuration
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=LINE)]
ControlId = Annotated[str, Field(pattern=CONTROL)]
Text = Annotated[str, Field(max_length=2000)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]

Grade = Literal["very_low", "low", "moderate", "high", "very_high"]  # a level of NIST SP 800-30
Release = Literal["round_updates", "group_sums", "global_model", "final_model", "metrics"]
Over = Literal["mean", "worst_seed", "worst_hospital", "rate"]


_Identified = TypeVar("_Identified", "Adversary", "Asset", "Component", "Stack")


class Declared(BaseModel):
    """Base of everything in a design: strict types, nothing unknown, frozen."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
    )


class Meta(Declared):
    """The design's name, version and owner, and when it was last reviewed."""

    name: Line
    version: Positive
    owner: Line
    reviewed: datetime.date | None = None
    jurisdiction: Line | None = None
    notes: Text = ""


_WithValues = Annotated[dict[Name, dict[Name, JsonValue]], Field(min_length=1, max_length=1)]


class Choice(RootModel[Name | _WithValues]):
    """A choice of a configuration group: a name, or a name with values (``{csv: {...}}``)."""

    model_config = ConfigDict(frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _one(cls, given: JsonValue) -> JsonValue:
        values = list(given.values()) if isinstance(given, dict) else []
        named = len(values) == 1 and isinstance(values[0], dict)
        if not isinstance(given, str) and not named:
            raise BrokenError((), given, "expected a name, or one name with its values")
        return given

    @property
    def name(self) -> str:
        """The choice's name."""
        return self.root if isinstance(self.root, str) else next(iter(self.root))

    @property
    def values(self) -> dict[str, JsonValue]:
        """The values that the design sets of it, by key."""
        return {} if isinstance(self.root, str) else dict(self.root[self.name])


class Hostile(Declared):
    """How many hospitals are hostile in the runs, which, what they know, and when they attack.

    None: as ``wardround run`` has it.
    """

    n_hostile: Count | None = None
    placement: Literal["random", "largest", "smallest"] | None = None
    knowledge: Level | None = None
    first_round: Positive | None = None
    last_round: Positive | None = None
    every: Positive | None = None


class Federation(Declared):
    """What is run, in words of the configuration: values are as ``wardround run`` takes them."""

    consortium: Choice
    model: Choice = Choice("mlp")
    training: dict[Name, JsonValue] = {}
    adversary: Hostile = Hostile()

    @model_validator(mode="after")
    def _plain(self) -> Self:
        check_plain(("consortium", self.consortium.name), self.consortium.values)
        check_plain(("model", self.model.name), self.model.values)
        check_plain(("training",), self.training)
        return self


class Question(Declared):
    """An assumption about the law. It is asked; whoever answers it is named."""

    id: Id
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    status: Literal["unconfirmed", "confirmed", "rejected"]
    by: Line | None = None

    @model_validator(mode="after")
    def _answered_by_somebody(self) -> Self:
        if self.status != "unconfirmed" and self.by is None:
            raise BrokenError(("by",), None, f"expected who has {self.status} it")
        return self


class Asset(Declared):
    """Something of worth. ``hospital``: whose it is; None where every hospital has one, or none."""

    id: Id
    class_: AssetClass = Field(alias="class")
    hospital: Line | None = None
    phi: Literal["yes", "no", "assumed_yes"]
    records: Count | None = None


class Zone(Declared):
    """An area within which the same people decide."""

    id: Id
    kind: Literal["hospital", "operator", "wan", "vendor", "public"]


class Component(Declared):
    """A part of the system: an element of the data flow diagram, in a zone, with what it holds."""

    id: Id
    dfd: Literal["actor", "process", "store"]
    zone: Id
    holds: tuple[Id, ...] = ()
    tech: Line | None = None
    role: Role


class Channel(Declared):
    """How a flow is carried: protocol, version of TLS, whether both ends prove who they are."""

    protocol: Line
    tls: Literal["none", "1.2", "1.3"]
    mutual: bool


class Flow(Declared):
    """Assets on their way from one component to another. ``channel``: None if not stated."""

    id: Id
    from_: Id = Field(alias="from")
    to: Id
    carries: tuple[Id, ...] = Field(min_length=1)
    channel: Channel | None = None


class Initiation(Declared):
    """How likely it is that an adversary begins: a judgement of ``declared_by``, never measured."""

    level: Grade
    rationale: Annotated[str, Field(min_length=1, max_length=2000)]
    declared_by: Line | None = None
    date: datetime.date | None = None


class Adversary(Declared):
    """Somebody who may attack: where, with which powers, knowing what, and with how many others.

    ``coalition_max``: parties that act together, itself included. ``phi_entitlement``: whose health
    data it may see anyway.
    """

    id: Id
    role: Line
    at: tuple[Id, ...] = Field(min_length=1)
    powers: tuple[Power, ...] = Field(min_length=1)
    knowledge: Level = "updates_and_rule"
    coalition_max: Positive = 1
    phi_entitlement: Literal["none", "own", "all"] = "none"
    initiation: Initiation


class Control(Declared):
    """A control of a stack, and who enforces it: the site, the aggregator, or the uploaded app."""

    id: ControlId
    enforced_by: Literal["site", "aggregator", "app"]


class Stack(Declared):
    """Defenses that work together: names joined with ``+``, as ``defense=`` takes them."""

    id: Id
    defense: Annotated[str, Field(pattern=STACKED, max_length=200)]
    values: dict[Annotated[str, Field(max_length=200)], JsonValue] = {}
    controls: tuple[Control, ...] = ()

    @model_validator(mode="after")
    def _values_of_a_defense(self) -> Self:
        for key, value in self.values.items():
            part, _, rest = key.partition(".")
            if part not in PARTS or not all(part.isidentifier() for part in rest.split(".")):
                known = ", ".join(f"{part}.KEY" for part in PARTS)
                raise BrokenError(("values", key), value, f"expected a key of a defense: {known}")
        check_plain(("values",), self.values)
        return self


class ReleaseRule(Declared):
    """What may leave, to whom, and under which control; ``control``: None where there is none."""

    what: Release
    to: tuple[Id, ...] = Field(min_length=1)
    control: ControlId | None = None


class Criterion(Declared):
    """A bound that people set on a metric, under the runs of a threat by an adversary.

    ``at_most`` and ``at_least`` bound the value, ``loss_at_most`` what the attack-free control has
    more. ``over``: of what the bound speaks. ``alpha``: how often the judgement may err.
    """

    id: Id
    threat: Id
    adversary: Id
    metric: str
    over: Over
    at_most: float | None = None
    at_least: float | None = None
    loss_at_most: Annotated[float, Field(ge=0)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | None = None
    min_trials: Positive | None = None

    @property
    def bound(self) -> tuple[Bound, float]:
        """Which bound it is, and its value."""
        if self.at_most is not None:
            return "at_most", self.at_most
        if self.at_least is not None:
            return "at_least", self.at_least
        assert self.loss_at_most is not None
        return "loss_at_most", self.loss_at_most

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        metric = metric_of(self.metric)
        bounds = [self.at_most, self.at_least, self.loss_at_most]
        if sum(bound is not None for bound in bounds) != 1:
            raise BrokenError((), None, "expected one of at_most, at_least and loss_at_most")
        check_bound(self.metric, metric, self.over, self.bound)
        if self.min_seeds is None and self.min_trials is None:
            raise BrokenError(("min_seeds",), None, "expected min_seeds or min_trials")
        if self.over == "rate" and metric.basis not in ("trials", "clusters"):
            raise BrokenError(
                ("over",), self.over, f"expected a metric that is a rate, and not {self.metric}"
            )
        if self.over == "worst_hospital" and "hospital" not in metric.scopes:
            raise BrokenError(
                ("over",), self.over, f"expected a metric of each hospital, and not {self.metric}"
            )
        return self


class Scale(Declared):
    """A magnitude in words: up to which value it is of which level; above ``high`` it is very high.

    Of a metric whose harm is ``lower`` the values are losses.
    """

    metric: str
    very_low: Annotated[float, Field(ge=0)]
    low: float
    moderate: float
    high: float

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.metric != EXPOSED:
            metric_of(self.metric, EXPOSED)
        bounds = (self.very_low, self.low, self.moderate, self.high)
        for key, before, after in zip(
            ("low", "moderate", "high"), bounds, bounds[1:], strict=False
        ):
            if after <= before:
                raise BrokenError(
                    (key,), after, f"expected more than the bound before it, {before:g}"
                )
        return self


class ImpactScale(Declared):
    """Local numbers for the levels of impact. ``ratified_by``: who stands for them, or None."""

    integrity: Scale = Scale(
        metric="worst_hospital_auroc", very_low=0.005, low=0.02, moderate=0.05, high=0.1
    )
    privacy: Scale = Scale(metric=EXPOSED, very_low=0, low=1, moderate=50, high=500)
    availability: Scale = Scale(
        metric="rounds_skipped", very_low=0.02, low=0.1, moderate=0.3, high=0.6
    )
    ratified_by: Line | None = None


class Effort(Declared):
    """How much is run: seeds, from ``first_seed`` on, and the minutes that it may take.

    Bounds that were set by looking at some seeds are judged by others.
    """

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 5
    first_seed: Count = 0
    budget_minutes: Annotated[float, Field(gt=0, le=100_000)] = 10.0


class Decision(Declared):
    """What a named person decided about a row of the register, or about the verdict, until when."""

    row: Annotated[str, Field(min_length=1, max_length=300, pattern=ROW)]
    decision: Literal["accept", "mitigate", "transfer", "avoid"]
    by: Line
    date: datetime.date
    expires: datetime.date

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.expires <= self.date:
            raise BrokenError(("expires",), str(self.expires), f"expected a day after {self.date}")
        return self


class Design(Declared):
    """A consortium's design, in the order of its file. Every id in it leads to a part of it."""

    schema_: Literal["wardround.design/1"] = Field(alias="schema")
    meta: Meta
    federation: Federation
    legal: tuple[Question, ...] = ()
    assets: tuple[Asset, ...] = Field(min_length=1)
    zones: tuple[Zone, ...] = Field(min_length=1)
    components: tuple[Component, ...] = Field(min_length=1)
    flows: tuple[Flow, ...] = ()
    adversaries: tuple[Adversary, ...] = Field(min_length=1)
    stacks: tuple[Stack, ...] = ()
    declared: Id
    releases: tuple[ReleaseRule, ...] = ()
    acceptance: tuple[Criterion, ...] = Field(min_length=1)
    impact: ImpactScale = ImpactScale()
    trial: Effort = Effort()
    decisions: tuple[Decision, ...] = ()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_ids(self)
        check_references(self)
        check_powers(self)
        return self

    @property
    def digest(self) -> str:
        """The sha256 of the canonical JSON: of what a design states, not of how its file looks."""
        plain = self.model_dump(mode="json", by_alias=True)
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def stack(self, id_: str) -> Stack:
        """The stack with this id; ``undefended`` is always there. Raises ``KeyError``."""
        if id_ == UNDEFENDED:
            return Stack(id=UNDEFENDED, defense="none")
        return _by_id(self.stacks)[id_]

    def adversary(self, id_: str) -> Adversary:
        """The adversary with this id. Raises ``KeyError``."""
        return _by_id(self.adversaries)[id_]

    def component(self, id_: str) -> Component:
        """The component with this id. Raises ``KeyError``."""
        return _by_id(self.components)[id_]

    def asset(self, id_: str) -> Asset:
        """The asset with this id. Raises ``KeyError``."""
        return _by_id(self.assets)[id_]


def schema() -> dict[str, JsonValue]:
    """The JSON Schema of design files. It knows the form of each part, not which ids lead where."""
    found: dict[str, JsonValue] = Design.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _by_id(ones: Sequence[_Identified]) -> dict[str, _Identified]:
    return {one.id: one for one in ones}
