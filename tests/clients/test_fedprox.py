"""FedProx on the client: the proximal term is the paper's, and the batch computes it as the app
does.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from clients import batched
from clients.training import train
from sim.models.mlp import FullyConnected
from sim.models.store import load, unload
from sim.seeds import stream
from sim.training import Training
from sim.types import Records

NETWORK = FullyConnected((5, 4, 1))


def training(optimizer: str, proximal: float) -> Training:
    return Training(
        rounds=1,
        local_epochs=1,
        local_steps=None,
        batch_size=8,
        lr=0.2,
        optimizer=optimizer,
        proximal=proximal,
    )


def records() -> Records:
    rng = np.random.default_rng(3)
    return Records(
        rng.normal(size=(20, 5)).astype(np.float32), rng.integers(0, 2, 20).astype(np.float32)
    )


def rounds_of(n: int) -> list[np.ndarray]:
    return [np.arange(at, min(at + 8, n)) for at in range(0, n, 8)] * 4


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_local_loss_with_the_proximal_term_written_out_gives_the_same_weights(
    optimizer: str,
) -> None:
    data, start = records(), NETWORK.initialize(stream(0, "model"))
    network = NETWORK.module()
    load(network, start)
    received = [parameter.detach().clone() for parameter in network.parameters()]
    steps = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)(
        network.parameters(), lr=0.2
    )
    for rows in rounds_of(20):
        logits = network(torch.from_numpy(data.features[rows]))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(data.labels[rows])
        )
        away = sum(
            ((now - then) ** 2).sum()
            for now, then in zip(network.parameters(), received, strict=True)
        )
        steps.zero_grad()
        (loss + 0.7 / 2 * away).backward()
        steps.step()
    trained = train(NETWORK, start, data, rounds_of(20), training(optimizer, 0.7))
    np.testing.assert_allclose(trained, unload(network), atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_batch_computes_the_proximal_term_as_one_hospital_at_a_time_does(optimizer: str) -> None:
    data, start = records(), NETWORK.initialize(stream(0, "model"))
    alone = train(NETWORK, start, data, rounds_of(20), training(optimizer, 0.7)) - start
    job = batched.Job(start, data, batched.padded(rounds_of(20)))
    short = batched.Job(start, data.take(slice(0, 8)), batched.padded(rounds_of(8)))
    for found in batched.updates(
        NETWORK, [short, job, job], batched.Optimizer(optimizer, 0.2, 0.7)
    )[1:]:
        np.testing.assert_allclose(found, alone, atol=2e-6)


def test_a_larger_proximal_term_keeps_hospitals_closer_to_the_common_model() -> None:
    data, start = records(), NETWORK.initialize(stream(0, "model"))
    ways = [
        np.linalg.norm(
            train(NETWORK, start, data, rounds_of(20), training("sgd", proximal)) - start
        )
        for proximal in (0.0, 0.5, 2.0)
    ]
    assert all(near < far for far, near in pairwise(ways))
