"""Attacked records beside the nearest guesses: what was recovered, and the scores of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sim.datasets.encoding import decode, matching
from sim.evidence import ImageScores, Outcome, Recovered, is_recovered, outcome
from sim.observers.fields import right_fields, typical
from sim.observers.likeness import GRAY, displayable, likeness, mean_colors
from sim.types import ImageSchema, Schema

GALLERY = 12  # records stored for a report


@dataclass(frozen=True, eq=False)
class Beside:
    """The attacked records of a hospital beside the nearest guesses.

    ``records`` and ``guesses`` (n, n_features), ``guesses`` None where there is none. ``errors``
    (n,): |guess - record| / |record| of recovered records, infinite of others.
    """

    hospital: str
    records: NDArray[np.float32]
    guesses: NDArray[np.float64] | None
    errors: NDArray[np.float64]


def beside(
    schema: Schema, hospital: str, records: NDArray[np.float32], found: NDArray[np.floating]
) -> Beside:
    """Each record beside the nearest guess that matches it, or the nearest if none does."""
    if not len(found) or not len(records):
        return Beside(hospital, records, None, np.full(len(records), math.inf))
    truth = records.astype(np.float64)
    made = displayable(found) if isinstance(schema, ImageSchema) else found.astype(np.float64)
    gaps = cdist(truth, made)
    if isinstance(schema, ImageSchema):
        at = gaps.argmin(axis=1)
        scores = likeness(made[at], truth, schema)
        mean_color = likeness(mean_colors(truth, schema), truth, schema)
        rows = zip(scores.mse, scores.ssim, mean_color.mse, strict=True)
        exact = np.array([is_recovered(*row) for row in rows], dtype=np.bool_)
    else:
        hits = np.array([matching(schema, record, made) for record in records])
        exact = np.asarray(hits.any(axis=1), dtype=np.bool_)
        at = np.where(hits | ~exact[:, None], gaps, np.inf).argmin(axis=1)
    # a record may be all zeros
    sizes = np.maximum([np.linalg.norm(record) for record in records], np.finfo(np.float32).tiny)
    errors = np.where(exact, np.take_along_axis(gaps, at[:, None], axis=1)[:, 0] / sizes, np.inf)
    return Beside(hospital, records, made[at], errors)


def scored_images(
    schema: ImageSchema,
    found: Sequence[Beside],
    from_null: Sequence[Beside],
    rng: np.random.Generator,
) -> ImageScores:
    """The scores of the nearest guesses, beside those of images that need no attack."""
    none = np.zeros((0, schema.n_features))
    truth = np.concatenate([none, *(one.records.astype(np.float64) for one in found)])
    others = [
        *(np.concatenate([none, *map(_guessed, one)]) for one in (found, from_null)),
        mean_colors(truth, schema),
        rng.random(truth.shape),
    ]
    guess, blind, mean_color, random = (likeness(one, truth, schema) for one in others)
    return ImageScores(
        hospital=[one.hospital for one in found for _ in one.records],
        guess=guess,
        shuffled=blind,
        mean_color=mean_color,
        random=random,
    )


def _guessed(found: Beside) -> NDArray[np.float64]:
    """The nearest guesses, and gray where nothing was guessed."""
    return np.full(found.records.shape, GRAY) if found.guesses is None else found.guesses


def image_outcomes(images: ImageScores | None) -> list[Outcome]:
    """The mean scores of the attacked images; nothing where records are no images."""
    if images is None:
        return []
    scores = {
        "image_mse": images.guess.mse,
        "image_psnr": images.guess.psnr,
        "image_ssim": images.guess.ssim,
        "image_gain": images.gain,
    }
    none = "no image was attacked"
    return [
        outcome(metric, float(np.mean(of)) if of else None, len(of), undefined=none)
        for metric, of in scores.items()
    ]


def gallery(
    schema: Schema, found: Sequence[Beside], own: Mapping[str, NDArray[np.float32]]
) -> list[Recovered]:
    """A few records for the report: recovered ones first.

    ``own``: the training records of each hospital, of which the typical one is the baseline.
    """
    places = [(one, row) for one in found for row in range(len(one.records))]
    places.sort(key=lambda place: bool(np.isinf(place[0].errors[place[1]])))
    return [_recovered(schema, one, row, own) for one, row in places[:GALLERY]]


def _recovered(
    schema: Schema, of: Beside, row: int, own: Mapping[str, NDArray[np.float32]]
) -> Recovered:
    record = of.records[row]
    guess = None if of.guesses is None else of.guesses[row]
    baseline = _baseline(schema, record, own[of.hospital])
    return Recovered(
        hospital=of.hospital,
        exact=bool(np.isfinite(of.errors[row])),
        truth=decode(schema, record),
        guess=None if guess is None else decode(schema, guess),
        baseline=decode(schema, baseline),
        right=right_fields(schema, record, guess),
        baseline_right=right_fields(schema, record, baseline),
    )


def _baseline(
    schema: Schema, record: NDArray[np.float32], own: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The record that needs no attack: the image's mean color, or its hospital's typical row."""
    if isinstance(schema, ImageSchema):
        return np.asarray(mean_colors(record[None].astype(np.float64), schema)[0])
    return typical(schema, own)
