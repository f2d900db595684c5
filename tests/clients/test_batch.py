"""Batched training is held to training one hospital at a time, and batched DP-SGD to Opacus's own
optimizer, step by step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus import GradSampleModule
from scipy import stats
from torch import nn

from clients.batched import Job, Noise, Optimizer, engine, padded, updates
from clients.dp_sgd import _noisy
from clients.training import train
from sim.design import batches
from sim.models import check
from sim.models.cnn import Convolutional
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.models.network import _layout as layout_by_torch
from sim.models.store import load, unload
from sim.seeds import key, stream
from sim.training import Training
from sim.types import Records

FEATURES = 16
CNN = Convolutional((1, 4, 4), channels=(3, 4), strides=(1, 2), kernel=3, activation="relu")
CHAINS = [FullyConnected(widths) for widths in ((16, 1), (16, 8, 1), (16, 8, 4, 1))]
NETWORKS = [*CHAINS, CNN]
EACH_NETWORK = pytest.mark.parametrize("network", NETWORKS, ids=str)
SMALL = NETWORKS[1]
SIZES = (1, 2, 15, 16, 17, 40)  # records of the hospitals of most tests; batches have 16


def draws(place: int, seed: int = 0) -> Callable[[], np.random.Generator]:
    """What gives the stream of noise of one hospital."""
    return partial(stream, seed, "noise", place)


def trained(optimizer: str = "sgd", batch_size: int = 16, **changes: Any) -> Training:
    values = {
        "rounds": 1,
        "local_epochs": 3,
        "local_steps": None,
        "lr": 0.1 if optimizer == "sgd" else 0.01,
        "proximal": 0.0,
    }
    return Training(**{**values, "optimizer": optimizer, "batch_size": batch_size, **changes})


def records(n: int, n_features: int = FEATURES, *name: str | int) -> Records:
    rng = stream(0, "records", n, *name)
    features = rng.normal(size=(n, n_features)).astype(np.float32)
    return Records(features, rng.integers(0, 2, n).astype(np.float32))


def weights(network: Network, *name: str | int) -> np.ndarray:
    return network.initialize(stream(0, "weights", *name))


def drawn(n: int, training: Training) -> list[np.ndarray]:
    return batches.shuffled(key(0, "hospital", f"hospital {n}"), 1, n, training)


def jobs_of(network: Network, sizes: Sequence[int], trainings: Sequence[Training]) -> list[Job]:
    """A job for each hospital."""
    return [
        Job(weights(network, i), records(n, FEATURES, i), padded(drawn(n, how)))
        for i, (n, how) in enumerate(zip(sizes, trainings, strict=True))
    ]


def jobs_and_truth(
    network: Network, sizes: Sequence[int], trainings: Sequence[Training]
) -> tuple[list[Job], list[np.ndarray]]:
    """A job for each hospital, and what training it alone gives."""
    jobs = jobs_of(network, sizes, trainings)
    alone = [
        train(network, job.weights, job.records, drawn(n, how), how) - job.weights
        for job, n, how in zip(jobs, sizes, trainings, strict=True)
    ]
    return jobs, alone


def gap(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True))


# --- plain training


@EACH_NETWORK
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"local_steps": 7}, {"batch_size": 1}, {"batch_size": 64}, {"proximal": 0.5}],
    ids=str,
)
def test_a_batch_of_unequal_hospitals_trains_each_as_if_alone(
    network: Network, optimizer: str, changes: dict[str, Any]
) -> None:
    how = trained(optimizer, **changes)
    jobs, alone = jobs_and_truth(network, SIZES, [how] * len(SIZES))
    assert gap(updates(network, jobs, Optimizer(optimizer, how.lr, how.proximal)), alone) <= 1e-5
    assert min(np.abs(update).max() for update in alone) > 1e-3  # everybody moved


@settings(max_examples=40, deadline=None)
@given(
    network=st.sampled_from(NETWORKS),
    optimizer=st.sampled_from(["sgd", "adam"]),
    hospitals=st.lists(
        st.tuples(st.integers(1, 30), st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=6
    ),
)
def test_any_mix_of_sizes_batches_and_steps_trains_each_as_if_alone(
    network: Network, optimizer: str, hospitals: list[tuple[int, int, int]]
) -> None:
    hows = [trained(optimizer, size, local_steps=steps) for _, size, steps in hospitals]
    jobs, alone = jobs_and_truth(network, [n for n, _, _ in hospitals], hows)
    assert gap(updates(network, jobs, Optimizer(optimizer, hows[0].lr)), alone) <= 1e-5


@EACH_NETWORK
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_who_trains_beside_a_hospital_changes_nothing(network: Network, optimizer: str) -> None:
    how = trained(optimizer)
    jobs = jobs_of(network, SIZES, [how] * len(SIZES))
    together = updates(network, jobs, Optimizer(optimizer, how.lr))
    assert (
        gap(together, [updates(network, [job], Optimizer(optimizer, how.lr))[0] for job in jobs])
        <= 1e-6
    )
    assert gap(together[::-1], updates(network, jobs[::-1], Optimizer(optimizer, how.lr))) <= 1e-6


@pytest.mark.parametrize("network", [SMALL, CNN], ids=str)
def test_padding_changes_nothing(network: Network) -> None:
    how = trained()
    (job,) = jobs_of(network, [17], [how])
    wide = np.full((len(job.batches), 50), -1, dtype=np.int64)
    wide[:, -job.batches.shape[1] :] = job.batches  # padding in front, and more of it
    other = Job(job.weights, job.records, wide)
    found, expected = (updates(network, [one], Optimizer("sgd", how.lr)) for one in (other, job))
    assert gap(found, expected) <= 1e-6


@pytest.mark.parametrize("network", [SMALL, CNN], ids=str)
@pytest.mark.parametrize("models", [1, 2, 5, 6, 7])
@pytest.mark.parametrize("private", [False, True])
def test_where_chunks_end_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, network: Network, models: int, private: bool
) -> None:
    def found() -> list[np.ndarray]:
        noises = [Noise(1.0, 0.5, 16.0, draws(i)) for i in range(len(SIZES))]
        jobs = jobs_of(network, SIZES, [trained()] * len(SIZES))
        chosen = [
            replace(job, noise=noise if private else None)
            for job, noise in zip(jobs, noises, strict=True)
        ]
        return updates(network, chosen, Optimizer("sgd", 0.1))

    whole = found()
    monkeypatch.setattr(engine, "chunk", lambda *_, **__: models)
    assert gap(found(), whole) <= 1e-6


def test_chunks_shrink_as_models_grow_and_never_vanish() -> None:
    sizes = [
        engine.chunk(FullyConnected((10, width, 1)), 10, 16, private=False)
        for width in (1, 10, 100, 1000, 100_000)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1000
    assert sizes[-1] == 1


def test_the_received_weights_stay_as_they_are() -> None:
    jobs = jobs_of(SMALL, SIZES, [trained()] * len(SIZES))
    before = [job.weights.copy() for job in jobs]
    updates(SMALL, jobs, Optimizer("sgd", 0.1))
    assert gap([job.weights for job in jobs], before) == 0


@pytest.mark.parametrize("network", CHAINS)
def test_layers_of_our_own_are_laid_out_as_by_torch_and_pass_the_check_of_others(
    network: FullyConnected,
) -> None:
    assert network.layout == layout_by_torch(network)
    assert network.works_on(16)
    assert check._refusal(network, 16) is None


@pytest.mark.parametrize("widths", [(), (16,), (1,), (16, 2), (15, 1), (16, 0, 1), (16, 2.0, 1)])
def test_layers_that_do_not_fit_do_not_pass_for_known(widths: tuple[int, ...]) -> None:
    assert not FullyConnected(widths).works_on(16)
    assert not FullyConnected(widths).works_on(1)


@dataclass(frozen=True)
class General(FullyConnected):
    """The same network, of which the batched engine does not know that it has a fast path."""


@pytest.mark.parametrize("network", CHAINS, ids=str)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "proximal", "private"])
def test_the_fast_path_is_held_to_the_general_one(network: FullyConnected, optimizer: str) -> None:
    how = trained("adam" if optimizer == "adam" else "sgd")
    proximal = 0.5 if optimizer == "proximal" else 0.0

    def found(of: FullyConnected) -> list[np.ndarray]:
        jobs = jobs_of(of, SIZES, [how] * len(SIZES))
        if optimizer == "private":
            noises = [Noise(0.5, 1.0, 16.0, draws(i)) for i in range(len(SIZES))]
            jobs = [replace(job, noise=noise) for job, noise in zip(jobs, noises, strict=True)]
        return updates(of, jobs, Optimizer(how.optimizer, how.lr, proximal))

    assert gap(found(network), found(General(network.widths))) <= 1e-5


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "private"])
@pytest.mark.parametrize("n_beside", [1, 2, 5, 40])
def test_an_update_of_a_cnn_has_the_same_digits_whatever_trains_beside_it(
    optimizer: str, n_beside: int
) -> None:
    how = trained("adam" if optimizer == "adam" else "sgd")

    def found(chosen: Sequence[int]) -> list[bytes]:
        jobs = jobs_of(CNN, SIZES, [how] * len(SIZES))
        if optimizer == "private":
            noises = [Noise(0.5, 1.0, 16.0, draws(i)) for i in range(len(SIZES))]
            jobs = [replace(job, noise=noise) for job, noise in zip(jobs, noises, strict=True)]
        kind = Optimizer(how.optimizer, how.lr)
        return [update.tobytes() for update in updates(CNN, [jobs[i] for i in chosen], kind)]

    alone = [found([i])[0] for i in range(len(SIZES))]
    beside = [i % len(SIZES) for i in stream(0, "beside").permutation(n_beside + 1)]
    if optimizer == "private":
        beside = list(dict.fromkeys(beside))  # a stream of noise is drawn from once
    assert found(beside) == [alone[i] for i in beside]


# --- DP-SGD


def opacus(
    network: Network,
    first: np.ndarray,
    rows: Records,
    drawn: list[np.ndarray],
    noise: Noise,
    lr: float,
) -> Any:
    """The update of Opacus's optimizer from the same batches, with noise from ``noise.stream``."""
    module = GradSampleModule(network.module())
    load(module, first)
    steps = _noisy()(
        torch.optim.SGD(module.parameters(), lr=lr),
        noise_multiplier=noise.multiplier,
        max_grad_norm=noise.max_grad_norm,
        expected_batch_size=noise.expected_batch,
    )
    steps.rng = noise.stream()
    for chosen in drawn:
        steps.zero_grad()
        if len(chosen):
            features = torch.from_numpy(rows.features[chosen]).requires_grad_()
            nn.BCEWithLogitsLoss()(
                module(features)[:, 0], torch.from_numpy(rows.labels[chosen])
            ).backward()
        else:
            for parameter in module.parameters():
                parameter.grad_sample = torch.zeros((0, *parameter.shape))
        steps.step()
    return unload(module) - first


def private_jobs(
    network: Network, sizes: Sequence[int], n_steps: int, sigma: float, clip: float
) -> tuple[list[Job], list[np.ndarray]]:
    """Jobs of DP-SGD with Poisson batches (some empty), and what Opacus makes of each."""
    jobs, truth, how = [], [], trained(local_steps=n_steps)
    for i, n in enumerate(sizes):
        rows, first = records(n, FEATURES, i), weights(network, i)
        chosen = batches.poisson(key(0, "hospital", f"hospital {i}"), 1, n, how, n)
        chosen[-1] = chosen[-1][:0] if i == 0 else chosen[-1]
        expected = batches.sample_rate(n, how) * n

        def noise(i: int = i, expected: float = expected) -> Noise:
            return Noise(clip * (1 + i), sigma * (1 + i), expected, draws(i))

        jobs.append(Job(first, rows, padded(chosen), noise()))
        truth.append(opacus(network, first, rows, chosen, noise(), how.lr))
    return jobs, truth


@EACH_NETWORK
@pytest.mark.parametrize("n_steps", [1, 2, 3, 6])
@pytest.mark.parametrize("clip", [0.05, 100.0])
def test_private_steps_without_noise_are_those_of_opacus(
    network: Network, n_steps: int, clip: float
) -> None:
    jobs, truth = private_jobs(network, SIZES, n_steps, 0.0, clip)
    assert gap(updates(network, jobs, Optimizer("sgd", 0.1)), truth) <= 1e-6


@EACH_NETWORK
def test_private_steps_draw_the_noise_that_a_hospital_alone_draws(network: Network) -> None:
    jobs, truth = private_jobs(network, SIZES, 5, 1.5, 1.0)
    assert gap(updates(network, jobs, Optimizer("sgd", 0.1)), truth) <= 1e-5
    silent, _ = private_jobs(network, SIZES, 5, 0.0, 1.0)
    # the noise is no rounding error
    assert gap(updates(network, silent, Optimizer("sgd", 0.1)), truth) > 0.01


def noise_alone(
    n_jobs: int, n_steps: int, sigma: float, clip: float, expected: float, lr: float
) -> np.ndarray:
    """Updates of hospitals whose every batch is empty, (n_jobs, n_params)."""
    none = padded([np.empty(0, dtype=np.int64)] * n_steps)
    jobs = [
        Job(
            weights(SMALL),
            records(3),
            none,
            Noise(clip, sigma, expected, draws(i, 1)),
        )
        for i in range(n_jobs)
    ]
    return np.stack(updates(SMALL, jobs, Optimizer("sgd", lr)))


def test_noise_is_normal_with_the_stated_deviation() -> None:
    sigma, clip, expected, lr, n_steps = 1.3, 0.7, 16.0, 0.1, 4
    scaled = noise_alone(300, n_steps, sigma, clip, expected, lr) / (
        lr * sigma * clip / expected * n_steps**0.5
    )
    assert scaled.std() == pytest.approx(1, abs=0.015)
    assert stats.kstest(scaled.ravel(), "norm").pvalue > 0.01
    assert np.abs(scaled.mean(0)).max() < 5 / 300**0.5


def test_noise_of_hospitals_steps_and_parameters_is_independent() -> None:
    rows = noise_alone(40, 1, 1.0, 1.0, 1.0, 1.0)
    later = noise_alone(40, 2, 1.0, 1.0, 1.0, 1.0) - rows  # the second step's alone
    n = SMALL.n_params
    for pair in (np.corrcoef(rows), np.corrcoef(rows, later)):
        off = pair[~np.eye(len(pair), dtype=bool)]
        assert np.abs(off).max() < 5.5 / n**0.5
    assert abs(np.corrcoef(rows[:, :-1].ravel(), rows[:, 1:].ravel())[0, 1]) < 4 / rows.size**0.5
