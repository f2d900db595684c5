"""The plan that all agreed on before round 1: the one value that everybody holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from sim import limits, plugins, returned
from sim.config import plain
from sim.config.build import built
from sim.config.groups import canonical
from sim.config.settings import Server, first
from sim.design.quorum import Quorum
from sim.errors import InputError, RefusedError, UndefinedError
from sim.kinds import LocalPrivacy, Model
from sim.models.check import network as checked
from sim.models.network import Network
from sim.names import CHAIN, named
from sim.seeds import Key, stream
from sim.training import Training, Values
from sim.types import Node, Pipeline, Schema, SecureAggregation


class Terms(Values):
    """The agreed terms in plain values.

    Plug-ins are nodes here; ``steps`` are pairs of a name and a node, in order. ``columns``: how a
    record is laid out. ``public``: whether the data may be shown to everybody.
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
    dp: Node | None
    server: Server
    plugins: dict[str, str]  # packages of plug-ins -> hash of their source

    @model_validator(mode="after")
    def _names_in_order(self) -> Terms:
        if list(self.hospitals) != sorted(set(self.hospitals)):
            raise ValueError("expected different hospitals in order of their names")
        return self


@dataclass(frozen=True, eq=False)
class FederationPlan:
    """The agreed terms and the plug-ins built from them.

    It knows no seed, no data source, no record and no attack. Two plans are the same plan where
    their ``digest`` is the same.
    """

    terms: Terms
    model: Model
    chain: Pipeline
    secagg: SecureAggregation
    dp: LocalPrivacy | None

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

    @property
    def training(self) -> Training:
        """How each hospital trains in a round, and the number of rounds."""
        return self.terms.training

    @property
    def server(self) -> Server:
        """The limits that the aggregator puts on what hospitals report."""
        return self.terms.server

    @property
    def columns(self) -> Schema:
        """How a record is laid out."""
        return self.terms.columns

    @property
    def public(self) -> bool:
        """Whether the data may be shown to everybody."""
        return self.terms.public

    @cached_property
    def network(self) -> Network:
        """The network of the model on these records."""
        return checked(self.model, self.model(self.columns), self.columns.n_features)

    def counted(self, n_train: int) -> int:
        """The number of records that a hospital with ``n_train`` states, and that evidence holds.

        It is ``n_train`` itself, except where local privacy protects it.
        """
        return n_train if self.dp is None else self.dp.counted(n_train)

    def first_weights(self, key: Key) -> NDArray[np.float32]:
        """The weights that round 1 starts from, (n_params,), drawn with the aggregator's key."""
        drawn = self.network.initialize(key.stream("model"))
        returned.array(self.model, drawn, (self.network.n_params,))
        return returned.finite(self.model, drawn).astype(np.float32, copy=False)

    @cached_property
    def has_protocol(self) -> bool:
        """Whether the secure aggregation is a round protocol of its own, in messages."""
        return callable(getattr(self.secagg, "round", None))

    @cached_property
    def quorum(self) -> Quorum:
        """How many usable replies a round needs."""
        return Quorum(self.chain, self.secagg, self.server.absent, len(self.hospitals))


def agreed(terms: Terms) -> FederationPlan:
    """The plan of these terms.

    Raises ``InputError`` for a node that is no plug-in of its group or has a wrong parameter.
    """
    packages = tuple(terms.plugins)
    return FederationPlan(
        terms=terms,
        model=cast(Model, built("model", terms.model, packages)),
        chain=_chain(terms, packages),
        secagg=cast(SecureAggregation, built("secagg", terms.secagg, packages)),
        dp=cast(LocalPrivacy, built("dp", terms.dp, packages)) if terms.dp else None,
    )


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


def check(plan: FederationPlan) -> None:
    """Refuse a plan whose rule or model cannot work: by limits, then by tries on small updates."""
    _ = plan.network  # which the model may refuse
    names = plan.hospitals
    refusal = plan.chain.refusal(plan.secagg.n_rows(len(names)), len(names))
    counts = np.ones(len(names))
    small = stream(0, "check").normal(size=(len(names), 3)).astype(np.float32)
    if refusal is None:
        try:
            for rows in (0 * small, small):
                view = returned.view(plan.secagg, plan.secagg(rows, names, counts), rows.shape[1])
                plan.chain.check(replace(view, model=rows[0]), stream(0, "check"))
        except RefusedError as error:
            refusal = str(error)
    if refusal:
        raise UndefinedError("aggregator", type(plan.chain.rule).__name__, refusal)


def _chain(terms: Terms, packages: tuple[str, ...]) -> Pipeline:
    steps = tuple(built(f"steps.{name}", node, packages) for name, node in terms.steps)
    rule = built("aggregator", terms.aggregator, packages)
    node = terms.server_optimizer
    optimizer = built("server_optimizer", node, packages) if node else None
    made = cast(Callable[[Sequence[object], object, object], Pipeline], named(CHAIN))
    return made(steps, rule, optimizer)
