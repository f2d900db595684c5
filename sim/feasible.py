"""Changes that somebody could make to a record: within limits, and one level stays one level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.types import ImageSchema, Room, Schema

NOBODY_CHANGES = ("age", "sex")  # fields of a patient, where the data have them
SLACK = 1e-5  # what float32 takes off a value at its limit

Features: TypeAlias = NDArray[np.floating]  # (n, n_features)


def limits(features: Features) -> NDArray[np.float64]:
    """The least and the largest value of each column, (2, n_features)."""
    return np.stack([features.min(axis=0), features.max(axis=0)]).astype(np.float64)


def known_limits(schema: Schema) -> NDArray[np.float64]:
    """The limits of each column that everybody knows, (2, n_features): those of pixels.

    Of a table's columns nobody knows any without looking at patients.
    """
    ends = (0.0, 1.0) if isinstance(schema, ImageSchema) else (-np.inf, np.inf)
    return np.repeat(np.array(ends)[:, None], schema.n_features, axis=1)


def movable(schema: Schema, features: Features, fixed: Sequence[str]) -> NDArray[np.bool_]:
    """The mask of ``features`` whose values are continuous, present, and of no ``fixed`` field."""
    columns, flags = _continuous(schema, tuple(fixed))
    found = np.zeros(features.shape, dtype=np.bool_)
    found[:, columns] = (flags < 0) | (features[:, flags] < 0.5)
    return found


def room(
    schema: Schema, features: Features, fixed: Sequence[str], reach: float, limits_: Features
) -> Room:
    """The room for changes of ``features`` (n, n_features).

    ``fixed``: names of fields that nobody can change. ``reach``: how far a continuous value may
    move, in standard deviations of the data, and of a pixel in parts of its range. ``limits_``
    (2, n_features): the least and the largest values. A value that is absent stays absent.
    """
    values = features.astype(np.float64)
    moves = movable(schema, features, fixed)
    # a record may itself lie outside the limits of other records
    low = np.minimum(np.maximum(values - reach, limits_[0]), values)
    high = np.maximum(np.minimum(values + reach, limits_[1]), values)
    levels = tuple(
        field.columns
        for field in schema.fields
        if field.kind == "categorical" and field.name not in fixed and len(field.columns) > 1
    )
    return Room(np.where(moves, low, values), np.where(moves, high, values), levels)


@lru_cache(maxsize=64)
def _continuous(
    schema: Schema, fixed: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns of continuous fields, and of each the column that flags an absent value or -1."""
    found = [
        (*field.columns, -1 if field.missing is None else field.missing)
        for field in schema.fields
        if field.kind == "continuous" and field.name not in fixed
    ]
    columns, flags = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return columns, flags


def inside(space: Room, features: Features) -> NDArray[np.float64]:
    """The records nearest to ``features`` whose movable columns lie within the room.

    Columns that cannot be moved, and levels, are left as they are.
    """
    found = features.astype(np.float64)
    return np.where(space.high > space.low, np.clip(found, space.low, space.high), found)


def at_random(
    space: Room, features: Features, n_levels: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The records after changes as large as can be, but blind.

    Each movable column is at one of its bounds, and ``n_levels`` categorical fields have another
    level.
    """
    ends = np.where(rng.random(features.shape) < 0.5, space.low, space.high)
    moved = np.where(space.high > space.low, ends, features).astype(np.float64)
    for row in moved:
        for place in rng.permutation(len(space.levels))[:n_levels]:
            columns = np.array(space.levels[place])
            other = rng.choice(columns[row[columns] < 0.5])
            row[columns] = 0.0
            row[other] = 1.0
    return moved


def is_possible(
    schema: Schema, before: Features, after: Features, space: Room, n_levels: int
) -> NDArray[np.bool_]:
    """Whether each record of ``after`` can be made of the same one of ``before``, (n,).

    Values lie within the room, each categorical field has one level, and at most ``n_levels``
    fields have another level than before.
    """
    found = np.ones(len(after), dtype=np.bool_)
    changed = np.zeros(len(after), dtype=np.int64)
    rest = np.ones(after.shape[1], dtype=np.bool_)
    for field in schema.fields:
        if field.kind == "categorical":
            columns = list(field.columns)
            rest[columns] = False
            levels = after[:, columns]
            moved = (levels != before[:, columns]).any(axis=1)
            is_one = (np.sort(levels, axis=1)[:, :-1] == 0).all(axis=1) & (levels.max(axis=1) == 1)
            found &= ~moved | (is_one & (field.columns in space.levels))
            changed += moved
    within = (after >= space.low - SLACK) & (after <= space.high + SLACK)
    return np.asarray(found & within[:, rest].all(axis=1) & (changed <= n_levels), dtype=np.bool_)


def fixed_fields(schema: Schema, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The fields that nobody can change: those ``asked`` for, or age and sex where there are any.

    Raises ``InputError`` for a name that the data do not have.
    """
    names = [field.name for field in schema.fields]
    if asked is None:
        return tuple(name for name in NOBODY_CHANGES if name in names)
    for name in asked:
        if name not in names:
            shown = ", ".join(names[:20])
            raise InputError("fixed", name, f"expected fields of the data, as {shown}")
    return tuple(asked)
