"""Server optimizers against torch's optimizers, where these are defined alike, and against the
papers' recursions.
"""

from typing import Any

import numpy as np
import pytest
import torch

from aggregators.pipeline import Chain
from aggregators.rules.mean import Mean
from aggregators.server_optimizers.adaptive import Adaptive
from aggregators.server_optimizers.fedadagrad import Fedadagrad
from aggregators.server_optimizers.fedadam import Fedadam
from aggregators.server_optimizers.fedavgm import Fedavgm
from aggregators.server_optimizers.fedyogi import Fedyogi
from sim.errors import InputError
from sim.seeds import stream
from sim.types import View
from tests.rounds import Rounds

RNG = stream(0, "rule")  # of which optimizers draw nothing
AGGREGATES = np.random.default_rng(0).normal(size=(8, 5))


def path(optimizer: Any) -> np.ndarray:
    """Where the model is after each aggregate, (n_rounds, n_params)."""
    work = Rounds(optimizer)
    return np.cumsum([work(aggregate, RNG) for aggregate in AGGREGATES], axis=0)


def torch_path(kind: Any, **options: Any) -> np.ndarray:
    """The same by a torch optimizer, for which an aggregate is a negative gradient."""
    model = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer, positions = kind([model], **options), []
    for aggregate in AGGREGATES:
        model.grad = -torch.from_numpy(aggregate)
        optimizer.step()
        positions.append(model.detach().numpy().copy())
    return np.array(positions)


def test_fedavgm_is_sgd_with_momentum() -> None:
    expected = torch_path(torch.optim.SGD, lr=0.3, momentum=0.9)
    np.testing.assert_allclose(path(Fedavgm(0.3, 0.9)), expected, rtol=1e-12)


def test_fedadagrad_without_momentum_is_adagrad() -> None:
    expected = torch_path(torch.optim.Adagrad, lr=0.3, eps=0.05, initial_accumulator_value=0.05**2)
    np.testing.assert_allclose(path(Fedadagrad(0.3, beta1=0.0, tau=0.05)), expected, rtol=1e-12)


def test_fedadam_without_momentum_is_rmsprop_from_tau_squared() -> None:
    moment, position, expected = np.full(5, 0.05**2), np.zeros(5), []
    for aggregate in AGGREGATES:
        moment = 0.9 * moment + 0.1 * aggregate**2
        position = position + 0.3 * aggregate / (moment**0.5 + 0.05)
        expected.append(position)
    np.testing.assert_allclose(path(Fedadam(0.3, 0.0, 0.9, 0.05)), expected, rtol=1e-12)
    started_at_zero = torch_path(torch.optim.RMSprop, lr=0.3, alpha=0.9, eps=0.05)
    assert np.abs(started_at_zero - expected).max() > 1e-3


@pytest.mark.parametrize("kind", [Fedadagrad, Fedadam, Fedyogi])
def test_momentum_starts_at_zero_and_is_not_corrected(kind: type[Adaptive]) -> None:
    first = kind(1.0, 0.9, 0.99, 1e6)(AGGREGATES[0], RNG)
    np.testing.assert_allclose(first, 0.1 * AGGREGATES[0] / 2e6, rtol=1e-2)


def test_yogi_forgets_a_large_aggregate_slower_than_adam() -> None:
    steps = {}
    for kind in (Fedadam, Fedyogi):
        optimizer = Rounds(kind(1.0, 0.0, 0.9, 1e-3))
        optimizer(np.array([100.0]), RNG)
        steps[kind] = [optimizer(np.array([0.1]), RNG).item() for _ in range(60)][-1]
    assert steps[Fedyogi] < steps[Fedadam] / 5


def test_a_chain_steps_by_its_optimizer_and_remembers_over_rounds() -> None:
    view = View(np.array([[1.0], [3.0]]), (("a",), ("b",)))
    chain = Chain((), Mean(), Fedavgm(1.0, 0.5))
    moves, states = list[float](), ()
    for _ in range(3):
        found = chain.run(view, RNG, states)
        moves.append(found.move.item())
        states = found.states
    assert moves == [2.0, 3.0, 3.5]
    assert chain.run(view, RNG).move.item() == 2.0
    assert Chain((), Mean())(view, stream(0, "rule")).item() == 2.0


@pytest.mark.parametrize(
    "make", [lambda: Fedavgm(0.0), lambda: Fedavgm(1.0, 1.5), lambda: Fedadam(tau=0.0)]
)
def test_optimizers_refuse_values_that_cannot_work(make: Any) -> None:
    with pytest.raises(InputError):
        make()
