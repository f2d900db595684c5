"""A hospital's training as a function of its records, which can be differentiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.models.mlp import FullyConnected
from sim.models.network import Network, skeleton
from sim.models.one_step import OneStep
from sim.training import Training
from sim.types import Pullback, Updates, Vector

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Unrolled:
    """The training of a round from ``weights`` (n_params,), as ``LocalTraining`` states it.

    ``training``: of plain SGD. ``max_grad_norm``: to which private training clips the gradient of
    each record, None without; noise is left out.
    """

    network: Network
    weights: Vector
    training: Training
    max_grad_norm: float | None = None

    def __call__(
        self, features: NDArray[np.floating], labels: NDArray[np.floating], n_hospitals: int = 1
    ) -> Updates:
        import torch

        parts = (torch.from_numpy(part) for part in (features, labels))
        update = self._mean_update(*parts, n_hospitals=n_hospitals, traced=False)
        return update.numpy()

    def traced(
        self, features: NDArray[np.floating], labels: NDArray[np.floating], n_hospitals: int = 1
    ) -> tuple[Updates, Pullback]:
        import torch

        one_step = self._one_step(labels.shape[1] // n_hospitals)
        if one_step is not None:
            return _averaged(one_step, features, labels, n_hospitals)
        inputs = [torch.tensor(part, requires_grad=True) for part in (features, labels)]
        update = self._mean_update(*inputs, n_hospitals=n_hospitals, traced=True)

        def pull_back(gradient: Updates) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
            found = torch.autograd.grad(update, inputs, torch.from_numpy(gradient))
            of_features, of_labels = (part.numpy() for part in found)
            return of_features, of_labels

        return update.detach().numpy(), pull_back

    def _one_step(self, n_records: int) -> OneStep | None:
        """The closed form of a training on so many records; None where there is none."""
        training = self.training
        is_one = training.steps(n_records) == 1 and n_records <= training.batch_size
        if not is_one or type(self.network) is not FullyConnected or training.max_norm is not None:
            return None
        return OneStep(self.network.widths, self.weights, training.lr, self.max_grad_norm)

    def _mean_update(
        self, features: torch.Tensor, labels: torch.Tensor, *, n_hospitals: int, traced: bool
    ) -> torch.Tensor:
        """The mean update (n_tries, n_params) of the hospitals to which records are shared out."""
        apart = (_shared_out(part, n_hospitals) for part in (features, labels))
        updates = self._update(*apart, traced=traced)
        if self.training.max_norm is not None:
            length = updates.square().sum(1, keepdim=True).sqrt()
            updates = updates * (self.training.max_norm / length).clamp(max=1.0)
        return updates.view(-1, n_hospitals, self.network.n_params).mean(1)

    def _update(
        self, features: torch.Tensor, labels: torch.Tensor, *, traced: bool
    ) -> torch.Tensor:
        """The updates (n, n_params) of n hospitals with a row of records each."""
        import torch

        n, n_records = labels.shape
        received = torch.tensor(self.weights, dtype=features.dtype).expand(n, -1)
        weights = received.clone().requires_grad_()
        size = self.training.batch_size
        at = 0
        for _ in range(self.training.steps(n_records)):
            batch = slice(at, at + size)
            if not traced:
                weights = weights.detach().requires_grad_()
            gradient = self._gradient(weights, features[:, batch], labels[:, batch], traced=traced)
            pull = self.training.proximal * (weights - received)
            weights = weights - self.training.lr * (gradient + pull)
            at = at + size if at + size < n_records else 0
        return weights - received if traced else weights.detach() - received

    def _gradient(
        self,
        weights: torch.Tensor,
        features: torch.Tensor,
        labels: torch.Tensor,
        *,
        traced: bool,
    ) -> torch.Tensor:
        """Gradient of each model's mean loss, (n, n_params), of clipped losses if private."""
        import torch
        from torch.func import vmap

        from sim.models.store import named

        n, n_records = labels.shape
        skeleton(self.network)
        each = weights
        if self.max_grad_norm is not None:  # a model for each record
            each = weights.repeat_interleave(n_records, dim=0)
            features = features.flatten(0, 1)[:, None]
            labels = labels.flatten()[:, None]
        logits = vmap(self.network.apply)(named(self.network.layout, each), features)
        share = torch.full_like(logits, 1 / logits.shape[1]).flatten()
        loss = self.network.loss(logits.flatten(), labels.flatten(), share)
        (found,) = torch.autograd.grad(loss, each, create_graph=traced)
        if self.max_grad_norm is None:
            return found
        norm = found.square().sum(1, keepdim=True).sqrt() + 1e-6
        clipped = found * (self.max_grad_norm / norm).clamp(max=1.0)
        return clipped.view(n, n_records, -1).mean(1)


def _averaged(
    one_step: OneStep,
    features: NDArray[np.floating],
    labels: NDArray[np.floating],
    n_hospitals: int,
) -> tuple[Updates, Pullback]:
    """The mean updates of hospitals that take one step each, and the derivatives."""
    n_tries, n = labels.shape
    apart = (n_tries * n_hospitals, n // n_hospitals)
    updates, of_each = one_step.traced(features.reshape(*apart, -1), labels.reshape(apart))

    def pull_back(gradient: Updates) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        of_features, of_labels = of_each(np.repeat(gradient / n_hospitals, n_hospitals, axis=0))
        return of_features.reshape(features.shape), of_labels.reshape(labels.shape)

    return updates.reshape(n_tries, n_hospitals, -1).mean(axis=1), pull_back


def _shared_out(records: torch.Tensor, n_hospitals: int) -> torch.Tensor:
    """Records (n_tries, n, ...) of each try in turn, shared out: (n_tries * n_hospitals, ...)."""
    n_tries, n, *form = records.shape
    return records.reshape(n_tries * n_hospitals, n // n_hospitals, *form)
