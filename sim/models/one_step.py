"""One step of training fully connected layers as a function of its records, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.types import Pullback, Updates, Vector

Values = NDArray[np.floating]
NORM = 1e-6  # Opacus adds it to the length of a record's gradient before it clips


@dataclass(frozen=True, eq=False)
class OneStep:
    """The updates of one step of SGD on a batch each, and their derivatives by the records.

    It is what ``Unrolled`` differentiates automatically, for layers of ``widths`` with ReLU between
    them. ``weights``: (n_params,). ``lr``: the length of the step. ``max_grad_norm``: to which the
    gradient of each record is clipped, None without.
    """

    widths: tuple[int, ...]
    weights: Vector
    lr: float
    max_grad_norm: float | None = None

    def traced(self, features: Values, labels: Values) -> tuple[Updates, Pullback]:
        """The update of each of n batches, and the derivatives of what is made of the updates.

        ``features``: (n, n_records, n_features); ``labels``: (n, n_records).
        """
        layers = list(self._layers(self.weights.astype(features.dtype)[None]))
        passed = _passed(layers, features, labels)
        n, n_records = labels.shape
        clipping = self._clipping(passed)
        parts = list[Values]()
        for at, error in zip(passed.inputs, passed.errors, strict=True):
            weighed = error if clipping is None else error * clipping.share
            parts += [(weighed.swapaxes(1, 2) @ at).reshape(n, -1), weighed.sum(axis=1)]
        rate = -self.lr / n_records
        updates = np.concatenate(parts, axis=1)
        updates *= rate

        def pull_back(gradient: Updates) -> tuple[Values, Values]:
            by_errors = list[Values]()
            by_inputs = list[Values]()
            linear = zip(self._layers(rate * gradient), passed.inputs, passed.errors, strict=True)
            for (weight, bias), at, error in linear:
                by_errors.append(at @ weight.swapaxes(1, 2) + bias[:, None])
                by_inputs.append(error @ weight)
            if clipping is not None:
                clipping.weigh(passed, by_errors, by_inputs)
            return _pulled_back(layers, passed, by_errors, by_inputs)

        return updates, pull_back

    def _layers(self, vectors: Updates) -> Iterator[tuple[Values, Values]]:
        """Weight (n, n_out, n_in) and bias (n, n_out) of each layer of n parameter vectors."""
        at = 0
        for fan_in, fan_out in pairwise(self.widths):
            end = at + fan_in * fan_out
            weight = vectors[:, at:end].reshape(-1, fan_out, fan_in)
            at = end + fan_out
            yield weight, vectors[:, end:at]

    def _clipping(self, passed: _Passed) -> _Clipping | None:
        if self.max_grad_norm is None:
            return None
        pairs = zip(passed.inputs, passed.errors, strict=True)
        square = sum(_squared(error) * (1 + _squared(at)) for at, error in pairs)
        norm = np.maximum(np.sqrt(square), np.finfo(np.float32).tiny)
        return _Clipping(norm, np.minimum(1.0, self.max_grad_norm / (norm + NORM)))


@dataclass(frozen=True, eq=False)
class _Passed:
    """One pass of records through the layers, forward and back.

    ``inputs`` and ``errors``: of each layer, the values that it is given (n, n_records, n_in) and
    the derivatives of a record's loss by what it gives (n, n_records, n_out). ``active``: of each
    hidden layer, where ReLU lets values through. ``score`` (n, n_records): the probability of the
    condition.
    """

    inputs: Sequence[Values]
    errors: Sequence[Values]
    active: Sequence[NDArray[np.bool_]]
    score: Values


@dataclass(frozen=True, eq=False)
class _Clipping:
    """Length of each record's gradient and the ``share`` that is left, (n, n_records, 1)."""

    norm: Values
    share: Values

    def weigh(self, passed: _Passed, by_errors: list[Values], by_inputs: list[Values]) -> None:
        """Derivatives of what is made of whole gradients -> of what is made of clipped ones."""
        pairs = zip(by_errors, passed.errors, strict=True)
        made = sum((slope * error).sum(axis=2, keepdims=True) for slope, error in pairs)
        bend = np.where(self.share < 1, -made * self.share / (self.norm + NORM) / self.norm, 0.0)
        for layer, (at, error) in enumerate(zip(passed.inputs, passed.errors, strict=True)):
            by_errors[layer] = by_errors[layer] * self.share + bend * error * (1 + _squared(at))
            by_inputs[layer] = by_inputs[layer] * self.share + bend * at * _squared(error)


def _squared(values: Values) -> Values:
    """The squared length of each row, as a column."""
    return np.asarray(np.square(values).sum(axis=2, keepdims=True))


def _passed(layers: Sequence[tuple[Values, Values]], features: Values, labels: Values) -> _Passed:
    inputs = [features]
    active = list[NDArray[np.bool_]]()
    for weight, bias in layers[:-1]:
        values = inputs[-1] @ weight[0].T + bias[0]
        active.append(values > 0)
        inputs.append(values * active[-1])
    last, bias = layers[-1]
    logits = (inputs[-1] @ last[0].T + bias[0])[..., 0]
    score = 0.5 * (1 + np.tanh(0.5 * logits))
    errors = [(score - labels)[..., None]]
    for (weight, _), lets in zip(layers[:0:-1], active[::-1], strict=True):
        errors.append((errors[-1] @ weight[0]) * lets)
    return _Passed(inputs, errors[::-1], active, score)


def _pulled_back(
    layers: Sequence[tuple[Values, Values]],
    passed: _Passed,
    by_errors: Sequence[Values],
    by_inputs: Sequence[Values],
) -> tuple[Values, Values]:
    """Derivatives by features and labels from those by the errors and the inputs of each layer."""
    total = by_errors[0]
    for (weight, _), lets, more in zip(layers[1:], passed.active, by_errors[1:], strict=True):
        total = more + (total * lets) @ weight[0].T
    by_scores = total[..., 0]
    by_logits = by_scores * passed.score * (1 - passed.score)
    found = by_inputs[-1] + by_logits[..., None] * layers[-1][0][0]
    earlier = zip(layers[:-1], passed.active, by_inputs[:-1], strict=True)
    for (weight, _), lets, more in reversed(list(earlier)):
        found = more + (found * lets) @ weight[0]
    return found, -by_scores
