"""A network as a value: layout of its parameters, first values, logits of records, and loss."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, lru_cache
from threading import get_ident
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.types import Layout, Vector

if TYPE_CHECKING:
    import torch
    from torch import nn

# MKL reads this at its first product. Without it, on some processors the last digit of a product
# depends on where its operands lie in memory, and with that on what trains beside a hospital.
os.environ.setdefault("MKL_CBWR", "AUTO")

RECORDS = 4096  # records that are scored at a time

Parameters: TypeAlias = "Mapping[str, torch.Tensor]"


class Network(ABC):
    """A network on records of one form, with one logit a record.

    A network is a frozen dataclass: networks of equal fields are equal, and no network holds any
    weights. ``build`` states the architecture; all else follows from it. Networks whose modules
    keep buffers or draw at random (batch normalization, dropout) are refused before round 1.
    """

    @abstractmethod
    def build(self) -> nn.Module:
        """The torch module: features (n, n_features) -> logits (n, 1)."""

    @property
    def layout(self) -> Layout:
        """Names and shapes of the parameters, in the order of the vector."""
        return _layout(self)

    @cached_property
    def n_params(self) -> int:
        """Length of the parameter vector."""
        return sum(int(np.prod(shape)) for _, shape in self.layout)

    def initialize(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A first parameter vector (n_params,), by torch's default for linear layers.

        Weights and biases are uniform in ±1/sqrt(fan_in), as torch has them for convolutions too.
        Networks with other layers override it.
        """
        parts = []
        bound = 1.0
        for _, shape in self.layout:
            if len(shape) > 1:
                bound = 1 / np.sqrt(np.prod(shape[1:]))
            parts.append(rng.uniform(-bound, bound, size=int(np.prod(shape))))
        return np.concatenate(parts).astype(np.float32)

    def apply(self, parameters: Parameters, features: torch.Tensor) -> torch.Tensor:
        """Logits (n,) of ``features`` (n, n_features) under these parameters, by their names."""
        from torch.func import functional_call

        found: torch.Tensor = functional_call(skeleton(self), dict(parameters), (features,))
        return found.squeeze(1)

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, share: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The mean logistic loss of n records, or its sum weighted by ``share`` (n,).

        In batched training the records are those of many models.
        """
        from torch import nn

        reduction = "mean" if share is None else "sum"
        return nn.functional.binary_cross_entropy_with_logits(
            logits, labels, share, reduction=reduction
        )

    def scores(self, vector: Vector, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits (n,) of ``features`` (n, n_features), computed in the precision of both."""
        import torch

        from sim.models.store import named

        parameters = named(self.layout, torch.tensor(vector))
        with torch.no_grad():
            few = torch.split(torch.tensor(features), RECORDS)
            parts = [self.apply(parameters, part) for part in few]
            found: NDArray[np.float64] = torch.cat(parts).double().numpy()
        return found

    def module(self) -> nn.Module:
        """A fresh torch module on the processor; its weights mean nothing until ``store.load``."""
        import torch

        made = on_no_device(self)
        made.load_state_dict({name: torch.empty(shape) for name, shape in self.layout}, assign=True)
        return made


def on_no_device(network: Network) -> nn.Module:
    """The module without memory for its parameters: nothing is drawn to fill them."""
    import torch

    with torch.device("meta"):
        return network.build()


def skeleton(network: Network) -> nn.Module:
    """The module that ``apply`` calls with parameters in place of its own, one for each thread.

    It is made at the first call, which must not stand inside ``vmap``: torch takes it for a draw.
    """
    return _skeleton(network, get_ident())


@lru_cache(maxsize=128)
def _skeleton(network: Network, _thread: int) -> nn.Module:
    return on_no_device(network)


@lru_cache(maxsize=256)
def _layout(network: Network) -> Layout:
    parameters = on_no_device(network).named_parameters()
    return tuple((name, tuple(parameter.shape)) for name, parameter in parameters)
