"""Networks as data, and their parameters as one float32 vector.

A model is a chain of fully connected layers with ReLU between them and one output, the logit of the positive class.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sim.errors import InputError, whole
from sim.types import Layout

# MKL reads this at its first product. Without it, on some processors the last digit of a product depends on where its operands
# lie in memory, and with that on what trains beside a hospital.
os.environ.setdefault("MKL_CBWR", "AUTO")


class Model(Protocol):
    """Widths of the layers for a number of input columns, from input to output."""

    def widths(self, n_features: int) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Logistic:
    """Logistic regression: one linear layer."""

    def widths(self, n_features: int) -> tuple[int, ...]:
        """``(n_features, 1)``."""
        return (n_features, 1)


@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron with ReLU after each hidden layer."""

    hidden: list[int]

    def __post_init__(self) -> None:
        """Refuse an empty list or a width below 1."""
        whole(1, **{"len(hidden)": len(self.hidden)})
        for width in self.hidden:
            whole(1, hidden=width)

    def widths(self, n_features: int) -> tuple[int, ...]:
        """``(n_features, *hidden, 1)``."""
        return (n_features, *self.hidden, 1)


def module(widths: tuple[int, ...]) -> nn.Sequential:
    """The torch network of these layer widths; its weights mean nothing until ``load``."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, device="meta"), nn.ReLU()]  # on no device nothing is drawn to fill it
    return nn.Sequential(*layers[:-1]).to_empty(device="cpu")


def layout(widths: tuple[int, ...]) -> Layout:
    """Names and shapes of the parameters, in the order of the vector: weight (out, in) then bias (out,) of each layer."""
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        shapes += [(f"{2 * index}.weight", (fan_out, fan_in)), (f"{2 * index}.bias", (fan_out,))]
    return tuple(shapes)


def n_params(widths: tuple[int, ...]) -> int:
    """Length of the parameter vector."""
    return sum(int(np.prod(shape)) for _, shape in layout(widths))


@lru_cache(maxsize=3)
def device(name: str) -> torch.device:
    """What ``device=name`` means here; ``auto`` is a CUDA GPU if there is one. Raises ``InputError`` for a missing one."""
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise InputError("device", name, "expected auto or cpu, because torch finds no CUDA GPU here")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def initial(widths: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """A first parameter vector: uniform in ±1/sqrt(fan_in) for weights and biases, torch's own default for linear layers."""
    parts = []
    for fan_in, fan_out in pairwise(widths):
        bound = 1 / np.sqrt(fan_in)
        parts.append(rng.uniform(-bound, bound, size=fan_out * fan_in + fan_out))
    return np.concatenate(parts).astype(np.float32)


def load(network: nn.Module, vector: NDArray[np.float32]) -> None:
    """Copy a parameter vector into a network."""
    with torch.no_grad():
        vector_to_parameters(torch.tensor(vector), network.parameters())


def unload(network: nn.Module) -> NDArray[np.float32]:
    """The parameter vector of a network, as a copy."""
    values: NDArray[np.float32] = parameters_to_vector(network.parameters()).detach().numpy().copy()
    return values


def logits(
    widths: tuple[int, ...], vector: NDArray[np.floating[Any]], features: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Output of the network of these parameters for each row of ``features``, (n,), computed in the precision of both."""
    at, values = 0, features
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        weight = vector[at : at + fan_out * fan_in].reshape(fan_out, fan_in)
        bias = vector[at + fan_out * fan_in : at + fan_out * (fan_in + 1)]
        values = (np.maximum(values, 0, out=values) if index else values) @ weight.T
        values += bias
        at += fan_out * (fan_in + 1)
    return values[:, 0].astype(np.float64)
