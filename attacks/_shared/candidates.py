"""Records that an inversion may guess: vectors that fit the public schema, each once."""

import numpy as np
from numpy.typing import NDArray

from sim.types import ImageSchema, Schema

TOLERANCE = 1e-2  # how far a 0/1 column, or a pixel from its range, may be off
FURTHEST = 12.0  # standard deviations beyond which no continuous value is a patient's
SAME = 1e-3  # relative distance up to which two candidates are one


def plausible(found: NDArray[np.float64], schema: Schema) -> NDArray[np.float64]:
    """The rows of ``found`` (n, n_features) that can be records, with their 0/1 columns made exact.

    A record has exactly one level in each categorical field, 0 or 1 as missing flag, and finite
    continuous values within 12 standard deviations; an image has pixels from 0 to 1. A schema
    without any 0/1 column hardly tells records from mixtures, so that many guesses are mixtures
    there: of a record that moved one neuron alone nothing else can be seen.
    """
    found = found[np.isfinite(found).all(axis=1)]
    if isinstance(schema, ImageSchema):
        return found[((found >= -TOLERANCE) & (found <= 1 + TOLERANCE)).all(axis=1)]
    continuous = [field.columns[0] for field in schema.fields if field.kind == "continuous"]
    found = found[(np.abs(found[:, continuous]) <= FURTHEST).all(axis=1)]
    groups = [field.columns for field in schema.fields if field.kind == "categorical"]
    flags = [field.missing for field in schema.fields if field.missing is not None]
    binary = [*flags, *(column for group in groups for column in group)]
    whole = np.round(found)
    near = np.abs(found[:, binary] - whole[:, binary]) <= TOLERANCE
    fits = (near & np.isin(whole[:, binary], (0, 1))).all(axis=1)
    for group in groups:
        fits &= whole[:, group].sum(axis=1) == 1
    found = found.copy()
    found[:, binary] = whole[:, binary]
    return found[fits]


def grouped(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first row of each group of rows of ``found`` that agree, the largest group first."""
    like = _like(found)
    first = [row for row in range(len(found)) if not like[row, :row].any()]
    support = like[first].sum(axis=1)
    return found[np.array(first, dtype=np.intp)[np.argsort(-support, kind="stable")]]


def _like(found: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the rows of each pair agree, (n, n)."""
    gaps = np.abs(found[:, None] - found[None]).max(axis=2, initial=0.0)
    largest = np.maximum(1.0, np.abs(found).max(axis=1, initial=0.0))
    return np.asarray(gaps <= SAME * largest[:, None])
