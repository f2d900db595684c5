"""The plan that all agreed on before round 1: the one value that everybody holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, ValidationError, model_validator

from sim import limits, plugins, returned
from sim.config import plain
from sim.config.build import built, mechanisms
from sim.config.groups import canonical
from sim.config.settings import Server, first
from sim.design import options
from sim.design.quorum import Quorum
from sim.errors import InputError, RefusedError, UndefinedError
from sim.kinds import Averaging, Hardening, LocalPrivacy, Model, UpdatePrivacy
from sim.models.check import network as checked
from sim.models.network import Network
from sim.names import CHAIN, MEAN, named
from sim.plugins import SELF
from sim.seeds import Key, stream
from sim.training import Training, Values
from sim.types import (
    Members,
    Node,
    Pipeline,
    Quantizing,
    Records,
    Roll,
    Schema,
    SecureAggregation,
)

VerificationKey: TypeAlias = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Terms(Values):
    """The agreed terms in plain values.

    Plug-ins are nodes here; ``steps`` are pairs of a name and a node, in order. ``columns``: how a
    record is laid out. ``public``: whether the data may be shown to everybody. ``sizes``: record
    counts in order of the hospitals, published where groups are formed by them, else None.
    ``enrolled``: of each hospital, the key by which others verify what it signs, in hex digits;
    empty where nothing is signed.
    """

    hospitals: tuple[str, ...] = Field(min_length=1, max_length=limits.HOSPITALS)
    columns: Schema
    public: bool
    model: Node
    training: Training
    aggregator: Node
    steps: tuple[tuple[str, Node], ...]
    server_optimizer: Node
    secagg: Node
    sizes: tuple[int, ...] | None = None
    dp: Node | None
    hardening: Node | None = Field(default=None, exclude_if=lambda node: node is None)
    server: Server
    plugins: dict[str, str]  # packages of plug-ins -> hash of their source
    enrolled: dict[str, VerificationKey] = Field(default={})

    @model_validator(mode="after")
    def _names_in_order(self) -> Terms:
        if list(self.hospitals) != sorted(set(self.hospitals)):
            raise ValueError("expected different hospitals in order of their names")
        if self.enrolled and self.enrolled.keys() != set(self.hospitals):
            raise ValueError("expected the key of each hospital, and no other")
        if self.sizes is not None and len(self.sizes) != len(self.hospitals):
            raise ValueError("expected a record count of each hospital")
        return self


@dataclass(frozen=True, eq=False)
class FederationPlan:
    """The agreed terms and the plug-ins built from them.

    ``dp``: private training in the hospital; ``update_dp``: privacy of whole updates;
    ``hardening``: what a hospital makes of its records before it trains.

    It knows no seed, no data source, no record and no attack. Two plans are the same plan where
    their ``digest`` is the same.
    """

    terms: Terms
    model: Model
    chain: Pipeline
    secagg: SecureAggregation
    dp: LocalPrivacy | None
    update_dp: UpdatePrivacy | None = None
    hardening: Hardening | None = None

    @cached_property
    def text(self) -> str:
        """The terms as one line of JSON, from which ``read`` makes the same plan."""
        return canonical(self.terms.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        """The sha256 of ``text``, 64 hex digits: how messages name the plan."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def hospitals(self) -> tuple[str, ...]:
        """Names of the hospitals, sorted."""
        return self.terms.hospitals

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each hospital among ``hospitals``."""
        return {name: place for place, name in enumerate(self.hospitals)}

    @property
    def training(self) -> Training:
        """The training values of each hospital in a round, and the number of rounds."""
        return self.terms.training

    @property
    def server(self) -> Server:
        """The limits that the aggregator puts on what hospitals report."""
        return self.terms.server

    @property
    def columns(self) -> Schema:
        """The layout of a record."""
        return self.terms.columns

    @property
    def public(self) -> bool:
        """Whether the data may be shown to everybody."""
        return self.terms.public

    @cached_property
    def network(self) -> Network:
        """The network of the model on these records."""
        return checked(self.model, self.model(self.columns), self.columns.n_features)

    @property
    def states_counts(self) -> bool:
        """Whether hospitals state their own numbers of records."""
        return self.dp is None or self.dp.nominal_records is None

    def counted(self, n_train: int) -> int:
        """The number of records that a hospital with ``n_train`` states, and that evidence holds.

        It is ``n_train`` itself, except where local privacy protects it.
        """
        return n_train if self.dp is None else self.dp.counted(n_train)

    def hardened(
        self, weights: NDArray[np.float32], records: Records, rng: np.random.Generator
    ) -> Records:
        """The records that a hospital trains on in a round that begins with ``weights``."""
        if self.hardening is None:
            return records
        made = self.hardening(self.network, weights, records, self.columns, rng)
        returned.records(self.hardening, made, self.columns.n_features)
        returned.array(self.hardening, made.labels, records.labels.shape)
        return made

    def first_weights(self, key: Key) -> NDArray[np.float32]:
        """The weights that round 1 starts from, (n_params,), drawn with the aggregator's key."""
        drawn = self.network.initialize(key.stream("model"))
        returned.array(self.model, drawn, (self.network.n_params,))
        return returned.finite(self.model, drawn).astype(np.float32, copy=False)

    @cached_property
    def has_protocol(self) -> bool:
        """Whether the secure aggregation is a round protocol of its own, in messages."""
        return callable(getattr(self.secagg, "round", None))

    @property
    def is_clear(self) -> bool:
        """Whether hospitals upload their updates unmasked."""
        return not self.has_protocol or bool(getattr(self.secagg, "is_clear", False))

    @cached_property
    def trips(self) -> tuple[str, ...]:
        """The kinds of the trips of a round, in their order."""
        found: tuple[str, ...] = getattr(self.secagg, "trips", ("train",))
        return found

    @cached_property
    def agrees(self) -> bool:
        """Whether hospitals compare the model that they were sent before they upload."""
        return bool(getattr(self.secagg, "agreement", False))

    @cached_property
    def enrolls(self) -> bool:
        """Whether hospitals sign what they state, so that the plan has their verification keys."""
        return bool(getattr(self.secagg, "enrolls", False))

    @cached_property
    def quantization(self) -> Quantizing | None:
        """The quantization of updates before they are added up; None where they are not."""
        return self.secagg.quantization

    def groups(self, number: int) -> Members:
        """The groups of hospitals whose averages the aggregator sees in a round."""
        drawn = number if self.secagg.is_redrawn else 0
        if drawn not in self._drawn:
            roll = Roll(self.hospitals, self.terms.sizes)
            # of no party's key: everybody can repeat the draw, and nobody chose it
            groups = self.secagg(roll, stream(0, "secagg-groups", drawn))
            self._drawn[drawn] = returned.groups(self.secagg, groups, self.hospitals)
        return self._drawn[drawn]

    @cached_property
    def _drawn(self) -> dict[int, Members]:
        return {}

    @cached_property
    def public_steps(self) -> Mapping[str, int]:
        """The training steps of each hospital in a round, as published record counts give them.

        Empty where the plan publishes none.
        """
        sizes = self.terms.sizes or ()
        return {
            name: self.training.steps(size)
            for name, size in zip(self.hospitals, sizes, strict=False)
        }

    @property
    def is_hiding(self) -> bool:
        """Whether the aggregator sees no hospital's update alone."""
        return self.secagg.least > 1

    @cached_property
    def least(self) -> int:
        """The usable updates that a group must have: a protocol may need more than its sum."""
        threshold = getattr(self.secagg, "threshold_of", lambda _: 0)
        return max(self.secagg.least, int(threshold(len(self.hospitals))))

    @cached_property
    def averaging(self) -> Averaging:
        """The way in which the updates of a round come together, for privacy of whole updates."""
        return Averaging(
            n_hospitals=len(self.hospitals),
            n_params=self.network.n_params,
            rounds=self.training.rounds,
            least=self.least,
            is_mean=self.terms.aggregator.get(SELF) == MEAN and not self.terms.steps,
            hides=self.is_hiding,
            masked=self.has_protocol,
            step=0.0 if self.quantization is None else self.quantization.step,
        )

    @cached_property
    def quorum(self) -> Quorum:
        """The quorum of a round: how many usable replies it needs."""
        sizes = tuple(sorted(len(group) for group in self.groups(1)))
        return Quorum(self.chain, sizes, self.least, self.server.absent)

    @cached_property
    def refusal(self) -> str | None:
        """The reason why steps or rule cannot work, found by limits or tries, or None."""
        return options.refusal(self)


def agreed(terms: Terms) -> FederationPlan:
    """The plan of these terms, one object for all equal ones, so that it is tried once.

    Raises ``InputError`` for a node that is no plug-in of its group or has a wrong parameter.
    """
    return _agreed(canonical(terms.model_dump(mode="json")))


@lru_cache(maxsize=1024)
def _agreed(text: str) -> FederationPlan:
    terms = Terms.model_validate_json(text)
    packages = tuple(terms.plugins)
    dp, update_dp = _privacy(terms.dp, packages)
    hardening = terms.hardening
    return FederationPlan(
        terms=terms,
        model=cast(Model, built("model", terms.model, packages)),
        chain=_chain(terms, packages),
        secagg=cast(SecureAggregation, built("secagg", terms.secagg, packages)),
        dp=dp,
        update_dp=update_dp,
        hardening=cast(Hardening, built("hardening", hardening, packages)) if hardening else None,
    )


def _privacy(
    node: Node | None, packages: tuple[str, ...]
) -> tuple[LocalPrivacy | None, UpdatePrivacy | None]:
    """Private training and privacy of whole updates, of a node of one or of both.

    Raises ``InputError`` for two of a kind.
    """
    training = list[LocalPrivacy]()
    updates = list[UpdatePrivacy]()
    for key, one in mechanisms(node).items():
        made = built(key, one, packages)
        if hasattr(made, "train"):
            training.append(cast(LocalPrivacy, made))
        else:
            updates.append(cast(UpdatePrivacy, made))
    if len(training) > 1 or len(updates) > 1:
        expected = "expected at most one for records, and one for whole updates"
        raise InputError("dp", sorted(mechanisms(node)), expected)
    return next(iter(training), None), next(iter(updates), None)


def read(text: str) -> FederationPlan:
    """The plan with this ``text``, checked as if it had been configured here.

    Whoever wrote it is not trusted. Raises ``InputError`` that names the first wrong key.
    """
    if len(text) > limits.PLAN:
        raise InputError("plan", text, f"expected at most {limits.PLAN:,} characters")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("plan", text, "expected a plan in JSON") from error
    if not isinstance(values, dict):
        raise InputError("plan", text, "expected a plan in JSON")
    # as many as there are fields: their form is checked below
    columns = values.pop("columns", None)
    plain.check("", values)
    packages = plugins.hashed(values.get("plugins"))
    given = {**values, "columns": columns, "plugins": packages}
    try:
        plan = agreed(Terms.model_validate_json(json.dumps(given)))
    except ValidationError as error:
        raise first(error) from None
    check(plan)
    return plan


def check(plan: FederationPlan, sizes: Sequence[int] = (), least_group: int = 1) -> None:
    """Refuse a plan whose rule or model cannot work, with the choices of secagg that would do.

    ``sizes``: record counts of the hospitals, empty where they are not known. ``least_group``: the
    smallest group that all hospitals accept.
    """
    _ = plan.network  # which the model may refuse
    _check_sums(plan)
    _try_hardening(plan)
    if plan.refusal is not None:
        found = options.explained(plan.refusal, plan, sizes, least_group)
        raise UndefinedError("aggregator", type(plan.chain.rule).__name__, found)


def _check_sums(plan: FederationPlan) -> None:
    """Refuse groups that cannot be formed, and sums that could overflow."""
    title = type(plan.secagg).__name__
    try:
        groups = plan.groups(1)
    except RefusedError as error:
        raise InputError("secagg", title, str(error)) from error
    if plan.quantization is not None:
        refusal = plan.quantization.refusal(max(map(len, groups)))
        if refusal is not None:
            raise InputError("secagg", title, refusal)


def _try_hardening(plan: FederationPlan) -> None:
    """Refuse a hardening that cannot work on such records; it is tried once on two of zeros."""
    zeros = np.zeros((2, plan.columns.n_features), np.float32)
    records = Records(zeros, np.array([0, 1], np.float32))
    weights = np.zeros(plan.network.n_params, np.float32)
    try:
        plan.hardened(weights, records, stream(0, "check"))
    except RefusedError as error:
        raise UndefinedError("hardening", type(plan.hardening).__name__, str(error)) from error


def _chain(terms: Terms, packages: tuple[str, ...]) -> Pipeline:
    steps = tuple(built(f"steps.{name}", node, packages) for name, node in terms.steps)
    rule = built("aggregator", terms.aggregator, packages)
    node = terms.server_optimizer
    optimizer = built("server_optimizer", node, packages) if node else None
    made = cast(Callable[[Sequence[object], object, object], Pipeline], named(CHAIN))
    return made(steps, rule, optimizer)
