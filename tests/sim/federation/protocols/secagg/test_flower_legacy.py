"""What Flower's own secure aggregation hands to a robust rule, and that ours refuses to be asked.

Flower's workflow replaces the result of every client by the same average and passes the copies on
to the strategy. Krum then chooses one of equal rows: the poisoned mean.
"""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import Krum
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow

from sim.errors import UndefinedError
from sim.federation.engines.local import LocalGrid
from tests.federation import experiment

N = 8
HONEST = np.linspace(-0.5, 0.5, 5)
POISON = np.full(5, 6.0)


class Client(NumPyClient):  # type: ignore[misc]
    """A client that returns its own vector, whatever it is sent."""

    def __init__(self, place: int) -> None:
        self.vector = POISON if place == 0 else HONEST + 0.01 * place

    def fit(self, parameters: object, config: object) -> tuple[list[np.ndarray], int, dict]:
        return [self.vector], 1, {}


def aggregated(is_secure: bool) -> np.ndarray:
    """The model after one round of Flower's Krum over eight clients, one of them poisoned."""

    def client_of(context: Context) -> object:
        return Client(int(context.node_config["partition-id"])).to_client()

    mods = [secaggplus_mod] if is_secure else []
    app = ClientApp(client_fn=client_of, mods=mods)
    places = {node: node - 1 for node in range(1, N + 1)}
    grid = LocalGrid(dict.fromkeys(places, app), places)
    strategy = Krum(
        num_malicious_clients=1,
        fraction_evaluate=0.0,
        min_available_clients=N,
        initial_parameters=ndarrays_to_parameters([np.zeros(5)]),
    )
    state = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    context = LegacyContext(state, config=ServerConfig(num_rounds=1), strategy=strategy)
    fit = SecAggPlusWorkflow(num_shares=1.0, reconstruction_threshold=0.6) if is_secure else None
    DefaultWorkflow(fit_workflow=fit)(grid, context)
    return parameters_to_ndarrays(
        compat.arrayrecord_to_parameters(context.state.array_records["parameters"], True)
    )[0]


def test_flowers_krum_under_its_secure_aggregation_returns_the_poisoned_mean() -> None:
    vectors = [Client(place).vector for place in range(N)]
    poisoned = np.mean(vectors, axis=0)
    robust = aggregated(is_secure=False)
    assert min(np.abs(robust - vector).max() for vector in vectors[1:]) < 1e-6
    np.testing.assert_allclose(aggregated(is_secure=True), poisoned, atol=1e-2)
    assert np.abs(poisoned - robust).max() > 0.5


@pytest.mark.parametrize("secagg", ["protocol", "sum"])
@pytest.mark.parametrize("rule", ["krum", "median", "trimmed_mean", "multi_krum"])
def test_ours_refuses_a_robust_rule_on_one_sum_before_round_1(rule: str, secagg: str) -> None:
    with pytest.raises(UndefinedError, match="n_rows=1"):
        experiment(
            "consortium=breast8", "adversary.n_hostile=1", f"aggregator={rule}", f"secagg={secagg}"
        )
