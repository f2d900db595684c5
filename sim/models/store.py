"""Parameters as one vector, as named tensors, and as those of a torch module."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sim.types import Layout


def named(layout: Layout, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
    """The parameters by name in ``vectors`` (..., n_params), each a view (..., *shape)."""
    parts = torch.split(vectors, [prod(shape) for _, shape in layout], dim=-1)
    return {
        name: part.view(*part.shape[:-1], *shape)
        for (name, shape), part in zip(layout, parts, strict=True)
    }


def load(module: nn.Module, vector: NDArray[np.float32]) -> None:
    """Copy a parameter vector (n_params,) into a module."""
    with torch.no_grad():
        vector_to_parameters(torch.tensor(vector), module.parameters())


def unload(module: nn.Module) -> NDArray[np.float32]:
    """The parameter vector (n_params,) of a module, as a copy."""
    values: NDArray[np.float32] = parameters_to_vector(module.parameters()).detach().numpy().copy()
    return values
