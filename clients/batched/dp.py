"""DP-SGD's clipping and noise for gradients of single records, on many hospitals at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from sim.types import Layout


@dataclass(frozen=True)
class Noise:
    """The noise that DP-SGD adds for one hospital, and the clipping that it goes with.

    ``stream``: gives the generator that the noise is drawn from, each time from its start.
    """

    max_grad_norm: float
    multiplier: float
    expected_batch: float
    stream: Callable[[], np.random.Generator]


def generators(noises: Sequence[Noise]) -> list[np.random.Generator]:
    """A generator for each hospital."""
    return [noise.stream() for noise in noises]


def factors(squares: torch.Tensor, noises: Sequence[Noise]) -> torch.Tensor:
    """Factors that clip records' gradients, from the squares of their norms; both (n, batch)."""
    bound = squares.new_tensor([noise.max_grad_norm for noise in noises])[:, None]
    return (bound / (squares.sqrt() + 1e-6)).clamp_(max=1.0)


def rates(noises: Sequence[Noise], lr: float, like: torch.Tensor) -> torch.Tensor:
    """Factors (n,) for sums of clipped gradients and noise, which are then added to weights."""
    return like.new_tensor([-lr / noise.expected_batch for noise in noises])


def draw(
    layout: Layout, noises: Sequence[Noise], drawn_by: Sequence[np.random.Generator]
) -> torch.Tensor:
    """Noise for every parameter (n, n_params), on the processor, in the order of the layout."""
    n_params = sum(prod(shape) for _, shape in layout)
    drawn = np.empty((len(noises), n_params), np.float32)
    for row, noise, generator in zip(drawn, noises, drawn_by, strict=False):
        generator.standard_normal(out=row, dtype=np.float32)
        row *= noise.multiplier * noise.max_grad_norm
    return torch.from_numpy(drawn)
