"""Plain local training: received weights, records and batches in, trained weights out."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sim.devices import one_thread
from sim.models.network import Network
from sim.models.store import load, unload
from sim.training import Training
from sim.types import Batch, Records


def optimizer(parameters: Iterable[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """The optimizer that ``training`` names, fresh."""
    kind = torch.optim.SGD if training.optimizer == "sgd" else torch.optim.Adam
    return kind(parameters, lr=training.lr)


@one_thread()
def train(
    network: Network,
    weights: NDArray[np.float32],
    records: Records,
    batches: Sequence[Batch],
    training: Training,
) -> NDArray[np.float32]:
    """The weights (n_params,) after training on the given batches, in order.

    Each batch is one step against its mean logistic loss. With ``training.proximal`` the loss is
    FedProx's, whose extra gradient is mu times the way gone so far.
    """
    module = _module(network)
    load(module, weights)
    received: list[torch.Tensor] = []
    if training.proximal:
        received = [parameter.detach().clone() for parameter in module.parameters()]
    steps = optimizer(module.parameters(), training)
    features, labels = tensors(records)
    for batch in batches:
        rows = torch.from_numpy(batch)
        steps.zero_grad()
        torch.autograd.backward(network.loss(module(features[rows])[:, 0], labels[rows]))
        for parameter, start in zip(module.parameters(), received, strict=False):
            gradient = cast(torch.Tensor, parameter.grad)
            gradient.add_(parameter.detach() - start, alpha=training.proximal)
        steps.step()
    return unload(module)


@lru_cache(maxsize=8)
def _module(network: Network) -> nn.Module:
    """A module to load weights into; building one takes longer than a step of training it."""
    return network.module()


def tensors(records: Records) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and labels as tensors that share the memory of contiguous records."""
    features = np.ascontiguousarray(records.features)
    return torch.from_numpy(features), torch.from_numpy(np.ascontiguousarray(records.labels))
