"""Canaries of an audit: records whose gradient is one parameter of the model, in by a coin or out.

They are records like others: they come into batches, are clipped and get their share of the noise.
Only the network knows them, by a mark in a column of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sim.design.plan import FederationPlan
from sim.design.site import PrivacyPolicy, Site
from sim.models.network import Network, skeleton
from sim.types import Records, Schema, TableSchema, Vector

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sim.models.network import Parameters

LABEL: Final = 2.0  # of a canary, where records have 0 or 1
STILL: Final = 0.5  # share of the parameters, those that move least, that canaries are on
LOUDNESS: Final = 10.0  # norm of a canary's gradient, in clipping norms


@dataclass(frozen=True, eq=False)
class Canaries:
    """The canaries of one audit.

    ``places`` (m,): the parameter that each of them moves. ``coins`` (m,): whether each is in. With
    ``replaced`` a canary that is not in has its opposite in its place, which moves the parameter
    the other way.
    """

    places: NDArray[np.int64]
    coins: NDArray[np.bool_]
    replaced: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator, m: int, moved: Vector, *, replaced: bool) -> Canaries:
        """``m`` canaries on different parameters, and their coins.

        ``moved`` (n_params,): how far each parameter moves without canaries. The canaries are on
        parameters of the half that moves least, as long as it has enough.
        """
        order = np.argsort(np.abs(moved), kind="stable")
        places = rng.permutation(order[: max(m, round(STILL * len(order)))])[:m]
        return cls(places, rng.random(m) < 0.5, replaced)

    def among(self, own: Records) -> Records:
        """The records of a hospital, each with the column of marks, and the canaries after them."""
        marks = self.places + 1
        marks = np.where(self.coins, marks, -marks) if self.replaced else marks[self.coins]
        n, n_features = own.features.shape
        features = np.zeros((n + len(marks), n_features + 1), np.float32)
        features[:n, :-1] = own.features
        features[n:, -1] = marks
        labels = np.concatenate([own.labels, np.full(len(marks), LABEL, np.float32)])
        return Records(features, labels)

    def scores(self, moved: Vector) -> NDArray[np.float64]:
        """The score of each canary, (m,): how far its parameter moved down."""
        return -moved[self.places].astype(np.float64)


@dataclass(frozen=True)
class Marked(Network):
    """A network that also takes canaries; its parameters are those of ``inner``.

    The last column of a record is its mark: 0 of a patient, and of a canary the number of its
    parameter, from 1, with the sign of its gradient. ``loudness``: the norm of that gradient.
    """

    inner: Network
    loudness: float

    def build(self) -> nn.Module:
        """The module; it has its parameters itself, so that they are clipped together."""
        from torch import nn

        network = self

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                for name, shape in network.inner.layout:
                    self.register_parameter(_own(name), nn.Parameter(_empty(shape)))

            def forward(self, features: torch.Tensor) -> torch.Tensor:
                layout = network.inner.layout
                parameters = {name: getattr(self, _own(name)) for name, _ in layout}
                return network.marked(parameters, features)[:, None]

        skeleton(self.inner)  # before anybody calls the module inside ``vmap``
        return Module()

    def marked(self, parameters: Parameters, features: torch.Tensor) -> torch.Tensor:
        """Logits (n,) of records and canaries."""
        import torch

        mark = features[:, -1].detach()
        flat = torch.cat([parameter.reshape(-1) for parameter in parameters.values()])
        place = (mark.abs().long() - 1).clamp(min=0)
        of_canaries = self.loudness * torch.sign(mark) * flat[place]
        return torch.where(mark == 0, self.inner.apply(parameters, features[:, :-1]), of_canaries)

    def initialize(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """The first parameters of the network itself."""
        return self.inner.initialize(rng)

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, share: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The logistic loss of records; that of a canary is its logit, so that it never ends."""
        import torch
        from torch import nn

        known = nn.functional.binary_cross_entropy_with_logits(
            logits, labels.clamp(max=1), reduction="none"
        )
        each = torch.where(labels == LABEL, logits, known)
        return each.mean() if share is None else (each * share).sum()


@dataclass(frozen=True)
class _Model:
    """The model whose network is given, whatever the schema."""

    network: Network

    def __call__(self, schema: Schema) -> Network:
        return self.network


def audited(plan: FederationPlan, site: Site, canaries: Canaries) -> tuple[FederationPlan, Site]:
    """The plan and the site of a hospital with canaries among its records.

    Its batches grow with the number of its records, so that sampling rate, steps and noise are
    those of the hospital without canaries, as nearly as batches of whole records allow.
    """
    assert plan.dp is not None
    records = canaries.among(site.records)
    n_batches = -(-plan.dp.counted(len(site.records)) // plan.training.batch_size)
    size = -(-plan.dp.counted(len(records)) // n_batches)
    terms = plan.terms.model_copy(
        update={
            "columns": TableSchema((), plan.columns.n_features + 1),
            "training": plan.training.model_copy(update={"batch_size": size}),
        }
    )
    network = Marked(plan.network, LOUDNESS * plan.dp.max_grad_norm)
    hospital = replace(site, records=records, policy=PrivacyPolicy())
    return replace(plan, terms=terms, model=_Model(network)), hospital


def _own(name: str) -> str:
    """The name of a parameter in a module that has no parts."""
    return name.replace(".", "/")


def _empty(shape: tuple[int, ...]) -> torch.Tensor:
    import torch

    return torch.empty(shape)
