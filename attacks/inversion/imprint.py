"""A model made to sort records into bins (Fowl et al., 2022, ICLR: Robbing the Fed)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.candidates import grouped, plausible
from attacks._shared.labels import made_up
from attacks._shared.layers import first_layer, shown
from sim.errors import RefusedError, number, one_of, whole
from sim.messages import Stage
from sim.types import About, Guess, Layout, Observation, Schema, Vector

PUBLIC = 4096  # records made up by the public schema
LOWEST = -8.0  # standard deviations from the mean, below which there is no record
LEAST_SCALE = 1e-3
GRID = 4096  # values between which the mean logit is taken


@dataclass(frozen=True)
class Imprint:
    """A model of the agreed form whose first neurons look in one direction, each from further on.

    Neuron k responds to records beyond the k-th of K quantiles of one linear function of records,
    so that the difference of two neighbors' updates holds the records between their quantiles: in
    the mean (1 - 1/K)^(n - 1) of n records are alone there, and are read exactly. The other layers
    pass the sum on with alternating signs, which leaves logits small and gradients large. That
    takes an aggregator that sends weights of its own instead of the round's; secure aggregation
    makes the batch larger and hides nothing. It needs a chain of fully connected layers, and local
    training in one step of plain SGD; noise leaves guesses that are wrong.

    Args:
        round: round in which it sends that model, from 1.
        quantiles: schema: of made-up records that fit the public schema; colluders: of the records
            of the hostile hospitals.
        scale: factor of the first layer's weights. With a smaller one updates are larger: less is
            lost to rounding, and more to clipping.
        threshold: least bias update of a bin that is used, relative to the largest.
    """

    round: int = 1
    quantiles: str = "schema"
    scale: float = 1.0
    threshold: float = 1e-4
    about: ClassVar[About] = About(
        title="Imprint",
        paper="Fowl et al., Robbing the Fed: Directly Obtaining Private Data in Federated Learning"
        " with Modified Models",
        year=2022,
        sees=(
            "updates or their sums, the public schema of a record; it chooses the weights that"
            " hospitals are sent"
        ),
        variants=("quantiles=schema", "quantiles=colluders"),
    )

    def __post_init__(self) -> None:
        whole(1, round=self.round)
        one_of(("schema", "colluders"), quantiles=self.quantiles)
        number(LEAST_SCALE, 1 / LEAST_SCALE, scale=self.scale)
        number(0, 1, open_low=True, threshold=self.threshold)

    def crafted(self, stage: Stage, rng: np.random.Generator) -> Vector:
        """The weights (n_params,) that are sent instead of the round's.

        Raises:
            RefusedError: the model is no chain of fully connected layers with a hidden one, or
                fewer than two records of colluding hospitals are known.
        """
        shapes = _chain(stage.layout, stage.schema)
        records = self._known(stage, rng)
        direction = rng.normal(size=stage.schema.n_features)
        values = records @ direction
        spread = max(float(values.std()), float(np.finfo(np.float32).tiny))
        direction /= spread
        return imprinted(shapes, direction, float(values.mean()) / spread, self.scale)

    def __call__(self, seen: Observation, rng: np.random.Generator) -> list[Guess]:
        """The guess of each row of the view.

        Raises:
            RefusedError: the model does not start with a linear layer with a bias on the features
                of the schema.
        """
        weight, bias = first_layer(seen.layout, seen.schema.n_features, self.about.title)
        rows = seen.view.rows.astype(np.float64)
        return [self._read(row[weight], row[bias], seen.schema) for row in rows]

    def _known(self, stage: Stage, rng: np.random.Generator) -> NDArray[np.floating]:
        """Records (n, n_features) that are distributed like those to be read."""
        if self.quantiles == "schema":
            return made_up((PUBLIC,), stage.schema, rng)
        none = np.zeros((0, stage.schema.n_features))
        found = np.concatenate([none, *(one.features for one in stage.records.values())])
        if len(found) < 2:
            raise RefusedError(
                f"n_records={len(found)}: Imprint with quantiles=colluders needs 2 records of"
                " hostile hospitals (adversary.n_hostile)"
            )
        return found

    def _read(self, weight: Vector, bias: Vector, schema: Schema) -> Guess:
        """The records of the bins, and the share of bins whose records have the condition."""
        signs = alternating(len(bias))
        by_weight = _between(signs[:, None] * weight.reshape(len(bias), -1))
        by_bias = _between(signs * bias)
        size = np.abs(by_bias)
        order = np.argsort(-size, kind="stable")
        moved = order[size[order] > max(self.threshold * size.max(), np.finfo(np.float64).tiny)]
        found = grouped(plausible(by_weight[moved] / by_bias[moved, None], schema))
        # a record with the condition moves the bias of its neurons up
        share = float(np.mean(by_bias[moved] > 0)) if len(moved) else None
        return Guess(found, share)


def imprinted(
    shapes: list[tuple[int, int]], direction: Vector, mean: float, scale: float = 1.0
) -> Vector:
    """The weights of fully connected layers of ``shapes`` (n_out, n_in), an imprint the first.

    ``direction`` (n_features,): a record's product with it has standard deviation 1, and ``mean``.
    ``scale``: factor of the first layer, and divisor of the second.
    """
    from scipy.special import ndtri

    n_bins = shapes[0][0]
    places = np.maximum(ndtri(np.arange(n_bins) / n_bins), LOWEST)
    signs = alternating(n_bins)
    values = ndtri((np.arange(GRID) + 0.5) / GRID)
    logits = np.maximum(values[:, None] - places, 0) @ signs
    parts = [np.tile(scale * direction, n_bins), scale * (-mean - places)]
    for layer, (n_out, n_in) in enumerate(shapes[1:], start=1):
        row = signs / scale if layer == 1 else np.full(n_in, 1 / n_in)
        is_last = layer == len(shapes) - 1
        parts += [np.tile(row, n_out), np.full(n_out, -logits.mean() if is_last else 0.0)]
    return np.concatenate(parts).astype(np.float32)


def alternating(n: int) -> NDArray[np.float64]:
    """The signs +, -, +, ... with which the second layer takes n neurons."""
    return np.where(np.arange(n) % 2 == 0, 1.0, -1.0)


def _between(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each neuron, what it has got from records that do not reach the next one."""
    following = np.zeros_like(sums)
    following[:-1] = sums[1:]
    return sums - following


def _chain(layout: Layout, schema: Schema) -> list[tuple[int, int]]:
    """The shapes (n_out, n_in) of a chain of fully connected layers with biases."""
    title = Imprint.about.title
    first_layer(layout, schema.n_features, title)
    weights = [shape for _, shape in layout[::2]]
    biases = [shape for _, shape in layout[1::2]]
    is_linear = all(len(shape) == 2 for shape in weights)
    if not is_linear or len(weights) < 2 or biases != [shape[:1] for shape in weights]:
        raise RefusedError(
            f"layout={shown(layout)}: {title} needs a chain of fully connected layers, at least one"
            " of them hidden"
        )
    if weights[0][0] < 2:
        raise RefusedError(f"layout={shown(layout)}: {title} needs two neurons in the first layer")
    return [(shape[0], shape[1]) for shape in weights]
