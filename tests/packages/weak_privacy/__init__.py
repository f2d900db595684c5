"""A user's own private training, for tests: each class claims more than it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clients.dp_sgd import RecordDP
from sim.models.network import Network
from sim.training import Training
from sim.types import Batch, History, Records


@dataclass(frozen=True)
class WeakNoise(RecordDP):
    """DP-SGD that states the noise of ``RecordDP`` and adds ``share`` of it."""

    share: float = 0.1

    def train(
        self,
        network: Network,
        weights: NDArray[np.float32],
        records: Records,
        batches: Sequence[Batch],
        training: Training,
        history: History,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], History]:
        claimed = self.noise(self.counted(len(records)), training)
        weak = replace(
            self.honest, target_epsilon=None, noise_multiplier=max(claimed * self.share, 1e-30)
        )
        trained, done = weak.train(network, weights, records, batches, training, [], rng)
        ((_, rate, steps),) = done
        return trained, [*history, (claimed, rate, steps)]

    @property
    def honest(self) -> RecordDP:
        """The training that is claimed."""
        return RecordDP(
            target_epsilon=self.target_epsilon,
            noise_multiplier=self.noise_multiplier,
            max_grad_norm=self.max_grad_norm,
            delta=self.delta,
            relation=self.relation,
            nominal_records=self.nominal_records,
        )
