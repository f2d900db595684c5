"""The Flower ClientApp of a hospital. The same app runs in every engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from clients import batch, private
from clients.private import History
from clients.training import train
from sim import batches, wire
from sim.config.settings import Training
from sim.experiment import Experiment, from_text
from sim.models import device
from sim.seeds import stream
from sim.types import Records

app = ClientApp()
LEDGER = "privacy-ledger"


@app.train()
def fit(message: Message, context: Context) -> Message:
    """Train the received weights on this hospital's records; reply with the update and the number of records."""
    task = wire.read_task(message)
    experiment = from_text(task.experiment)
    attacking = experiment.settings.adversary.attacks_in(task.round)
    name, records, training = _site(task.experiment, int(context.node_config[wire.PARTITION]), attacking)
    seed = experiment.settings.seed
    if experiment.dp is None:
        drawn = batches.shuffled(seed, task.round, name, len(records), training)
        return wire.answer(
            train(experiment.widths, task.weights, records, drawn, training) - task.weights, len(records), {}, message
        )
    drawn = batches.poisson(seed, task.round, name, len(records), training)
    history, rng = _ledger(context.state), _noise(experiment, task.round, name)
    trained, history = experiment.dp.train(experiment.widths, task.weights, records, drawn, training, history, rng)
    return wire.answer(trained - task.weights, len(records), _account(experiment, task.round, context.state, history), message)


@app.query()
def roll_call(message: Message, context: Context) -> Message:
    """Say which of the consortium's hospitals this one is."""
    return wire.present(int(context.node_config[wire.PARTITION]), message)


def together(messages: Sequence[Message], contexts: Sequence[Context]) -> list[Message | None]:
    """The replies that ``fit`` gives, to float32 rounding, with all hospitals that train alike trained in one batch."""
    tasks = {id(message.content): message for message in messages}  # those of one run in one round share it
    asked = {content: _Asked.by(message) for content, message in tasks.items()}
    visits = [asked[id(message.content)].of(message, context) for message, context in zip(messages, contexts, strict=True)]
    alike = defaultdict[Any, list[int]](list)
    for i, visit in enumerate(visits):
        alike[visit.kind].append(i)
    replies: list[Message | None] = [None] * len(messages)
    for (widths, optimizer, where, _), members in alike.items():
        found = batch.updates(widths, [visits[i].job() for i in members], optimizer, where)
        for i, update in zip(members, found, strict=True):
            replies[i] = visits[i].reply(update)
    return replies


Kind: TypeAlias = tuple[tuple[int, ...], batch.Optimizer, torch.device, bool]


@dataclass(slots=True)
class _Asked:
    """What all hospitals of a run are asked in a round. ``kinds``: what jobs of one batch share, by a hospital's training."""

    task: wire.Task
    experiment: Experiment
    attacking: bool
    kinds: dict[Training, Kind]

    @classmethod
    def by(cls, message: Message) -> _Asked:
        task = wire.read_task(message)
        experiment = from_text(task.experiment)
        trainings = {experiment.settings.training, experiment.hostile_training}
        kinds = {training: _kind(experiment, training) for training in trainings}
        return cls(task, experiment, experiment.settings.adversary.attacks_in(task.round), kinds)

    def of(self, message: Message, context: Context) -> _Visit:
        """The visit of one hospital."""
        site = _site(self.task.experiment, int(context.node_config[wire.PARTITION]), self.attacking)
        return _Visit(message, context.state, self.task, self.experiment, *site, self.kinds[site[2]])


def _kind(experiment: Experiment, training: Training) -> Kind:
    optimizer = batch.Optimizer(training.optimizer, training.lr, training.proximal)
    return experiment.widths, optimizer, device(experiment.settings.device), experiment.dp is not None


@dataclass(slots=True)
class _Visit:
    """One hospital asked once."""

    message: Message
    state: RecordDict
    task: wire.Task
    experiment: Experiment
    name: str
    records: Records
    training: Training
    kind: Kind

    def job(self) -> batch.Job:
        """The training to be done."""
        settings, n, dp = self.experiment.settings, len(self.records), self.experiment.dp
        rows = _matrix(settings.seed, self.task.round, self.name, n, self.training, dp is not None)
        if dp is None:
            return batch.Job(self.task.weights, self.records, rows)
        expected = batches.sample_rate(n, self.training) * n
        rng = _noise(self.experiment, self.task.round, self.name)
        noise = batch.Noise(dp.max_grad_norm, dp.noise(n, self.training), expected, rng)
        return batch.Job(self.task.weights, self.records, rows, noise)

    def reply(self, update: NDArray[np.float32]) -> Message:
        """The reply with this update; what it cost goes to the hospital's ledger."""
        numbers, dp, training = {}, self.experiment.dp, self.training
        if dp is not None:
            n = len(self.records)
            steps = (dp.noise(n, training), batches.sample_rate(n, training), training.steps(n))
            numbers = _account(self.experiment, self.task.round, self.state, private.added(_ledger(self.state), steps))
        return wire.answer(update, len(self.records), numbers, self.message)


@lru_cache(maxsize=8192)
def _matrix(seed: int, round_: int, name: str, n_train: int, training: Training, is_private: bool) -> NDArray[np.int64]:
    """Batches as a matrix; kept, because the runs of a comparison that share a seed share them."""
    draw = batches.poisson if is_private else batches.shuffled
    return batch.padded(draw(seed, round_, name, n_train, training))


@lru_cache(maxsize=8192)
def _site(experiment: str, partition: int, attacking: bool) -> tuple[str, Records, Training]:
    """Name, records and training of one hospital; a hostile one changes both while it attacks, if the attack does."""
    run = from_text(experiment)
    hospital = run.consortium.hospitals[partition]
    if attacking and hospital.name in run.hostile:
        return hospital.name, run.poisoned(hospital), run.hostile_training
    return hospital.name, hospital.train, run.settings.training


def _noise(experiment: Experiment, round_: int, name: str) -> np.random.Generator:
    return stream(experiment.settings.seed, "dp-noise", round_, name)


def _account(experiment: Experiment, round_: int, state: RecordDict, history: History) -> dict[str, float]:
    """Keep the ledger of what was spent in the hospital's state; after the last round, epsilon is reported."""
    columns = (list(column) for column in zip(*history, strict=True))
    state[LEDGER] = ConfigRecord(dict(zip(("noise", "rate", "steps"), columns, strict=True)))
    return {"epsilon": experiment.dp.epsilon(history)} if round_ == experiment.settings.training.rounds else {}


def _ledger(state: RecordDict) -> History:
    if LEDGER not in state:
        return []
    columns = cast(dict[str, list[Any]], state.config_records[LEDGER])
    return list(zip(columns["noise"], columns["rate"], columns["steps"], strict=True))
