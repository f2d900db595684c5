"""Batched training of any network, by automatic differentiation through a batch of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.func import grad, vmap

from clients.batched import dp
from clients.batched.optimizers import Moments, Optimizer, adam
from clients.batched.schedule import REGISTERS, Schedule, Weights
from sim.devices import float32_convolutions
from sim.models.network import Network, on_no_device, skeleton
from sim.models.store import named


@dataclass(frozen=True)
class Batch:
    """Features, labels and shares of the records of a step, for each model; see the package."""

    features: torch.Tensor
    labels: torch.Tensor
    share: torch.Tensor


def train(network: Network, schedule: Schedule, optimizer: Optimizer, out: Weights) -> None:
    """Run every job's steps, and write the updates of the last ``len(out)`` jobs to ``out``.

    ``out``: (n, n_params).
    """
    received = torch.from_numpy(schedule.received[schedule.which]).to(schedule.pool.device)
    weights = received.clone()
    labels = torch.from_numpy(schedule.labels).to(weights.device)
    with float32_convolutions():
        change = _change(network, schedule, optimizer, received)
        for step, n in enumerate(schedule.n_left):
            change(weights[:n], _batch(schedule, labels, step, n), step)
    schedule.gained(weights[len(weights) - len(out) :].cpu().numpy(), out)


def gradients(network: Network, weights: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Gradient of each model's loss, (n, n_params)."""
    leaf = weights.detach().requires_grad_()
    logits = network.apply_together(named(network.layout, leaf), batch.features)
    # One pass backward for all models: no model's loss depends on the weights of another.
    loss = network.loss(_whole(logits), _whole(batch.labels), _whole(batch.share))
    (found,) = torch.autograd.grad(loss, leaf)
    return found


def _whole(values: torch.Tensor) -> torch.Tensor:
    """The values in one row, filled up to whole registers: a rest has other last digits."""
    return nn.functional.pad(values.flatten(), (0, -values.numel() % REGISTERS))


def record_gradients(network: Network, weights: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Gradient of each record's loss under its model, (n, batch, n_params)."""

    def loss(vector: torch.Tensor, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        logits = network.apply(named(network.layout, vector), features[None])
        return network.loss(logits, label[None])

    skeleton(network)
    of_records = vmap(grad(loss), in_dims=(None, 0, 0))
    found: torch.Tensor = vmap(of_records)(weights, batch.features, batch.labels)
    return found


def model_bytes(network: Network, n_features: int, batch: int, *, private: bool) -> int:
    """About how many bytes one model takes in a step: weights, gradients and activations."""
    values = 4 * network.n_params + 3 * batch * (n_features + _activations(network, n_features))
    return 4 * (values + batch * network.n_params * private)


@lru_cache(maxsize=64)
def _activations(network: Network, n_features: int) -> int:
    """Number of values that the layers of a network give for one record."""
    module = on_no_device(network)
    sizes: list[int] = []

    def note(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        sizes.append(output.numel())

    for layer in module.modules():
        layer.register_forward_hook(note)
    module(torch.empty(1, n_features, device="meta"))
    return sum(sizes)


def _batch(schedule: Schedule, labels: torch.Tensor, step: int, n: int) -> Batch:
    rows = schedule.rows[step]
    share = schedule.share[step, :n, :, 0]
    n_sites = rows.numel() // share.shape[1]
    place = rows.view(n_sites, -1)
    place = place[:n] if schedule.site is None else place.index_select(0, schedule.site[:n])
    return Batch(schedule.pool[place][..., :-1], labels[place], share)


class _Change(Protocol):
    """An optimizer's step on ``weights`` (n, n_params), in place; ``step`` counts from 0."""

    def __call__(self, weights: torch.Tensor, batch: Batch, step: int) -> None: ...


def _change(
    network: Network, schedule: Schedule, optimizer: Optimizer, received: torch.Tensor
) -> _Change:
    noises = [job.noise for job in schedule.jobs if job.noise is not None]
    if noises:
        return _Private(network, optimizer.lr, noises, dp.generators(noises))
    moments = (torch.zeros_like(received), torch.zeros_like(received))
    return _Plain(network, optimizer, received, moments)


@dataclass(frozen=True)
class _Plain:
    network: Network
    optimizer: Optimizer
    received: torch.Tensor
    moments: Moments

    def __call__(self, weights: torch.Tensor, batch: Batch, step: int) -> None:
        n = len(weights)
        gradient = gradients(self.network, weights, batch)
        if self.optimizer.proximal:
            gradient.add_(weights - self.received[:n], alpha=self.optimizer.proximal)
        if self.optimizer.name == "sgd":
            weights.sub_(gradient, alpha=self.optimizer.lr)
        else:
            mean, square = self.moments
            adam(weights, gradient, (mean[:n], square[:n]), step, self.optimizer.lr)


@dataclass(frozen=True)
class _Private:
    network: Network
    lr: float
    noises: Sequence[dp.Noise]
    generators: Sequence[np.random.Generator]

    def __call__(self, weights: torch.Tensor, batch: Batch, step: int) -> None:
        noises = self.noises[: len(weights)]
        each = record_gradients(self.network, weights, batch)
        factor = dp.factors(each.square().sum(2), noises) * batch.share
        noise = dp.draw(self.network.layout, noises, self.generators).to(weights.device)
        noisy = torch.bmm(factor[:, None], each)[:, 0].add_(noise)
        weights.addcmul_(noisy, dp.rates(noises, self.lr, weights)[:, None])
