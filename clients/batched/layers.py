"""Fast batched training of fully connected networks in matrix products, held to ``general``.

A layer's weights and biases are one matrix (fan_in + 1, fan_out) here and activations carry a
column of ones, so that a layer is one product forward, one backward and one for its update.
Everything that a step writes has its place before the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, zip_longest
from threading import get_ident
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from clients.batched import dp
from clients.batched.optimizers import Moments, Optimizer, adam
from clients.batched.schedule import REGISTERS, Schedule, Weights
from sim.models.mlp import FullyConnected

Layers = list[torch.Tensor]  # of each layer (n_models, fan_in + 1, fan_out)

relu_backward = torch.ops.aten.threshold_backward


def train(network: FullyConnected, schedule: Schedule, optimizer: Optimizer, out: Weights) -> None:
    """Run every job's steps, and write the updates of the last ``len(out)`` jobs to ``out``.

    ``out``: (n, n_params).
    """
    widths = network.widths
    steps = [len(job.batches) for job in schedule.jobs]
    batch = schedule.share.shape[2]
    work = _space(widths, len(steps), batch, schedule.pool.device, get_ident())
    matrices = _received(schedule, widths, [layer.matrix for layer in work.layers])
    change = _change(network, schedule, optimizer, matrices)
    parts = zip(
        schedule.rows.unbind(), schedule.share.unbind(), schedule.minus.unbind(), strict=True
    )
    for step, (rows, share, minus) in enumerate(parts):
        if steps[work.n - 1] <= step:
            work = work.first(sum(n_steps > step for n_steps in steps))
        if work.n < len(steps):
            share = share[: work.n]
            minus = minus[: work.n]
        _feed(schedule, rows, work)
        work.derive(share, minus)
        change(work.layers, step)
    _join([matrix[len(matrix) - len(out) :] for matrix in matrices], out)
    schedule.gained(out, out)


@lru_cache(maxsize=64)
@lru_cache(maxsize=64)
def model_bytes(widths: tuple[int, ...], batch: int) -> int:
    """About how many bytes one model takes in a step: weights and activations."""
    values = 2 * sum((a + 1) * b for a, b in pairwise(widths))
    return 4 * (values + 3 * batch * (sum(widths) + len(widths)))


def _received(schedule: Schedule, widths: tuple[int, ...], out: Layers) -> Layers:
    """``out`` with the received weights of every job in it."""
    layers = _split(widths, torch.from_numpy(schedule.received).to(schedule.pool.device))
    if len(schedule.received) == 1:
        return [matrix.copy_(layer) for layer, matrix in zip(layers, out, strict=True)]
    which = torch.from_numpy(schedule.which).to(schedule.pool.device)
    pairs = zip(layers, out, strict=True)
    return [torch.index_select(layer, 0, which, out=matrix) for layer, matrix in pairs]


def _change(
    network: FullyConnected, schedule: Schedule, optimizer: Optimizer, matrices: Layers
) -> _Change:
    noises = [job.noise for job in schedule.jobs if job.noise is not None]
    if noises:
        return _Private(network, optimizer, noises, dp.generators(noises))
    received = Layers()
    if optimizer.proximal:
        received = _received(schedule, network.widths, [torch.empty_like(one) for one in matrices])
    if optimizer.name == "sgd":
        return _Sgd(optimizer, received)
    moments = [(torch.zeros_like(matrix), torch.zeros_like(matrix)) for matrix in matrices]
    return _Adam(optimizer, received, moments)


def _feed(schedule: Schedule, rows: torch.Tensor, work: _Work) -> None:
    """Put a step's records into the input of the first layer."""
    if schedule.site is None:
        chosen = rows if work.n == len(schedule.jobs) else rows[: len(work.inputs)]
        torch.index_select(schedule.pool, 0, chosen, out=work.inputs)
    else:  # many jobs share few batches
        drawn = schedule.pool.index_select(0, rows).view(-1, work.inputs.numel() // work.n)
        torch.index_select(drawn, 0, schedule.site[: work.n], out=work.inputs.view(work.n, -1))


@dataclass(frozen=True)
class _Layer:
    """One layer of the models that still train, as views of the tensors that a step multiplies.

    ``act`` (n, batch, fan_in + 1): its input and a column of ones; ``hidden``: without that column.
    ``matrix`` (n, fan_in + 1, fan_out): weights, then biases; ``back`` (n, fan_out, fan_in): the
    weights turned. ``out`` (n, batch, fan_out): its output, then the derivative of the loss by
    that. ``left`` times ``right`` is the gradient, in the shape of ``target``.
    """

    act: torch.Tensor
    hidden: torch.Tensor
    matrix: torch.Tensor
    back: torch.Tensor
    out: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    target: torch.Tensor

    @classmethod
    def of(cls, act: torch.Tensor, matrix: torch.Tensor, out: torch.Tensor) -> _Layer:
        hidden = act[:, :, :-1]
        n = len(matrix)
        if matrix.shape[2] == 1:  # as one row, the same numbers in memory: much faster products
            row = matrix.view(n, 1, -1)
            return cls(act, hidden, matrix, row[:, :, :-1], out, out.view(n, 1, -1), act, row)
        back = matrix[:, :-1].transpose(1, 2)
        return cls(act, hidden, matrix, back, out, act.transpose(1, 2), out, matrix)

    def first(self, n: int) -> _Layer:
        """The layer of the first ``n`` models."""
        return _Layer.of(self.act[:n], self.matrix[:n], self.out[:n])


@dataclass(frozen=True)
class _Work:
    """The layers of the ``n`` models that still train.

    ``inputs`` (n * batch, n_features + 1): input of the first layer. ``outputs``: memory of the
    last ``out``, whole registers.
    """

    layers: list[_Layer]
    inputs: torch.Tensor
    outputs: torch.Tensor
    n: int

    @classmethod
    def of(cls, widths: tuple[int, ...], n: int, batch: int, device: torch.device) -> _Work:
        matrices = [
            torch.empty(n, fan_in + 1, fan_out, device=device)
            for fan_in, fan_out in pairwise(widths)
        ]
        outputs = torch.empty(_whole(n * batch), device=device)
        outs = [torch.empty(n, batch, width, device=device) for width in widths[1:-1]]
        outs.append(outputs[: n * batch].view(n, batch, 1))
        acts = [torch.ones(n, batch, width + 1, device=device) for width in widths[:-1]]
        layers = [_Layer.of(*parts) for parts in zip(acts, matrices, outs, strict=True)]
        return cls(layers, acts[0].view(n * batch, -1), outputs, n)

    def first(self, n: int) -> _Work:
        """The first ``n`` models."""
        end = n * self.layers[0].act.shape[1]
        layers = [layer.first(n) for layer in self.layers]
        return _Work(layers, self.inputs[:end], self.outputs[: _whole(end)], n)

    def derive(self, share: torch.Tensor, minus: torch.Tensor) -> None:
        """Put into ``out`` of each layer the derivative of the loss by that layer's output.

        The input of the first layer is given.
        """
        for layer, above in pairwise(self.layers):
            torch.bmm(layer.act, layer.matrix, out=layer.out)
            torch.clamp_min(layer.out, 0, out=above.hidden)
        last = self.layers[-1]
        torch.bmm(last.act, last.matrix, out=last.out)
        self.outputs.sigmoid_()  # in whole registers: any rest would be computed in another way
        torch.addcmul(minus, last.out, share, out=last.out)
        for layer, below in pairwise(self.layers[::-1]):
            torch.bmm(layer.out, layer.back, out=below.out)
            relu_backward.grad_input(below.out, layer.hidden, 0, grad_input=below.out)


@lru_cache(maxsize=2)
def _space(
    widths: tuple[int, ...], n: int, batch: int, device: torch.device, _thread: int
) -> _Work:
    """Working memory for ``n`` models; the thread's next training of this size overwrites it."""
    return _Work.of(widths, n, batch, device)


def _whole(n: int) -> int:
    return -(-n // REGISTERS) * REGISTERS


class _Change(Protocol):
    """An optimizer's step: changes ``target`` of each layer, after ``derive``.

    ``step`` counts from 0.
    """

    def __call__(self, layers: list[_Layer], step: int) -> None: ...


@dataclass(frozen=True)
class _Sgd:
    optimizer: Optimizer
    received: Layers

    def __call__(self, layers: list[_Layer], step: int) -> None:
        lr = self.optimizer.lr
        for layer, received in zip_longest(layers, self.received):
            if received is not None:
                layer.matrix.lerp_(received[: len(layer.matrix)], lr * self.optimizer.proximal)
            layer.target.baddbmm_(layer.left, layer.right, alpha=-lr)


@dataclass(frozen=True)
class _Adam:
    optimizer: Optimizer
    received: Layers
    moments: list[Moments]

    def __call__(self, layers: list[_Layer], step: int) -> None:
        lr = self.optimizer.lr
        n = len(layers[0].matrix)
        for layer, received, (mean, square) in zip_longest(layers, self.received, self.moments):
            gradient = torch.bmm(layer.left, layer.right).view_as(layer.matrix)
            if received is not None:
                gradient.add_(layer.matrix - received[:n], alpha=self.optimizer.proximal)
            adam(layer.matrix, gradient, (mean[:n], square[:n]), step, lr)


@dataclass(frozen=True)
class _Private:
    """DP-SGD, where a record's gradient norm in a layer is a product of two norms.

    These are the norms of the layer's input and of the derivative by its output.
    """

    network: FullyConnected
    optimizer: Optimizer
    noises: Sequence[dp.Noise]
    generators: Sequence[np.random.Generator]

    def __call__(self, layers: list[_Layer], step: int) -> None:
        like = layers[0].matrix
        noises = self.noises[: len(like)]
        norms = [layer.act.square().sum(2) * layer.out.square().sum(2) for layer in layers]
        factor = dp.factors(torch.stack(norms).sum(0), noises)[:, :, None]
        rate = dp.rates(noises, self.optimizer.lr, like)[:, None, None]
        noise = dp.draw(self.network.layout, noises, self.generators).to(like.device)
        for layer, drawn in zip(layers, _split(self.network.widths, noise), strict=True):
            layer.out.mul_(factor)
            noisy = drawn.view_as(layer.target).baddbmm_(layer.left, layer.right)
            layer.target.addcmul_(noisy, rate)


def _split(widths: tuple[int, ...], flat: torch.Tensor) -> Layers:
    """(n, n_params) in torch's order, as one matrix a layer."""
    layers = Layers()
    at = 0
    n = len(flat)
    for fan_in, fan_out in pairwise(widths):
        start = at
        end = start + fan_out * fan_in
        at = end + fan_out
        if fan_out == 1:
            layers.append(flat[:, start:at].unsqueeze(2))
        else:
            weights = flat[:, start:end].view(n, fan_out, fan_in).transpose(1, 2)
            biases = flat[:, end:at]
            layers.append(torch.cat([weights, biases.unsqueeze(1)], 1))
    return layers


def _join(layers: Layers, flat: NDArray[np.float32]) -> None:
    """Write to ``flat`` (n, n_params) the inverse of ``_split``."""
    at = 0
    for layer in layers:
        matrices = layer.cpu().numpy()
        n, rows, fan_out = layer.shape
        start = at
        end = start + (rows - 1) * fan_out
        at = end + fan_out
        if fan_out == 1:
            flat[:, start:at] = matrices[:, :, 0]
        else:
            weights = flat[:, start:end].reshape(n, fan_out, rows - 1, copy=False)
            weights[...] = matrices[:, :-1].transpose(0, 2, 1)
            flat[:, end:at] = matrices[:, -1]
