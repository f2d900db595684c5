"""Optimizers of local training, as torch defines them, on many models at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

Moments = tuple[torch.Tensor, torch.Tensor]  # running means of the gradient and of its square


@dataclass(frozen=True)
class Optimizer:
    """``sgd`` or ``adam`` with torch's defaults, fresh for each job.

    ``proximal``: mu of FedProx.
    """

    name: str
    lr: float
    proximal: float = 0.0


def adam(
    weights: torch.Tensor, gradient: torch.Tensor, moments: Moments, step: int, lr: float
) -> None:
    """Adam's change of ``weights`` and ``moments`` in place; ``step`` counts from 0."""
    mean, square = moments
    mean.lerp_(gradient, 0.1)
    square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    scale = (square.sqrt() / (1 - 0.999 ** (step + 1)) ** 0.5).add_(1e-8)
    weights.addcdiv_(mean, scale, value=-lr / (1 - 0.9 ** (step + 1)))
