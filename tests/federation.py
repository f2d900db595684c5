"""Whole federations for tests: experiments as the command line composes them, and runs that leave
their final model.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from hydra import initialize_config_module
from numpy.typing import NDArray

from clients.app import fit, together
from sim.config.hydra_errors import one_line
from sim.design.attack import Attack
from sim.federation import wire
from sim.federation.conversation import Arrived
from sim.federation.engines.local import LocalGrid
from sim.federation.protocols.plain import ROUNDING
from sim.federation.rounds import Aggregated
from sim.messages import Concluded
from sim.seeds import stream
from sim.study import compose
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun
from sim.types import Node

App = Callable[[Message, Context], Message]
Replies = Callable[[list[Message]], Iterable[Message]]
SEEDED = {ROUNDING: 1}  # the numbers of a reply whose update is to be quantized


def experiment(*overrides: str) -> Experiment:
    """The experiment of ``wardround run OVERRIDES``."""
    with one_line():
        return compose.checked(deepcopy(_composed(overrides)), overrides)


@lru_cache(maxsize=1024)
def _composed(overrides: tuple[str, ...]) -> Node:
    """What Hydra makes of these words, in a tenth of a second; many tests use the same words."""
    with initialize_config_module("conf", version_base="1.3"):
        return compose.configuration(overrides)


def plan(
    overrides: list[str], attacks: list[Any], defenses: list[str], n_seeds: int = 1
) -> list[Experiment]:
    """The experiments of ``wardround compare OVERRIDES attacks=... defenses=... seeds=...``."""
    with initialize_config_module("conf", version_base="1.3"):
        return compose.experiments(overrides, compose.cells(attacks, defenses), range(n_seeds))


def attacked(run: Experiment, attacks: Mapping[str, Attack]) -> Experiment:
    """The same run with these attacks by name."""
    return replace(run, attack_plan=replace(run.attack_plan, attacks=attacks))


def aggregating(run: Experiment, chain: Any) -> Experiment:
    """The same run with other steps and another rule."""
    return replace(run, plan=replace(run.plan, chain=chain))


class TamperingGrid(LocalGrid):
    """A local grid whose replies pass through ``tamper``, as a network may lose, double or invent
    them.
    """

    tamper: Replies

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        return list(self.tamper(super().send_and_receive(messages, timeout=timeout)))


def finished(run: Experiment, app: App | None = None, tamper: Replies = list) -> FederatedRun:
    """The federated run of ``run``, finished; its ``weights`` are the final model.

    Hospitals answer by ``app``, one by one; without it they are the project's own, trained together
    as by ``run``.
    """
    federated = FederatedRun(run)
    partitions = {node: partition for partition, node in enumerate(federated.roster.nodes.values())}
    apps = {} if app is None else dict.fromkeys(partitions, client_app(app))
    grid = TamperingGrid(
        apps, partitions, None if app else together(dict.fromkeys(partitions, run.source))
    )
    grid.tamper = tamper
    federated.server_app()(
        grid, Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    )
    return federated


def client_app(app: App) -> ClientApp:
    """The ClientApp that trains by ``app``."""
    hospitals = ClientApp()
    hospitals.train()(app)
    return hospitals


def alone(run: Experiment) -> App:
    """The project's own hospitals, each asked by itself."""
    return partial(fit, run.source)


def asked(run: FederatedRun, number: int = 1) -> dict[str, Message]:
    """The message of a plain round to each hospital of a run, by name."""
    wire.enter_process()
    nodes = run.roster.nodes
    sent = wire.ask(number, run.weights, run.task, nodes.values())
    return dict(zip(nodes, sent, strict=True))


def uploads(
    run: FederatedRun, number: int, replies: Mapping[str, Message]
) -> dict[str, Message | None]:
    """What hospitals upload where ``replies`` are what they trained, by name; None: nothing."""
    run.adversary.start(number)
    trained = {name: Arrived(message) for name, message in replies.items()}
    changed = run.between(number, trained) if run.adversary.acts_in(number) else {}
    return {name: arrived.message for name, arrived in {**trained, **changed}.items()}


def concluded(run: FederatedRun, number: int, replies: Mapping[str, Message | None]) -> Concluded:
    """The end of the conversation of a plain round in which these replies arrive; of a hospital
    without one, nothing.
    """
    talk = run.aggregator.round(number, run.weights)
    next(talk)
    arrived = {name: Arrived(replies.get(name)) for name in run.plan.hospitals}
    try:
        talk.send(arrived)
    except StopIteration as end:
        found: Concluded = end.value
        return found
    raise AssertionError("a plain round has one trip")


def aggregated(
    run: FederatedRun, number: int, replies: Mapping[str, Message | None]
) -> tuple[NDArray[np.float32], Aggregated]:
    """The next weights, and what the aggregator did, in a round in which these replies arrive."""
    return run.aggregator.aggregate(number, run.weights, concluded(run, number, replies))


def drawn_update(n_params: int, partition: int, round_: int) -> NDArray[np.float32]:
    """An honest-looking update of a hospital in a round, the same at each call."""
    return (0.01 * stream(0, "update", partition, round_).normal(size=n_params)).astype(np.float32)


def answer_drawn(message: Message, context: Context) -> Message:
    """The reply of a hospital that sends ``drawn_update`` and states that it has 50 records."""
    task, partition = wire.read_task(message), int(context.node_config[wire.PARTITION])
    return wire.answer(drawn_update(len(task.weights), partition, task.round), 50, {}, message)
