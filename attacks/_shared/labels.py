"""The share of records with the condition, read off the update of a network's last bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.types import ImageSchema, LocalTraining, Observation, Schema

MADE_UP = 256  # records, at least one try


def prevalences(seen: Observation, rng: np.random.Generator) -> list[float | None]:
    """The guessed share of records with the condition behind each row of a view.

    Made-up records without the condition and the same ones with it give two updates of the last
    bias, between which the share is interpolated (after Geng et al. 2021, arXiv:2110.09074). It is
    right as far as the model scores real records like made-up ones: on an untrained model, and ever
    less on a trained one. None where the observation tells nothing.
    """
    training = seen.training
    if training is None or seen.layout[-1][1] != (1,):
        return [None] * len(seen.view.rows)
    numbers = {n for n in seen.n_records if n is not None and n > 0}
    found = {
        n: ends(training, made_up((max(1, MADE_UP // n), n), seen.schema, rng))
        for n in sorted(numbers)
    }
    moves = seen.view.rows[:, -1].astype(np.float64)
    return [
        None if n not in found else between(float(move), *found[n])
        for move, n in zip(moves, seen.n_records, strict=True)
    ]


def ends(training: LocalTraining, features: NDArray[np.float64]) -> tuple[float, float]:
    """The updates of the last bias by records of which none has the condition, and of which all.

    ``features`` (n_tries, n_records, n_features): the updates are means over tries.
    """
    labels = np.zeros(features.shape[:2])
    without, with_ = (float(training(features, labels + one)[:, -1].mean()) for one in (0, 1))
    return without, with_


def between(move: float, without: float, with_: float) -> float | None:
    """The share of records with the condition that gives the update ``move`` between the two ends.

    None where the ends do not differ, as of a saturated model.
    """
    span = with_ - without
    if not np.isfinite(move) or not abs(span) > np.finfo(np.float64).tiny:
        return None
    return float(np.clip((move - without) / span, 0, 1))


def made_up(
    shape: tuple[int, ...], schema: Schema, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Records (*shape, n_features) drawn by the public schema alone.

    Continuous values are standard normal, levels uniform, and none is absent; pixels are uniform.
    """
    if isinstance(schema, ImageSchema):
        return rng.random((*shape, schema.n_features))
    found = np.zeros((*shape, schema.n_features))
    for field in schema.fields:
        if field.kind == "continuous":
            found[..., field.columns[0]] = rng.normal(size=shape)
        else:
            level = rng.integers(len(field.columns), size=shape)
            found[..., list(field.columns)] = np.eye(len(field.columns))[level]
    return found
