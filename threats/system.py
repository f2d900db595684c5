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
    """The design's name."""
    version: Positive
    """The design's version."""
    owner: Line
    """Who answers for the design: a name or a role."""
    reviewed: datetime.date | None = None
    """The day of the last review; None where there was none."""
    jurisdiction: Line | None = None
    """Whose law applies; None where that is not stated."""
    notes: Text = ""
    """What else a reader should know."""


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
    """The hostile hospitals of the runs. None: as ``wardround run`` has it."""

    n_hostile: Count | None = None
    """The number of hostile hospitals; None where the configuration's is taken."""
    placement: Literal["random", "largest", "smallest"] | None = None
    """Which hospitals are hostile; None where the configuration's is taken."""
    knowledge: Level | None = None
    """What the adversary knows of others; None where the configuration's is taken."""
    first_round: Positive | None = None
    """The first round with an attack; None where the configuration's is taken."""
    last_round: Positive | None = None
    """The last round with an attack; None where the configuration's is taken."""
    every: Positive | None = None
    """An attack comes every so many rounds; None where the configuration's is taken."""


class Federation(Declared):
    """The federation that is run, in values as ``wardround run`` takes them."""

    consortium: Choice
    """The data set, by its name or with values."""
    model: Choice = Choice("mlp")
    """The model, by its name or with values."""
    training: dict[Name, JsonValue] = {}
    """Values of the training."""
    adversary: Hostile = Hostile()
    """The hostile hospitals of the runs."""

    @model_validator(mode="after")
    def _plain(self) -> Self:
        check_plain(("consortium", self.consortium.name), self.consortium.values)
        check_plain(("model", self.model.name), self.model.values)
        check_plain(("training",), self.training)
        return self


class Question(Declared):
    """An assumption about the law. It is asked; whoever answers it is named."""

    id: Id
    """The question's id."""
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    """The assumption."""
    status: Literal["unconfirmed", "confirmed", "rejected"]
    """What people answered."""
    by: Line | None = None
    """Who answered; None where nobody has."""

    @model_validator(mode="after")
    def _answered_by_somebody(self) -> Self:
        if self.status != "unconfirmed" and self.by is None:
            raise BrokenError(("by",), None, f"expected who has {self.status} it")
        return self


class Asset(Declared):
    """Something of worth."""

    id: Id
    """The asset's id."""
    class_: AssetClass = Field(alias="class")
    """What it is."""
    hospital: Line | None = None
    """Whose it is; None where every hospital has one, or none."""
    phi: Literal["yes", "no", "assumed_yes"]
    """Whether it is protected health information."""
    records: Count | None = None
    """The number of its records; None where it has none, or that is not stated."""


class Zone(Declared):
    """An area within which the same people decide."""

    id: Id
    """The zone's id."""
    kind: Literal["hospital", "operator", "wan", "vendor", "public"]
    """Whose area it is."""


class Component(Declared):
    """A part of the system: an element of the data flow diagram, in a zone, with what it holds."""

    id: Id
    """The component's id."""
    dfd: Literal["actor", "process", "store"]
    """The element of the data flow diagram."""
    zone: Id
    """The id of the zone that it is in."""
    holds: tuple[Id, ...] = ()
    """The ids of the assets that it holds."""
    tech: Line | None = None
    """What it is made with; None where that is not stated."""
    role: Role
    """What it does in a federation."""


class Channel(Declared):
    """The channel that carries a flow."""

    protocol: Line
    """The protocol."""
    tls: Literal["none", "1.2", "1.3"]
    """The version of TLS."""
    mutual: bool
    """Whether both ends prove who they are."""


class Flow(Declared):
    """Assets on their way from one component to another."""

    id: Id
    """The flow's id."""
    from_: Id = Field(alias="from")
    """The id of the component that it comes from."""
    to: Id
    """The id of the component that it goes to."""
    carries: tuple[Id, ...] = Field(min_length=1)
    """The ids of the assets that it carries."""
    channel: Channel | None = None
    """How it is carried; None where that is not stated."""


class Initiation(Declared):
    """The likelihood that an adversary begins: a judgement, never measured."""

    level: Grade
    """The level, after NIST SP 800-30."""
    rationale: Annotated[str, Field(min_length=1, max_length=2000)]
    """The reason."""
    declared_by: Line | None = None
    """Who judged; None where nobody is named."""
    date: datetime.date | None = None
    """The day of the judgement; None where it is not stated."""


class Adversary(Declared):
    """Somebody who may attack: where, with which powers, knowing what, with how many others."""

    id: Id
    """The adversary's id."""
    role: Line
    """Who it is."""
    at: tuple[Id, ...] = Field(min_length=1)
    """The ids of the components that it is at."""
    powers: tuple[Power, ...] = Field(min_length=1)
    """What it can do."""
    knowledge: Level = "updates_and_rule"
    """What it knows of others."""
    coalition_max: Positive = 1
    """Parties that act together, itself included."""
    phi_entitlement: Literal["none", "own", "all"] = "none"
    """Whose health data it may see anyway."""
    initiation: Initiation
    """How likely it is to begin."""


class Control(Declared):
    """A control of a stack, and who enforces it: the site, the aggregator, or the uploaded app."""

    id: ControlId
    """The control's id in the catalog."""
    enforced_by: Literal["site", "aggregator", "app"]
    """Who makes sure that it is there."""


class Stack(Declared):
    """Defenses that work together: names joined with ``+``, as ``defense=`` takes them."""

    id: Id
    """The stack's id."""
    defense: Annotated[str, Field(pattern=STACKED, max_length=200)]
    """The defenses, as ``defense=`` takes them."""
    values: dict[Annotated[str, Field(max_length=200)], JsonValue] = {}
    """Values of the defenses, by dotted key."""
    controls: tuple[Control, ...] = ()
    """The controls that the stack has."""

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
    """A rule of release: which asset may leave, to whom, and under which control."""

    what: Release
    """What leaves."""
    to: tuple[Id, ...] = Field(min_length=1)
    """The ids of the components that it goes to."""
    control: ControlId | None = None
    """The id of the control; None where there is none."""


class Criterion(Declared):
    """A bound that people set on a metric, under the runs of a threat by an adversary."""

    id: Id
    """The criterion's id."""
    threat: Id
    """The id of the threat."""
    adversary: Id
    """The id of the adversary."""
    metric: str
    """The metric that is bounded."""
    over: Over
    """Of what the bound speaks."""
    at_most: float | None = None
    """The bound from above; None where another bound is set."""
    at_least: float | None = None
    """The bound from below; None where another bound is set."""
    loss_at_most: Annotated[float, Field(ge=0)] | None = None
    """The bound on what the attack-free control has more; None where another is set."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """How often the judgement may err."""
    min_seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | None = None
    """The least number of seeds; None where a number of trials is enough."""
    min_trials: Positive | None = None
    """The least number of trials; None where a number of seeds is enough."""

    @property
    def bound(self) -> tuple[Bound, float]:
        """The kind of the bound, and its value."""
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
    """The metric, or ``expected_individuals_exposed``."""
    very_low: Annotated[float, Field(ge=0)]
    """The largest value of the level very low."""
    low: float
    """The largest value of the level low."""
    moderate: float
    """The largest value of the level moderate."""
    high: float
    """The largest value of the level high."""

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
    """Local numbers for the levels of impact."""

    integrity: Scale = Scale(
        metric="worst_hospital_auroc", very_low=0.005, low=0.02, moderate=0.05, high=0.1
    )
    """The scale of harm to the model."""
    privacy: Scale = Scale(metric=EXPOSED, very_low=0, low=1, moderate=50, high=500)
    """The scale of harm to patients."""
    availability: Scale = Scale(
        metric="rounds_skipped", very_low=0.02, low=0.1, moderate=0.3, high=0.6
    )
    """The scale of harm to the training."""
    ratified_by: Line | None = None
    """Who stands for the numbers; None where nobody does."""


class Effort(Declared):
    """The extent of what is run.

    Bounds that were set by looking at some seeds are judged by others.
    """

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 5
    """The number of seeds."""
    first_seed: Count = 0
    """The first seed."""
    budget_minutes: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """The minutes that it may take."""


class Decision(Declared):
    """The decision of a named person about a row of the register or the verdict, until a date."""

    row: Annotated[str, Field(min_length=1, max_length=300, pattern=ROW)]
    """The id of the row, or ``verdict``."""
    decision: Literal["accept", "mitigate", "transfer", "avoid"]
    """What was decided."""
    by: Line
    """Who decided."""
    date: datetime.date
    """The day of the decision."""
    expires: datetime.date
    """The decision's last day."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.expires <= self.date:
            raise BrokenError(("expires",), str(self.expires), f"expected a day after {self.date}")
        return self


class Design(Declared):
    """A consortium's design, in the order of its file. Every id in it leads to a part of it."""

    schema_: Literal["wardround.design/1"] = Field(alias="schema")
    """The version of this form."""
    meta: Meta
    """What the design is called, and who answers for it."""
    federation: Federation
    """What is run."""
    legal: tuple[Question, ...] = ()
    """Assumptions about the law."""
    assets: tuple[Asset, ...] = Field(min_length=1)
    """What is of worth."""
    zones: tuple[Zone, ...] = Field(min_length=1)
    """Areas within which the same people decide."""
    components: tuple[Component, ...] = Field(min_length=1)
    """The parts of the system."""
    flows: tuple[Flow, ...] = ()
    """What goes from one component to another."""
    adversaries: tuple[Adversary, ...] = Field(min_length=1)
    """Who may attack."""
    stacks: tuple[Stack, ...] = ()
    """Defenses to compare; ``undefended`` is always one of them."""
    declared: Id
    """The id of the stack of this design."""
    releases: tuple[ReleaseRule, ...] = ()
    """What may leave."""
    acceptance: tuple[Criterion, ...] = Field(min_length=1)
    """What must hold."""
    impact: ImpactScale = ImpactScale()
    """Which magnitude is of which level."""
    trial: Effort = Effort()
    """How much is run."""
    decisions: tuple[Decision, ...] = ()
    """What people decided."""

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
