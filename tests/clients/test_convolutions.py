"""Gradients of convolutional networks are those of automatic differentiation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from clients.batched.general import Batch, gradients
from sim.models.cnn import Convolutional
from sim.seeds import stream


@dataclass(frozen=True)
class Other(Convolutional):
    """The same network under another name, which is differentiated automatically."""


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize(
    ("channels", "strides", "kernel", "pool"),
    [
        ((8, 16), (1, 2), 3, 1),
        ((3,), (1,), 5, 1),
        ((4, 5, 6), (1, 1, 2), 3, 1),
        ((4, 5), (1, 1), 3, 2),
    ],
)
def test_gradients_are_those_of_automatic_differentiation(
    channels: tuple[int, ...], strides: tuple[int, ...], kernel: int, pool: int, activation: str
) -> None:
    form = ((3, 9, 8), channels, strides, kernel, activation, pool)
    rng = stream(0, "convolutions")
    n = 5
    weights = torch.tensor(np.stack([Convolutional(*form).initialize(rng) for _ in range(n)]))
    features = torch.from_numpy(rng.random((n, 7, 216), dtype=np.float32))
    labels, share = torch.from_numpy(rng.random((2, n, 7), dtype=np.float32))
    batch = Batch(features, labels.round(), share)
    found = gradients(Convolutional(*form), weights, batch)
    expected = gradients(Other(*form), weights, batch)
    assert found.shape == expected.shape == weights.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert expected.abs().max() > 1e-3
