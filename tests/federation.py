"""Whole federations for tests: experiments as the command line composes them, and runs that leave their final model."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from hydra import initialize_config_module
from numpy.typing import NDArray

import clients.app
from sim import compose, wire
from sim.engines.local import LocalGrid
from sim.experiment import Experiment
from sim.run import FederatedRun
from sim.seeds import stream

App = Callable[[Message, Context], Message]
Replies = Callable[[list[Message]], Iterable[Message]]


def experiment(*overrides: str) -> Experiment:
    """The experiment of ``wardround run OVERRIDES``."""
    with initialize_config_module("conf", version_base="1.3"), compose.one_line():
        return compose.single(list(overrides))


def plan(overrides: list[str], attacks: list[Any], defenses: list[str], n_seeds: int = 1) -> list[Experiment]:
    """The experiments of ``wardround compare OVERRIDES attacks=... defenses=... seeds=...``."""
    with initialize_config_module("conf", version_base="1.3"):
        return compose.experiments(overrides, compose.cells(attacks, defenses), range(n_seeds))


class TamperingGrid(LocalGrid):
    """A local grid whose replies pass through ``tamper``, as a network may lose, double or invent them."""

    tamper: Replies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return list(self.tamper(super().send_and_receive(messages, timeout=timeout)))


def finished(run: Experiment, app: App | None = None, tamper: Replies = list) -> FederatedRun:
    """The finished trial of ``run``; its ``weights`` are the final model.

    Hospitals answer by ``app``, one by one; without it they are the project's own, trained together as ``sim.run.run`` does.
    """
    trial, hospitals = FederatedRun(run), clients.app.app
    if app is not None:
        hospitals = ClientApp()
        hospitals.train()(app)
    partitions = {node: partition for partition, node in enumerate(trial.enrolled)}
    grid = TamperingGrid(hospitals, partitions, None if app else clients.app.together)
    grid.tamper = tamper
    trial.server_app()(grid, Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={}))
    return trial


def drawn_update(n_params: int, partition: int, round_: int) -> NDArray[np.float32]:
    """An honest-looking update of a hospital in a round, the same at each call."""
    return (0.01 * stream(0, "update", partition, round_).normal(size=n_params)).astype(np.float32)


def answer_drawn(message: Message, context: Context) -> Message:
    """The reply of a hospital that sends ``drawn_update`` and says that it has 50 records."""
    task, partition = wire.read_task(message), int(context.node_config[wire.PARTITION])
    return wire.answer(drawn_update(len(task.weights), partition, task.round), 50, {}, message)
