"""The Flower ClientApp of a hospital. The same app runs in every engine.

A hospital trains by its own copy of the plan and by its own site. A message brings round, weights
and the plan's digest, and the hospital refuses a task that breaks the plan or its privacy policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from clients import batched
from clients.lengths import shortened
from clients.training import train
from sim.design import batches
from sim.design.plan import FederationPlan
from sim.design.refusals import Refusal
from sim.design.site import Site, Source, added
from sim.devices import device
from sim.federation import wire
from sim.federation.conversation import Asked, TripRefusedError
from sim.federation.protocols.plain import protocol_of
from sim.models.alike import is_imprinted
from sim.models.network import Network
from sim.seeds import Key
from sim.training import Training
from sim.types import History, Records
from sim.untrusted import described_error

LEDGER = "privacy-ledger"
UPDATES = "update-privacy"
EXECUTION = "execution"
NONCE = "nonce"  # of this execution, drawn by the hospital
ROUND = "round"  # in ledger and updates: the last one
TRAINING = (wire.TRAIN, wire.CLEAR)  # types of messages for which hospitals train
Together: TypeAlias = Callable[[Sequence[Message], Sequence[Context]], list[Message]]


def hospital_app(source: Source) -> ClientApp:
    """The ClientApp of the hospitals whose plan and sites are in ``source``."""
    app = ClientApp()
    app.train()(partial(fit, source))
    app.query()(roll_call)
    app.query("trip")(partial(answer, source))
    return app


def simulated_app(source: Source) -> ClientApp:
    """The app of simulated hospitals, whose updates the adversary sees, then gives for upload."""
    app = hospital_app(source)
    app.train("clear")(partial(fit, source))
    app.train("upload")(partial(upload, source))
    return app


def fit(source: Source, message: Message, context: Context) -> Message:
    """Train the received weights on this hospital's records; reply with the upload of the update.

    The reply is a refusal where the task breaks the plan or the hospital's policy.
    """
    visit = _Visit.of(source, message, context, wire.read_task(message))
    refusal = visit.refusal()
    if refusal is not None:
        return wire.refused(refusal, message)
    plan = visit.plan
    site = visit.site
    task = visit.task
    training = visit.training
    n = len(site.records)
    if plan.dp is None:
        drawn = batches.shuffled(site.key, task.round, n, training)
        trained = train(plan.network, task.weights, visit.records, drawn, training)
        return visit.upload(wire.Report(trained - task.weights, n, {}))
    drawn = batches.poisson(site.key, task.round, n, training, visit.counted)
    history = _ledger(context.state)
    rng = _noise(site, task.round)
    trained, history = plan.dp.train(
        plan.network, task.weights, visit.records, drawn, training, history, rng
    )
    numbers = _account(plan, task.round, context.state, history)
    return visit.upload(wire.Report(trained - task.weights, visit.counted, numbers))


def answer(source: Source, message: Message, context: Context) -> Message:
    """Answer a trip in which nothing is trained.

    The reply is a refusal where the task breaks the plan or the hospital's policy.
    """
    visit = _Visit.of(source, message, context, wire.read_task(message))
    refusal = visit.refusal()
    return visit.answer(None) if refusal is None else wire.refused(refusal, message)


def upload(source: Source, message: Message, context: Context) -> Message:
    """Upload the update that the message brings, as if it had been trained here."""
    return _Visit.of(source, message, context, wire.read_task(message)).answer(wire.given(message))


def roll_call(message: Message, context: Context) -> Message:
    """The reply that states which of the consortium's hospitals this one is."""
    return wire.present(int(context.node_config[wire.PARTITION]), message)


def together(sources: Mapping[int, Source]) -> Together:
    """The replies that ``fit`` gives, to float32 rounding, of hospitals trained in batches.

    All hospitals that train alike are in one batch. ``sources``: by node id, for the hospitals may
    be of many runs.
    """
    return partial(_together, sources)


def _together(
    sources: Mapping[int, Source], messages: Sequence[Message], contexts: Sequence[Context]
) -> list[Message]:
    asked = zip(messages, contexts, wire.read_tasks(messages), strict=True)
    visits = [
        _Visit.of(sources[wire.receiver(message)], message, context, task)
        for message, context, task in asked
    ]
    refusals = [visit.refusal() for visit in visits]
    alike = defaultdict[Kind, list[int]](list)
    last: _Visit | None = None
    for i, (visit, refusal) in enumerate(zip(visits, refusals, strict=True)):
        if refusal is None and visit.type_ in TRAINING:
            if last is None or not visit.trains_as(last):  # cheaper than making a kind
                members = alike[visit.kind]
                last = visit
            members.append(i)
    updates = dict[int, NDArray[np.float32]]()
    for (network, optimizer, where, _), members in alike.items():
        jobs = [visits[i].job() for i in members]
        updates.update(zip(members, batched.updates(network, jobs, optimizer, where), strict=True))
    return [
        visit.guarded(updates.get(i)) if refusal is None else wire.refused(refusal, visit.message)
        for i, (visit, refusal) in enumerate(zip(visits, refusals, strict=True))
    ]


Kind: TypeAlias = tuple[Network, batched.Optimizer, torch.device, bool]


@dataclass(slots=True)
class _Visit:
    """One hospital asked once."""

    message: Message
    type_: str
    state: RecordDict
    task: wire.Task
    plan: FederationPlan
    site: Site
    training: Training

    @classmethod
    def of(cls, source: Source, message: Message, context: Context, task: wire.Task) -> _Visit:
        """The visit of the hospital to which ``context`` belongs, for the message's ``task``."""
        plan = source.plan
        site = source.site(int(context.node_config[wire.PARTITION]), task.round)
        if site.journal is not None and EXECUTION in context.state:
            site = _in_execution(site, context.state)
        training = site.training or plan.training
        return cls(message, wire.type_of(message), context.state, task, plan, site, training)

    def trains_as(self, other: _Visit) -> bool:
        """Whether plan, training values and device, and so ``kind``, are those of another visit."""
        return (
            self.plan is other.plan
            and self.training is other.training
            and self.site.device == other.site.device
        )

    def refusal(self) -> Refusal | None:
        """Why the hospital refuses the task; None if it does not."""
        plan = self.plan
        task = self.task
        if task.plan != plan.digest:
            return "plan"
        if not 1 <= task.round <= plan.training.rounds:
            return "round"
        if task.round < wire.held_round(self.state):
            return "over"
        shape = (plan.network.n_params,)
        fits = task.weights.shape == shape and task.weights.dtype == np.float32
        if self.type_ != wire.TRIP and not fits:
            return "weights"
        history = None
        if self.type_ in TRAINING:
            policy = self.site.policy
            if policy.no_imprint and is_imprinted(task.weights, plan.network.layout):
                return "imprint"
            if plan.dp is not None and task.round <= _last_round(self.state, LEDGER):
                return "again"
            if plan.update_dp is not None and task.round <= _last_round(self.state, UPDATES):
                return "again"
            history = None if policy.max_epsilon is None else _ledger(self.state)
        refusal = self.site.policy.refusal(plan, len(self.site.records), history)
        return self._begun() if refusal is None else refusal

    def _begun(self) -> Refusal | None:
        """Begin this execution of the plan where it is not begun yet.

        The reason to refuse it where the hospital has begun the plan in another execution.
        """
        journal = self.site.journal
        if journal is None or EXECUTION in self.state:
            return None
        nonce = journal.begin(self.plan.digest)
        if nonce is None:
            return "begun"
        self.state[EXECUTION] = ConfigRecord({NONCE: nonce.hex()})
        self.site = _in_execution(self.site, self.state)
        return None

    @property
    def kind(self) -> Kind:
        """Network, optimizer, device, and whether it is private: the same for all in one batch."""
        training = self.training
        optimizer = batched.Optimizer(training.optimizer, training.lr, training.proximal)
        return self.plan.network, optimizer, device(self.site.device), self.plan.dp is not None

    @property
    def counted(self) -> int:
        """The number of records that the hospital states."""
        return self.plan.counted(len(self.site.records))

    @property
    def records(self) -> Records:
        """The records that the hospital trains on in this round."""
        site = self.site
        if self.plan.hardening is None or not site.complies:
            return site.records
        rng = site.key.stream("hardening", self.task.round)
        return self.plan.hardened(self.task.weights, site.records, rng)

    def job(self) -> batched.Job:
        """The hospital's part of a batched training."""
        site = self.site
        n = len(site.records)
        dp = self.plan.dp
        number = self.task.round
        counted = None if dp is None else dp.counted(n)
        rows = _matrix(site.key, number, n, self.training, counted)
        if dp is None or counted is None:
            return batched.Job(self.task.weights, self.records, rows)
        expected = batches.sample_rate(counted, self.training) * counted
        noise = batched.Noise(
            dp.max_grad_norm,
            dp.noise(counted, self.training),
            expected,
            partial(_noise, site, number),
        )
        return batched.Job(self.task.weights, self.records, rows, noise)

    def guarded(self, update: NDArray[np.float32] | None) -> Message:
        """The reply where ``update`` was trained, None where nothing was.

        A failure is the reply that Flower makes of it.
        """
        try:
            if update is not None:
                return self.upload(wire.Report(update, self.counted, self._spend()))
            return self.answer(wire.given(self.message) if self.type_ == wire.UPLOAD else None)
        except Exception as error:  # a hospital's failure is the hospital's, never the run's
            return wire.failed(described_error(error), self.message)

    def upload(self, report: wire.Report) -> Message:
        """The reply that uploads a trained update, or shows it where the simulator asks for it."""
        if self.training.max_norm is not None:
            report = replace(report, update=shortened(report.update, self.training.max_norm))
        dp = self.plan.update_dp
        if dp is not None and self.site.complies:
            rng = self.site.key.stream("dp-update", self.task.round)
            held = dp.uploaded(report.update, self.plan.averaging, rng)
            report = replace(report, update=held)
            self.state[UPDATES] = ConfigRecord({ROUND: self.task.round})
        if self.type_ == wire.CLEAR:
            return wire.holding(wire.clear(report), self.message)
        return self.answer(report)

    def answer(self, report: wire.Report | None) -> Message:
        """The reply of the hospital's half of the plan's protocol."""
        number = self.task.round
        kind, content = wire.read_trip(self.message)
        held = wire.held(self.state, number)
        model = self.task.weights
        asked = Asked(
            kind,
            self.site.name,
            number,
            self.plan,
            content,
            held,
            self.site.key,
            model,
            wire.remembered(self.state),
        )
        try:
            found = protocol_of(self.plan).hospital.answer(asked, report)
        except TripRefusedError as refused:
            return wire.refused(refused.why, self.message)
        wire.hold(self.state, number, found.held)
        if found.remembered is not None:
            wire.remember(self.state, found.remembered)
        return wire.holding(found.content, self.message)

    def _spend(self) -> dict[str, float]:
        """The figures to report after the training's cost has gone to the hospital's ledger."""
        dp = self.plan.dp
        training = self.training
        n = self.counted
        if dp is None:
            return {}
        steps = (dp.noise(n, training), batches.sample_rate(n, training), training.steps(n))
        history = added(_ledger(self.state), steps)
        return _account(self.plan, self.task.round, self.state, history)


def _in_execution(site: Site, state: RecordDict) -> Site:
    """The site with the key of the execution whose random bytes are in the hospital's state."""
    nonce = cast(str, state.config_records[EXECUTION][NONCE])
    return replace(site, key=site.key.renewed(bytes.fromhex(nonce)))


@lru_cache(maxsize=8192)
def _matrix(
    key: Key, round_: int, n_train: int, training: Training, counted: int | None
) -> NDArray[np.int64]:
    """Batches as a matrix, stored because the runs of a comparison that share a seed share them."""
    if counted is None:
        return batched.padded(batches.shuffled(key, round_, n_train, training))
    return batched.padded(batches.poisson(key, round_, n_train, training, counted))


def _noise(site: Site, round_: int) -> np.random.Generator:
    return site.key.stream("dp-noise", round_)


def _account(
    plan: FederationPlan, round_: int, state: RecordDict, history: History
) -> dict[str, float]:
    """Epsilon after the last round, else nothing; the hospital's state keeps the ledger."""
    assert plan.dp is not None
    columns = (list(column) for column in zip(*history, strict=True))
    ledger = dict(zip(("noise", "rate", "steps"), columns, strict=True))
    state[LEDGER] = ConfigRecord({**ledger, ROUND: round_})
    return {"epsilon": plan.dp.epsilon(history)} if round_ == plan.training.rounds else {}


def _last_round(state: RecordDict, record: str) -> int:
    """The last round that a hospital has trained in privately, by a record; 0 before its first."""
    return cast(int, state.config_records[record][ROUND]) if record in state else 0


def _ledger(state: RecordDict) -> History:
    if LEDGER not in state:
        return []
    columns = cast(dict[str, list[Any]], state.config_records[LEDGER])
    return list(zip(columns["noise"], columns["rate"], columns["steps"], strict=True))
