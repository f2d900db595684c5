"""Training on a CUDA GPU gives what training on the processor gives, on both paths, with noise
drawn on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from clients.batched import Job, Noise, Optimizer, padded, updates
from sim.design import batches
from sim.models.cnn import Convolutional
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.seeds import key, stream
from sim.study.run import run_together
from sim.training import Training
from sim.types import Records
from tests.federation import experiment

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]  # on the processor again: to the last digit
HOW = Training(
    rounds=1,
    local_epochs=3,
    local_steps=None,
    batch_size=16,
    lr=0.05,
    optimizer="sgd",
    proximal=0.0,
)
SIZES = (1, 5, 16, 17, 40)


@dataclass(frozen=True)
class General(FullyConnected):
    """Fully connected layers that train on the general path."""


NETWORKS = [
    FullyConnected((64, 1)),
    FullyConnected((64, 32, 16, 1)),
    General((64, 32, 16, 1)),
    Convolutional((1, 8, 8), channels=(8, 16), strides=(1, 2), kernel=3, activation="relu"),
]


def jobs(network: Network, private: bool) -> list[Job]:
    made = []
    for i, n in enumerate(SIZES):
        rng = stream(0, "records", n)
        features = rng.normal(size=(n, 64)).astype(np.float32)
        records = Records(features, rng.integers(0, 2, n).astype(np.float32))
        drawn = padded(batches.shuffled(key(0, "hospital", f"hospital {n}"), 1, n, HOW))
        noise = Noise(1.0, 1.0, 16.0, partial(stream, 0, "noise", i)) if private else None
        made.append(Job(network.initialize(stream(0, "weights", i)), records, drawn, noise))
    return made


def gap(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("kind", ["sgd", "adam", "proximal", "private"])
def test_updates_on_a_gpu_are_those_of_the_processor(
    network: Network, kind: str, device: str
) -> None:
    name, lr = ("adam", 0.01) if kind == "adam" else ("sgd", HOW.lr)
    optimizer = Optimizer(name, lr, 0.5 if kind == "proximal" else 0.0)
    private = kind == "private"
    here = updates(network, jobs(network, private), optimizer)
    there = updates(network, jobs(network, private), optimizer, torch.device(device))
    assert gap(there, here) <= (2e-5 if device == "cuda" else 0)
    assert min(float(np.abs(update).max()) for update in here) > 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_noise_on_a_gpu_is_that_of_the_processor(device: str) -> None:
    network = NETWORKS[-1]
    loud = [
        replace(job, noise=Noise(1.0, 50.0, 16.0, partial(stream, 0, "noise", i)))
        for i, job in enumerate(jobs(network, private=False))
    ]
    again = [
        replace(job, noise=Noise(1.0, 50.0, 16.0, partial(stream, 0, "noise", i)))
        for i, job in enumerate(loud)
    ]
    here = updates(network, loud, Optimizer("sgd", 0.01))
    there = updates(network, again, Optimizer("sgd", 0.01), torch.device(device))
    assert min(float(np.abs(update).max()) for update in here) > 0.1  # noise, and little else
    assert gap(there, here) <= (1e-4 if device == "cuda" else 0)


@GPU
@pytest.mark.parametrize("model", ["logistic", "mlp", "cnn"])
@pytest.mark.parametrize("defense", ["none", "dp_record"])
def test_a_run_on_a_gpu_is_that_of_the_processor(model: str, defense: str) -> None:
    words = ("consortium=digits", f"model={model}", f"defense={defense}", "training.rounds=3")
    (here,), (there,) = (
        run_together([experiment(*words, f"device={device}")]) for device in ("cpu", "cuda")
    )
    assert there.value("auroc") == pytest.approx(here.value("auroc"), abs=2e-3)
    assert there.value("brier") == pytest.approx(here.value("brier"), abs=1e-4)
