"""Many hospitals' local training at once, across hospitals and runs, in batched matrix products.

Claim: the same updates as ``clients.app.fit`` gives one hospital at a time, to float32 rounding: the same batches, the same noise
draws, the same arithmetic in another order. Hospitals may differ in records, steps and noise; padding rows have weight 0 and a
hospital that has made its steps is left out of later ones, so nothing is changed by who trains beside it.

A layer's weights and biases are one matrix (fan_in + 1, fan_out) here and activations carry a column of ones, so that a layer
is one product forward, one backward and one for its update. Everything that a step writes has its place before the first one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise, zip_longest
from threading import get_ident
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from clients.training import seeded
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.types import Records

CHUNK_BYTES = 14_000_000  # weights and activations trained at a time: fewer cost more calls, more leave the caches
WIDTH = 8  # batches are padded to whole multiples of this many rows
REGISTERS = 64  # values that a processor's vector unit takes at once, or a whole multiple of that

PROCESSOR = torch.device("cpu")

Weights = NDArray[np.float32]
Layers = list[torch.Tensor]  # of each layer (n_models, fan_in + 1, fan_out)

relu_backward = torch.ops.aten.threshold_backward


@dataclass(frozen=True)
class Noise:
    """What DP-SGD adds for one hospital: clipping norm, noise multiplier, expected batch size, and the generator of its draws."""

    max_grad_norm: float
    multiplier: float
    expected_batch: float
    rng: np.random.Generator


@dataclass(frozen=True)
class Job:
    """One hospital's training in one round. ``batches``: row numbers, padded with -1, (steps, largest batch)."""

    weights: Weights
    records: Records
    batches: NDArray[np.int64]
    noise: Noise | None = None


@dataclass(frozen=True)
class Optimizer:
    """``sgd`` or ``adam`` with torch's defaults, fresh for each job; ``proximal``: mu of FedProx."""

    name: str
    lr: float
    proximal: float = 0.0


def padded(batches: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Batches of different sizes as one matrix (steps, at least the largest batch), filled up with -1."""
    largest = max(1, *(len(batch) for batch in batches))
    matrix = np.full((len(batches), -(-largest // WIDTH) * WIDTH), -1, dtype=np.int64)
    for row, batch in zip(matrix, batches, strict=True):
        row[: len(batch)] = batch
    return matrix


def updates(network: Network, jobs: Sequence[Job], optimizer: Optimizer, device: torch.device = PROCESSOR) -> list[Weights]:
    """Trained minus received weights of each job, (n_params,) float32, to the last digit whatever the other jobs are.

    All jobs have noise, or none has. Noise is drawn on the processor whatever the ``device``, so that it is the same everywhere.
    """
    assert isinstance(network, FullyConnected)
    widths = network.widths
    shapes = [job.batches.shape for job in jobs]
    order = sorted(range(len(jobs)), key=shapes.__getitem__, reverse=True)
    most = _chunk(widths, max(batch for _, batch in shapes))
    size = -(-len(jobs) // -(-len(jobs) // most))  # chunks are as even as they get
    sorted_, found = [jobs[i] for i in order], np.empty((len(jobs), len(jobs[0].weights)), np.float32)
    for at in range(0, len(jobs), size):
        chosen = sorted_[at : at + size]
        # The longest job is there twice if it is alone at the end: products of one model are added up in another order.
        if len(chosen) == 1 or len(chosen[1].batches) < len(chosen[0].batches):
            chosen = [chosen[0], *chosen]
        _Chunk.of(widths, chosen, device).train(optimizer, found[at : at + size])
    in_order = list(found)
    for i, update in zip(order, found, strict=True):
        in_order[i] = update
    return in_order


@lru_cache(maxsize=64)
def _chunk(widths: tuple[int, ...], batch: int) -> int:
    per_model = 4 * (2 * sum((a + 1) * b for a, b in pairwise(widths)) + 3 * batch * (sum(widths) + len(widths)))
    return max(1, CHUNK_BYTES // per_model)


@dataclass
class _Chunk:
    """Jobs in order of falling number of steps, as tensors.

    ``rows`` (steps, n_sites * batch): where in ``pool`` the records of a step are; ``site`` (n,) says whose records and batches
    a job has, None if each has its own. ``share`` (steps, n, batch, 1): weight of a record in its step, 0 for padding; ``minus``:
    minus label times share.
    ``received`` (n_distinct, n_params): the different received weights; ``which`` (n,) of them a job has.
    """

    jobs: Sequence[Job]
    widths: tuple[int, ...]
    pool: torch.Tensor
    rows: torch.Tensor
    site: torch.Tensor | None
    share: torch.Tensor
    minus: torch.Tensor
    received: NDArray[np.float32]
    which: NDArray[np.int64]

    @classmethod
    def of(cls, widths: tuple[int, ...], jobs: Sequence[Job], device: torch.device) -> _Chunk:
        site, firsts = _distinct([(job.records, id(job.batches)) for job in jobs])
        pool, labels, rows, live = _drawn([jobs[i] for i in firsts])
        weights = live if jobs[0].noise else live / np.maximum(np.add.reduce(live, 2, keepdims=True), 1)
        shares = torch.from_numpy(np.array([weights, -labels * weights])[..., None]).to(device)
        sites = torch.from_numpy(np.array(site)).to(device) if len(firsts) < len(jobs) else None
        share, minus = (shares if sites is None else shares.index_select(2, sites)).unbind()
        which, owners = _distinct([id(job.weights) for job in jobs])
        received = np.array([jobs[i].weights for i in owners])
        points = (torch.from_numpy(pool).to(device), torch.from_numpy(rows.reshape(len(rows), -1)).to(device), sites)
        return cls(jobs, widths, *points, share, minus, received, np.array(which))

    def train(self, optimizer: Optimizer, out: NDArray[np.float32]) -> None:
        """Run every job's steps; the updates of the last ``len(out)`` jobs go to ``out`` (n, n_params)."""
        steps = [len(job.batches) for job in self.jobs]
        work = _space(self.widths, len(steps), self.share.shape[2], self.pool.device, get_ident())
        matrices = self._layers([layer.matrix for layer in work.layers])
        change = self._change(optimizer, matrices)
        parts = zip(self.rows.unbind(), self.share.unbind(), self.minus.unbind(), strict=True)
        for step, (rows, share, minus) in enumerate(parts):
            if steps[work.n - 1] <= step:
                work = work.first(sum(n_steps > step for n_steps in steps))
            if work.n < len(steps):
                share, minus = share[: work.n], minus[: work.n]
            self._feed(rows, work)
            work.derive(share, minus)
            change(work.layers, step)
        _join([matrix[len(matrix) - len(out) :] for matrix in matrices], out)
        out -= self.received[self.which[len(matrices[0]) - len(out) :]] if len(self.received) > 1 else self.received

    def _layers(self, out: Layers) -> Layers:
        """``out`` with the received weights of every job in it."""
        layers = _split(self.widths, torch.from_numpy(self.received).to(self.pool.device))
        if len(self.received) == 1:
            return [matrix.copy_(layer) for layer, matrix in zip(layers, out, strict=True)]
        which = torch.from_numpy(self.which).to(self.pool.device)
        return [torch.index_select(layer, 0, which, out=matrix) for layer, matrix in zip(layers, out, strict=True)]

    def _change(self, optimizer: Optimizer, matrices: Layers) -> _Change:
        noises = [job.noise for job in self.jobs if job.noise is not None]
        if noises:
            generators = [seeded(noise.rng) for noise in noises[::-1]]  # a job that is there twice draws for its last place
            return _Private(optimizer, noises, generators[::-1])
        received = self._layers([torch.empty_like(matrix) for matrix in matrices]) if optimizer.proximal else []
        if optimizer.name == "sgd":
            return _Sgd(optimizer, received)
        return _Adam(optimizer, received, [(torch.zeros_like(matrix), torch.zeros_like(matrix)) for matrix in matrices])

    def _feed(self, rows: torch.Tensor, work: _Work) -> None:
        """Put a step's records into the input of the first layer."""
        if self.site is None:
            torch.index_select(self.pool, 0, rows if work.n == len(self.jobs) else rows[: len(work.inputs)], out=work.inputs)
        else:  # many jobs share few batches
            drawn = self.pool.index_select(0, rows).view(-1, work.inputs.numel() // work.n)
            torch.index_select(drawn, 0, self.site[: work.n], out=work.inputs.view(work.n, -1))


@dataclass(frozen=True)
class _Layer:
    """One layer of the models that still train, as the three products of a step see it; views of the same few tensors.

    ``act`` (n, batch, fan_in + 1): its input and a column of ones; ``hidden``: without that column. ``matrix`` (n, fan_in + 1,
    fan_out): weights, then biases; ``back`` (n, fan_out, fan_in): the weights turned. ``out`` (n, batch, fan_out): its output,
    then the derivative of the loss by that. ``left`` times ``right`` is the gradient, in the shape of ``target``.
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
        hidden, n = act[:, :, :-1], len(matrix)
        if matrix.shape[2] == 1:  # the same numbers in memory as one row, whose products are much faster
            row = matrix.view(n, 1, -1)
            return cls(act, hidden, matrix, row[:, :, :-1], out, out.view(n, 1, -1), act, row)
        return cls(act, hidden, matrix, matrix[:, :-1].transpose(1, 2), out, act.transpose(1, 2), out, matrix)

    def first(self, n: int) -> _Layer:
        """The layer of the first ``n`` models."""
        return _Layer.of(self.act[:n], self.matrix[:n], self.out[:n])


@dataclass(frozen=True)
class _Work:
    """The layers of the ``n`` models that still train.

    ``inputs`` (n * batch, n_features + 1): what the first layer sees. ``outputs``: memory of the last ``out``, whole registers.
    """

    layers: list[_Layer]
    inputs: torch.Tensor
    outputs: torch.Tensor
    n: int

    @classmethod
    def of(cls, widths: tuple[int, ...], n: int, batch: int, device: torch.device) -> _Work:
        matrices = [torch.empty(n, fan_in + 1, fan_out, device=device) for fan_in, fan_out in pairwise(widths)]
        outputs = torch.empty(_whole(n * batch), device=device)
        outs = [torch.empty(n, batch, width, device=device) for width in widths[1:-1]]
        outs.append(outputs[: n * batch].view(n, batch, 1))
        acts = [torch.ones(n, batch, width + 1, device=device) for width in widths[:-1]]
        layers = [_Layer.of(*parts) for parts in zip(acts, matrices, outs, strict=True)]
        return cls(layers, acts[0].view(n * batch, -1), outputs, n)

    def first(self, n: int) -> _Work:
        """The first ``n`` models."""
        batch = self.layers[0].act.shape[1]
        return _Work([layer.first(n) for layer in self.layers], self.inputs[: n * batch], self.outputs[: _whole(n * batch)], n)

    def derive(self, share: torch.Tensor, minus: torch.Tensor) -> None:
        """From the input of the first layer to ``out`` of each layer as derivative of the loss by that layer's output."""
        for layer, above in pairwise(self.layers):
            torch.bmm(layer.act, layer.matrix, out=layer.out)
            torch.clamp_min(layer.out, 0, out=above.hidden)
        last = self.layers[-1]
        torch.bmm(last.act, last.matrix, out=last.out)
        self.outputs.sigmoid_()  # in whole registers, because what is left over would be computed in another way
        torch.addcmul(minus, last.out, share, out=last.out)
        for layer, below in pairwise(self.layers[::-1]):
            torch.bmm(layer.out, layer.back, out=below.out)
            relu_backward.grad_input(below.out, layer.hidden, 0, grad_input=below.out)


@lru_cache(maxsize=2)
def _space(widths: tuple[int, ...], n: int, batch: int, device: torch.device, _thread: int) -> _Work:
    """Working memory for ``n`` models, which the next training of this thread that needs as much writes over."""
    return _Work.of(widths, n, batch, device)


def _whole(n: int) -> int:
    return -(-n // REGISTERS) * REGISTERS


class _Change(Protocol):
    """An optimizer's step: changes ``target`` of each layer, given ``derive``'s result; ``step`` counts from 0."""

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
    moments: list[tuple[torch.Tensor, torch.Tensor]]

    def __call__(self, layers: list[_Layer], step: int) -> None:
        lr, n = self.optimizer.lr, len(layers[0].matrix)
        for layer, received, (mean, square) in zip_longest(layers, self.received, self.moments):
            gradient, mean_now, square_now = torch.bmm(layer.left, layer.right).view_as(layer.matrix), mean[:n], square[:n]
            if received is not None:
                gradient.add_(layer.matrix - received[:n], alpha=self.optimizer.proximal)
            mean_now.lerp_(gradient, 0.1)
            square_now.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            scale = (square_now.sqrt() / (1 - 0.999 ** (step + 1)) ** 0.5).add_(1e-8)
            layer.matrix.addcdiv_(mean_now, scale, value=-lr / (1 - 0.9 ** (step + 1)))


@dataclass(frozen=True)
class _Private:
    """DP-SGD. A record's gradient norm in a layer is the product of two norms: its input's and its derivative's."""

    optimizer: Optimizer
    noises: Sequence[Noise]
    generators: Sequence[torch.Generator]

    def __call__(self, layers: list[_Layer], step: int) -> None:
        like, noises = layers[0].matrix, self.noises[: len(layers[0].matrix)]
        squares = torch.stack([layer.act.square().sum(2) * layer.out.square().sum(2) for layer in layers]).sum(0)
        bound = like.new_tensor([noise.max_grad_norm for noise in noises])[:, None]
        factor = (bound / (squares.sqrt() + 1e-6)).clamp_(max=1.0)[:, :, None]
        rate = like.new_tensor([-self.optimizer.lr / noise.expected_batch for noise in noises])[:, None, None]
        for layer, drawn in zip(layers, _draw([layer.matrix.shape for layer in layers], noises, self.generators), strict=True):
            layer.out.mul_(factor)
            noisy = drawn.to(like.device).view_as(layer.target).baddbmm_(layer.left, layer.right)
            layer.target.addcmul_(noisy, rate)


def _draw(shapes: Sequence[torch.Size], noises: Sequence[Noise], generators: Sequence[torch.Generator]) -> Layers:
    """Noise for every parameter, drawn hospital by hospital in the order in which Opacus draws it."""
    drawn = [torch.empty(len(noises), *shape[1:]) for shape in shapes]
    for i, (noise, generator) in enumerate(zip(noises, generators, strict=False)):
        std = noise.multiplier * noise.max_grad_norm
        for layer in drawn:
            fan_in, fan_out = layer.shape[1] - 1, layer.shape[2]
            layer[i, :-1] = torch.normal(0.0, std, (fan_out, fan_in), generator=generator).T
            layer[i, -1] = torch.normal(0.0, std, (fan_out,), generator=generator)
    return drawn


def _distinct(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """For each key the number of its kind, kinds numbered as they come; and for each kind where it comes first."""
    kinds = dict[Hashable, int]()
    numbers = [kinds.setdefault(key, len(kinds)) for key in keys]
    first = dict(zip(reversed(numbers), range(len(keys) - 1, -1, -1), strict=True))
    return numbers, [first[kind] for kind in range(len(kinds))]


def _drawn(jobs: Sequence[Job]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """All different records once, with a column of ones; and of each step, job and place of its batch (steps, n, batch): the
    label, where the record is, and 1 for a record or 0 for padding."""
    kinds, firsts = _distinct([job.records for job in jobs])
    pool, labels, starts = _pooled(tuple(jobs[i].records for i in firsts))
    shapes = [job.batches.shape for job in jobs]
    rows = np.full((max(shapes)[0], len(jobs), max(batch for _, batch in shapes)), -1, dtype=np.int64)
    for i, (job, (steps, batch)) in enumerate(zip(jobs, shapes, strict=True)):
        rows[:steps, i, :batch] = job.batches
    live = rows >= 0
    rows += starts[kinds][:, None]
    rows *= live
    return pool, labels[rows], rows, live.astype(np.float32)


@lru_cache(maxsize=8)
def _pooled(sites: tuple[Records, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """The records of all ``sites``: features with a column of ones, labels; and where each site's start."""
    labels = np.concatenate([site.labels for site in sites])
    pool = np.ones((len(labels), sites[0].features.shape[1] + 1), dtype=np.float32)
    np.concatenate([site.features for site in sites], out=pool[:, :-1])
    return pool, labels, np.array(list(accumulate((len(site) for site in sites), initial=0)))


def _split(widths: tuple[int, ...], flat: torch.Tensor) -> Layers:
    """(n, n_params) in torch's order, as one matrix a layer."""
    layers, at, n = Layers(), 0, len(flat)
    for fan_in, fan_out in pairwise(widths):
        start, end, at = at, at + fan_out * fan_in, at + fan_out * (fan_in + 1)
        if fan_out == 1:
            layers.append(flat[:, start:at].unsqueeze(2))
        else:
            weights, biases = flat[:, start:end].view(n, fan_out, fan_in).transpose(1, 2), flat[:, end:at]
            layers.append(torch.cat([weights, biases.unsqueeze(1)], 1))
    return layers


def _join(layers: Layers, flat: NDArray[np.float32]) -> None:
    """Into ``flat`` (n, n_params) the inverse of ``_split``."""
    at = 0
    for layer in layers:
        matrices, (n, rows, fan_out) = layer.cpu().numpy(), layer.shape
        start, end, at = at, at + (rows - 1) * fan_out, at + rows * fan_out
        if fan_out == 1:
            flat[:, start:at] = matrices[:, :, 0]
        else:
            flat[:, start:end].reshape(n, fan_out, rows - 1, copy=False)[...] = matrices[:, :-1].transpose(0, 2, 1)
            flat[:, end:at] = matrices[:, -1]
