"""A final model in the hands of somebody who has its weights, or can ask it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.models.network import Network
from sim.types import Vector


@dataclass(frozen=True, eq=False)
class ReleasedModel:
    """A network with its final weights (n_params,), by the form ``sim.types.Released``."""

    network: Network
    weights: Vector

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """The logits (n,) of ``features`` (n, n_features)."""
        return self.network.scores(self.weights, features.astype(np.float32))

    def gradients(
        self, features: NDArray[np.floating], labels: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """The gradient of each record's loss with respect to its own columns, (n, n_features)."""
        import torch

        from sim.models.store import named

        parameters = named(self.network.layout, torch.tensor(self.weights))
        asked = torch.tensor(features.astype(np.float32), requires_grad=True)
        truth = torch.tensor(labels.astype(np.float32))
        loss = self.network.loss(
            self.network.apply(parameters, asked), truth, torch.ones(len(truth))
        )
        (found,) = torch.autograd.grad(loss, asked)
        return np.asarray(found.double().numpy())

    def taught(
        self,
        features: NDArray[np.floating],
        shares: NDArray[np.floating],
        epochs: int,
        rng: np.random.Generator,
    ) -> ReleasedModel:
        """A new model of the same network, trained on ``shares`` (n,) from 0 to 1 as its labels.

        It starts from weights of its own and trains by Adam, in batches of 32.
        """
        import torch

        from sim.devices import one_thread
        from sim.models.store import load, unload

        module = self.network.module()
        load(module, self.network.initialize(rng))
        given = torch.tensor(features.astype(np.float32))
        truth = torch.tensor(shares.astype(np.float32))
        steps = torch.optim.Adam(module.parameters(), lr=3e-3)
        with one_thread():
            for _ in range(epochs):
                for rows in torch.split(torch.from_numpy(rng.permutation(len(truth))), 32):
                    steps.zero_grad()
                    loss = self.network.loss(module(given[rows])[:, 0], truth[rows])
                    torch.autograd.backward(loss)
                    steps.step()
        return ReleasedModel(self.network, unload(module))
