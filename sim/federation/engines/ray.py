"""engine=ray: the same apps in Flower's own simulation, hospitals in processes that Ray manages."""

from __future__ import annotations

import time
import warnings
from importlib.util import find_spec

from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from sim.errors import InputError, RefusedError
from sim.federation import wire
from sim.federation.driver import Parties, Roster
from sim.types import Node

BACKEND: dict[str, Node] = {
    "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
    "init_args": {"logging_level": "ERROR", "log_to_driver": False},
}
PATIENCE = 120.0  # seconds in which all hospitals must be there


def serve(run: Parties, server: ServerApp, app: ClientApp) -> None:
    """Carry out ``run`` by its ``server`` in Flower's simulation on Ray.

    Raises ``InputError`` if Ray is not installed.
    """
    if find_spec("ray") is None:
        expected = "expected engine=local, or Ray installed with: pip install 'wardround[ray]'"
        raise InputError("engine", "ray", expected)
    n_hospitals = len(run.plan.hospitals)
    # Ray warns that it will change its mind about accelerators some day
    with warnings.catch_warnings(action="ignore"):
        run_simulation(_enrolling(run, server), app, n_hospitals, backend_config=BACKEND)


def _enrolling(run: Parties, inner: ServerApp) -> ServerApp:
    """The run's ServerApp behind a roll call.

    Flower draws node ids, and starts before all nodes are there.
    """
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        n_hospitals = len(run.plan.hospitals)
        asked = wire.roll_call(_nodes(grid, n_hospitals))
        found = wire.enrolled(grid.send_and_receive(asked, timeout=PATIENCE), asked, n_hospitals)
        run.roster = Roster.enrolled(run.plan.hospitals, *found)
        inner(grid, context)

    return server


def _nodes(grid: Grid, n_hospitals: int) -> list[int]:
    end = time.monotonic() + PATIENCE
    while len(nodes := list(grid.get_node_ids())) < n_hospitals:
        if time.monotonic() > end:
            raise RefusedError(
                f"{len(nodes)} of {n_hospitals} hospitals started within {PATIENCE:g} seconds"
            )
        time.sleep(0.05)
    return nodes
