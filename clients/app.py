"""The Flower ClientApp of a hospital. The same app runs in every engine."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from clients.private import History
from clients.training import train
from sim import batches, wire
from sim.experiment import Experiment, from_text
from sim.seeds import stream
from sim.types import Records

app = ClientApp()
LEDGER = "privacy-ledger"


@app.train()
def fit(message: Message, context: Context) -> Message:
    """Train the received weights on this hospital's records; reply with the update and the number of records."""
    task = wire.read_task(message)
    experiment = from_text(task.experiment)
    name, records = _site(task.experiment, int(context.node_config[wire.PARTITION]))
    if experiment.dp is None:
        drawn = batches.shuffled(experiment.settings.seed, task.round, name, len(records), experiment.settings.training)
        trained = train(experiment.widths, task.weights, records, drawn, experiment.settings.training)
        numbers: dict[str, float] = {}
    else:
        trained, numbers = _private(experiment, task, name, records, context.state)
    return wire.answer(trained - task.weights, len(records), numbers, message)


@lru_cache(maxsize=8192)
def _site(experiment: str, partition: int) -> tuple[str, Records]:
    """Name and training records of one hospital; a hostile one poisons its records if the attack does."""
    run = from_text(experiment)
    hospital, records = run.consortium.hospitals[partition], run.consortium.hospitals[partition].train
    if hospital.name in run.hostile:
        for name, poison in run.of_kind("poison").items():
            records = poison(records, stream(run.settings.seed, "poison", name, hospital.name))
    return hospital.name, records


def _private(
    experiment: Experiment, task: wire.Task, name: str, records: Records, state: RecordDict
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Train under DP. The ledger of what was spent stays in the hospital's state from round to round."""
    settings, n = experiment.settings, len(records)
    drawn = batches.poisson(settings.seed, task.round, name, n, settings.training)
    rng = stream(settings.seed, "dp-noise", task.round, name)
    trained, history = experiment.dp.train(experiment.widths, task.weights, records, drawn, settings.training, _read(state), rng)
    state[LEDGER] = ConfigRecord(dict(zip(("noise", "rate", "steps"), map(list, zip(*history, strict=True)), strict=True)))
    if task.round < settings.training.rounds:
        return trained, {}
    return trained, {"epsilon": experiment.dp.epsilon(history)}


def _read(state: RecordDict) -> History:
    if LEDGER not in state:
        return []
    columns = cast(dict[str, list[Any]], state.config_records[LEDGER])
    return list(zip(columns["noise"], columns["rate"], columns["steps"], strict=True))
