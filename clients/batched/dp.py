"""DP-SGD's clipping and noise for gradients of single records, on many hospitals at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from clients.training import seeded
from sim.types import Layout


@dataclass(frozen=True)
class Noise:
    """The noise that DP-SGD adds for one hospital, and the clipping that it goes with."""

    max_grad_norm: float
    multiplier: float
    expected_batch: float
    rng: np.random.Generator


def generators(noises: Sequence[Noise]) -> list[torch.Generator]:
    """A generator for each hospital; of one that is there twice, the last has the first draws."""
    return [seeded(noise.rng) for noise in noises[::-1]][::-1]


def factors(squares: torch.Tensor, noises: Sequence[Noise]) -> torch.Tensor:
    """Factors that clip records' gradients, from the squares of their norms; both (n, batch)."""
    bound = squares.new_tensor([noise.max_grad_norm for noise in noises])[:, None]
    return (bound / (squares.sqrt() + 1e-6)).clamp_(max=1.0)


def rates(noises: Sequence[Noise], lr: float, like: torch.Tensor) -> torch.Tensor:
    """Factors (n,) for sums of clipped gradients and noise, which are then added to weights."""
    return like.new_tensor([-lr / noise.expected_batch for noise in noises])


def draw(
    layout: Layout, noises: Sequence[Noise], drawn_by: Sequence[torch.Generator]
) -> torch.Tensor:
    """Noise for every parameter (n, n_params), on the processor, drawn in Opacus's order."""
    shapes = [shape for _, shape in layout]
    drawn = torch.empty(len(noises), sum(prod(shape) for shape in shapes))
    for row, noise, generator in zip(drawn, noises, drawn_by, strict=False):
        std = noise.multiplier * noise.max_grad_norm
        parts = [torch.normal(0.0, std, shape, generator=generator) for shape in shapes]
        torch.cat([part.view(-1) for part in parts], out=row)
    return drawn
