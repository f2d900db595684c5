"""The agreed model and training as any party can repeat them that knows the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.design.plan import FederationPlan
from sim.devices import one_thread
from sim.models.network import skeleton
from sim.models.store import named as by_name
from sim.names import SHADOW_UPDATES, SHADOWS, named
from sim.types import Records, Updates, Vector

MODELS = 8  # whose logits are computed at a time
RECORDS = 64  # whose gradients are computed at a time


@dataclass(frozen=True, eq=False)
class Agreed:
    """The model and training of a plan, as ``AgreedModel`` states them. It knows no records."""

    plan: FederationPlan

    @one_thread()
    def logits(self, weights: Updates, features: NDArray[np.float32]) -> NDArray[np.float64]:
        import torch
        from torch.func import vmap

        network = self.plan.network
        skeleton(network)
        given = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
        parts = list[NDArray[np.float64]]()
        with torch.no_grad():
            for at in range(0, len(weights), MODELS):
                some = torch.from_numpy(np.array(weights[at : at + MODELS], dtype=np.float32))
                found = vmap(network.apply, in_dims=(0, None))(by_name(network.layout, some), given)
                parts.append(found.double().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, len(features)))

    @one_thread()
    def gradients(self, weights: Vector, records: Records) -> Updates:
        import torch
        from torch.func import grad, vmap

        network = self.plan.network
        skeleton(network)

        def loss(vector: torch.Tensor, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            logits = network.apply(by_name(network.layout, vector), features[None])
            return network.loss(logits, label[None])

        vector = torch.from_numpy(np.array(weights, dtype=np.float32))
        of_records = vmap(grad(loss), in_dims=(None, 0, 0))
        found = np.empty((len(records), network.n_params), np.float32)
        for at in range(0, len(records), RECORDS):
            some = records.take(slice(at, at + RECORDS))
            given = (torch.from_numpy(np.array(part)) for part in (some.features, some.labels))
            found[at : at + RECORDS] = of_records(vector, *given).numpy()
        return found

    def trained(
        self,
        records: Records,
        hospitals: Sequence[str],
        used: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Updates:
        made = cast(Callable[..., Updates], named(SHADOWS))
        return made(self.plan, records, hospitals, used, rng)

    def updates(
        self,
        weights: Vector,
        records: Records,
        drawn: Sequence[NDArray[np.int64]],
        rng: np.random.Generator,
    ) -> Updates:
        made = cast(Callable[..., Updates], named(SHADOW_UPDATES))
        return made(self.plan, weights, records, drawn, rng)
