"""A small classifier that a party trains on records whose answers it knows: softmax regression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RIDGE = 1.0  # the squared weights are added to the loss, summed over records, with half of it
STEPS = 200  # most steps of the search
FOLDS = 5  # parts of the records, each of which the others predict
TEMPERS = (0.0, 0.25, 0.5, 1.0)  # factors of log probabilities

# features (n, n_features) -> log probabilities (n, n_choices)
Probe = Callable[[NDArray[np.floating]], NDArray[np.float64]]


def probe(features: NDArray[np.floating], answers: NDArray[np.integer], n_choices: int) -> Probe:
    """The log probability of each answer, learned from ``features`` (n, n_features).

    ``answers`` (n,) number the choices. Columns are standardized. Without any record all choices
    are as likely.
    """
    from scipy.optimize import minimize

    given = features.astype(np.float64)
    if not len(given):
        return lambda asked: np.full((len(asked), n_choices), -np.log(n_choices))
    center = given.mean(axis=0)
    scale = given.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    inputs = _with_one((given - center) / scale)
    truth = np.eye(n_choices)[answers]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(inputs.shape[1], n_choices)
        found = _log_softmax(inputs @ weights)
        shrunk = np.concatenate([weights[:-1], np.zeros((1, n_choices))])
        slope = inputs.T @ (np.exp(found) - truth) + RIDGE * shrunk
        value = -float((truth * found).sum()) + RIDGE / 2 * float((shrunk**2).sum())
        return value, slope.ravel()

    start = np.zeros(inputs.shape[1] * n_choices)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    learned = weights.reshape(inputs.shape[1], n_choices)
    return lambda asked: _log_softmax(_with_one((asked - center) / scale) @ learned)


def _with_one(inputs: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.column_stack([inputs.astype(np.float64), np.ones(len(inputs))])


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def tempered(
    features: NDArray[np.floating],
    answers: NDArray[np.integer],
    n_choices: int,
    rng: np.random.Generator,
) -> Probe:
    """A probe that is as sure as it is right on records that it has not seen.

    Its log probabilities are taken times one of ``TEMPERS``, the one under which parts of the
    records are likeliest that the rest has not seen: 0 where they tell nothing.
    """
    parts = np.array_split(rng.permutation(len(features)), min(FOLDS, max(1, len(features))))
    likely = dict.fromkeys(TEMPERS, 0.0)
    for part in parts if len(parts) > 1 else ():
        rest = np.setdiff1d(np.arange(len(features)), part)
        found = probe(features[rest], answers[rest], n_choices)(features[part])
        for temper in TEMPERS:
            own = _log_softmax(temper * found)
            likely[temper] += float(own[np.arange(len(part)), answers[part]].sum())
    best = max(likely, key=lambda temper: likely[temper])
    learned = probe(features, answers, n_choices)
    return lambda asked: _log_softmax(best * learned(asked))
