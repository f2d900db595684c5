"""Shadow models for membership inference: how sure models are of records with and without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError
from sim.types import Asked, Holdings, Records

LARGEST = 30.0  # of a logit: beyond it float32 has no more confidence to tell


@dataclass(frozen=True, eq=False)
class Shadows:
    """The logits of the true labels of n records, by the final model and by shadow models.

    ``target`` (n,); ``logits`` and ``used`` (n_models, n), ``used``: which model trained on which
    record.
    """

    target: NDArray[np.float64]
    logits: NDArray[np.float64]
    used: NDArray[np.bool_]


def candidates(asked: Asked) -> Records:
    """The records that a question of membership is about."""
    if asked.records is None or asked.question != "membership":
        raise RefusedError(f"question={asked.question}: this attack needs membership")
    return asked.records


def true_logits(logits: NDArray[np.float64], labels: NDArray[np.float32]) -> NDArray[np.float64]:
    """log p - log(1 - p) of the probability p of the true label, from logits (..., n) of label 1.

    >>> true_logits(np.array([2.0, 2.0]), np.array([1.0, 0.0], np.float32)).tolist()
    [2.0, -2.0]
    """
    signs = np.where(labels > 0.5, 1.0, -1.0)
    return np.clip(signs * logits, -LARGEST, LARGEST)


def shadows(seen: Holdings, asked: Asked, n_models: int, rng: np.random.Generator) -> Shadows:
    """Shadow models that train as the federation did, each on a part of the asked records.

    Each record is in as many of them as the share of the asked records that were trained on tells,
    but in one and out of one at least.
    """
    records = candidates(asked)
    share = 0.5 if asked.share is None else asked.share
    n_in = min(max(round(share * n_models), 1), n_models - 1)
    ranks = rng.random((n_models, len(records))).argsort(axis=0).argsort(axis=0)
    used = ranks < n_in
    models = seen.model.trained(records, asked.hospitals, used, rng)
    logits = seen.model.logits(models, records.features)
    return Shadows(
        target=true_logits(seen.outputs(records.features), records.labels),
        logits=true_logits(logits, records.labels),
        used=used,
    )
