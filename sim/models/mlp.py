"""Chains of fully connected layers: logistic regression and the multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim import limits
from sim.errors import InputError, whole
from sim.models.network import Network
from sim.types import Layout, Schema, Vector

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FullyConnected(Network):
    """Fully connected layers with ReLU between them, of ``widths`` from input to output."""

    widths: tuple[int, ...]

    @property
    def layout(self) -> Layout:
        """The layout as of every network, but without torch, which takes a second to load."""
        return _layout(self.widths)

    def works_on(self, n_features: int) -> bool:
        """Whether these are layers from ``n_features`` features to one logit."""
        whole = all(type(width) is int and width >= 1 for width in self.widths)
        ends = self.widths[:1], self.widths[1:][-1:]
        return whole and ends == ((n_features,), (1,))

    def build(self) -> nn.Sequential:
        from torch import nn

        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(self.widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def scores(self, vector: Vector, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits as of every network, in numpy: a fraction of what a call of torch costs."""
        at = 0
        values = features
        for index, (fan_in, fan_out) in enumerate(pairwise(self.widths)):
            weight = vector[at : at + fan_out * fan_in].reshape(fan_out, fan_in)
            bias = vector[at + fan_out * fan_in : at + fan_out * (fan_in + 1)]
            values = (np.maximum(values, 0, out=values) if index else values) @ weight.T
            values += bias
            at += fan_out * (fan_in + 1)
        return values[:, 0].astype(np.float64)


@lru_cache(maxsize=256)
def _layout(widths: tuple[int, ...]) -> Layout:
    return tuple(
        (f"{2 * index}.{name}", shape)
        for index, (fan_in, fan_out) in enumerate(pairwise(widths))
        for name, shape in (("weight", (fan_out, fan_in)), ("bias", (fan_out,)))
    )


@dataclass(frozen=True)
class Logistic:
    """Logistic regression: one linear layer."""

    def __call__(self, schema: Schema) -> FullyConnected:
        """The network on records of this schema."""
        return FullyConnected((schema.n_features, 1))


@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron with ReLU after each hidden layer."""

    hidden: list[int]

    def __post_init__(self) -> None:
        """Refuse an empty list, a width below 1, and more layers than a model may have."""
        whole(1, **{"len(hidden)": len(self.hidden)})
        if len(self.hidden) >= limits.LAYERS:
            expected = f"expected at most {limits.LAYERS - 1}"
            raise InputError("hidden", f"{len(self.hidden):,} layers", expected)
        for width in self.hidden:
            whole(1, hidden=width)

    def __call__(self, schema: Schema) -> FullyConnected:
        """The network on records of this schema."""
        return FullyConnected((schema.n_features, *self.hidden, 1))
