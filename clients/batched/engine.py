"""The updates of many jobs, in chunks that fit the caches, by the path that suits the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from clients.batched import general, layers
from clients.batched.optimizers import Optimizer
from clients.batched.schedule import PROCESSOR, Job, Schedule, Weights
from sim.devices import one_thread
from sim.models.mlp import FullyConnected
from sim.models.network import Network

CHUNK_BYTES = 14_000_000  # trained at a time: fewer cost more calls, more leave the caches


@one_thread()
def updates(
    network: Network, jobs: Sequence[Job], optimizer: Optimizer, device: torch.device = PROCESSOR
) -> list[Weights]:
    """Trained minus received weights of each job, (n_params,) float32.

    An update is the same whatever the other jobs are: to the last digit, and with activations other
    than ReLU to float32 rounding. All jobs have noise, or none has. Noise is drawn on the processor
    whatever the ``device``, so that it is the same everywhere.
    """
    shapes = [job.batches.shape for job in jobs]
    order = sorted(range(len(jobs)), key=shapes.__getitem__, reverse=True)
    n_features = jobs[0].records.features.shape[1]
    private = jobs[0].noise is not None
    most = chunk(network, n_features, max(batch for _, batch in shapes), private=private)
    size = -(-len(jobs) // -(-len(jobs) // most))  # chunks are as even as they get
    in_steps = [jobs[i] for i in order]
    found = np.empty((len(jobs), len(jobs[0].weights)), np.float32)
    for at in range(0, len(jobs), size):
        chosen = in_steps[at : at + size]
        # The longest job is there twice if it is alone at the end: products of one model are
        # added up in another order.
        if len(chosen) == 1 or len(chosen[1].batches) < len(chosen[0].batches):
            chosen = [chosen[0], *chosen]
        _train(network, Schedule.of(chosen, device), optimizer, found[at : at + size])
    in_order = list(found)
    for i, update in zip(order, found, strict=True):
        in_order[i] = update
    return in_order


def chunk(network: Network, n_features: int, batch: int, *, private: bool) -> int:
    """Number of models of this network that train at a time on batches of so many records."""
    if type(network) is FullyConnected:
        each = layers.model_bytes(network.widths, batch)
    else:
        each = general.model_bytes(network, n_features, batch, private=private)
    return max(1, CHUNK_BYTES // each)


def _train(network: Network, schedule: Schedule, optimizer: Optimizer, out: Weights) -> None:
    if type(network) is FullyConnected:  # a class derived from it may have another loss
        layers.train(network, schedule, optimizer, out)
    else:
        general.train(network, schedule, optimizer, out)
