"""A user's own model, for tests: two branches that are added up."""

from dataclasses import dataclass

import torch
from torch import nn

from sim.models.network import Network
from sim.types import Schema


class Sum(nn.Module):
    """A linear branch and one with a hidden layer of tanh, added up."""

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.straight = nn.Linear(n_features, 1)
        self.bent = nn.Sequential(nn.Linear(n_features, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.straight(features) + self.bent(features)
        return found


@dataclass(frozen=True)
class Branches(Network):
    """The network on records of ``n_features`` features."""

    n_features: int
    width: int

    def build(self) -> nn.Module:
        return Sum(self.n_features, self.width)


@dataclass(frozen=True)
class Weighted(Branches):
    """The same, with a loss that counts records with the condition three times."""

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, share: torch.Tensor | None = None
    ) -> torch.Tensor:
        weight = 1 + 2 * labels
        each = nn.functional.binary_cross_entropy_with_logits(
            logits, labels, weight, reduction="none"
        )
        return each.mean() if share is None else (each * share).sum()


@dataclass(frozen=True)
class Model:
    """The model of ``Branches``, or of ``Weighted``."""

    width: int
    weighted: bool = False

    def __call__(self, schema: Schema) -> Branches:
        """The network on records of this schema."""
        return (Weighted if self.weighted else Branches)(schema.n_features, self.width)
