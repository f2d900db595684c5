"""Clinical fields <-> feature columns, and when a guessed record counts as the true one.

A continuous field becomes one standardized column, with the mean and standard deviation of the
pooled training rows; an absent value becomes 0 (the training mean) and sets a flag column of its
own. A categorical field becomes one 0/1 column a level; where values are absent, ``missing`` is one
more level.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import floor, isfinite, log10
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim.datasets.checks import is_constant
from sim.errors import InputError
from sim.types import Field, Schema, TableSchema

MISSING = "missing"
FLAG_TOLERANCE = 1e-2  # how far a guessed 0/1 column may lie from the true one

Row = NDArray[np.floating]


def lay_out(
    frame: pl.DataFrame,
    train: NDArray[np.int64],
    levels: Mapping[str, tuple[str, ...]],
    units: Mapping[str, str],
) -> TableSchema:
    """The columns of each field, in the order of ``frame``.

    Fields named in ``levels`` are categorical, all others continuous; null is absent. Only the rows
    ``train`` shape the means and standard deviations. That a field can be absent at all is read
    from the whole source: it is part of the data dictionary.
    """
    fields: list[Field] = []
    start = 0
    for name in frame.columns:
        column = frame[name]
        known = levels.get(name)
        field = (
            _continuous(column, train, units.get(name, ""), start)
            if known is None
            else _categorical(column, known, start)
        )
        fields.append(field)
        start += len(field.columns) + (field.missing is not None)
    return TableSchema(tuple(fields), start)


def encode(frame: pl.DataFrame, schema: TableSchema) -> NDArray[np.float32]:
    """Feature columns (n, n_features) of the rows of ``frame``.

    Raises ``InputError`` for a level that the schema does not have, and for values that are no
    numbers. It names the field, how many rows are wrong and the first of them, counted from 1, and
    never a value: the records may be nobody else's business.
    """
    features = np.zeros((frame.height, schema.n_features), dtype=np.float32)
    for field in schema.fields:
        if field.kind == "categorical":
            features[np.arange(frame.height), _level_columns(frame[field.name], field)] = 1
        else:
            column = _numbers(frame[field.name])
            absent = column.is_null().to_numpy()
            values = column.fill_null(field.center).to_numpy()
            _refuse_not_finite(field.name, values)
            # what float32 cannot hold is refused with its hospital by ``data_check``
            with np.errstate(over="ignore"):
                features[:, field.columns[0]] = np.where(
                    absent, 0, (values - field.center) / field.scale
                )
            if field.missing is not None:
                features[:, field.missing] = absent
    return features


def decode(schema: Schema, row: Row) -> dict[str, str]:
    """A record in the units of its fields.

    ``row`` is (n_features,) and may be a guess: of a categorical field the likeliest level is
    named.
    """
    return {field.name: _shown(field, np.asarray(row, dtype=np.float64)) for field in schema.fields}


def matching(
    schema: Schema, truth: Row, guesses: Row, tolerance: float = 1e-3
) -> NDArray[np.bool_]:
    """The mask of the ``guesses`` (n, n_features) that are the record ``truth`` (n_features,).

    Every continuous value lies within ``tolerance`` of the true one, relative to it, in the field's
    own units; where the true value is 0, within ``tolerance`` standard deviations. An absent value
    has nothing to be close to: its flag decides. Every 0/1 column (levels and flags) lies within
    ``FLAG_TOLERANCE`` of the truth.
    """
    at = _columns(schema)
    truth = np.asarray(truth, dtype=np.float64)
    guesses = np.asarray(guesses, dtype=np.float64)
    exact = (np.abs(guesses[:, at.binary] - truth[at.binary]) <= FLAG_TOLERANCE).all(axis=1)
    value = np.abs(at.center + at.scale * truth[at.continuous])
    # float32 cannot express 0 in a standardized column
    room = tolerance * np.where(value > 1e-5 * at.scale, value, at.scale)
    close = at.scale * np.abs(guesses[:, at.continuous] - truth[at.continuous]) <= room
    absent = (at.flag >= 0) & (truth[at.flag] > 0.5)
    return np.asarray(exact & (close | absent).all(axis=1), dtype=np.bool_)


class _Columns(NamedTuple):
    continuous: NDArray[np.int64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    flag: NDArray[np.int64]  # of each continuous field; -1 if it has none
    binary: NDArray[np.int64]


@lru_cache(maxsize=8)
def _columns(schema: Schema) -> _Columns:
    numbers = [field for field in schema.fields if field.kind == "continuous"]
    continuous = np.array([field.columns[0] for field in numbers], dtype=np.int64)
    flags = [-1 if field.missing is None else field.missing for field in numbers]
    return _Columns(
        continuous=continuous,
        center=np.array([field.center for field in numbers]),
        scale=np.array([field.scale for field in numbers]),
        flag=np.array(flags, dtype=np.int64),
        binary=np.setdiff1d(np.arange(schema.n_features), continuous),
    )


def _continuous(column: pl.Series, train: NDArray[np.int64], unit: str, start: int) -> Field:
    seen = _numbers(column)[train].drop_nulls().to_numpy()
    _refuse_not_finite(column.name, seen)
    if len(seen) == 0 or is_constant(seen.min(), seen.max()):
        shown = "one value everywhere, but for rounding" if len(seen) else "absent everywhere"
        expected = "expected two different values in the training rows, or the field left out"
        raise InputError(f"field {column.name}", shown, expected)
    missing = start + 1 if column.null_count() else None
    center, scale = _moments(seen)
    return Field(
        column.name, "continuous", (start,), center=center, scale=scale, unit=unit, missing=missing
    )


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation.

    Both are computed in units of the largest value where squares would leave the range of float64.
    """
    most = float(np.abs(values).max())
    unit = 1.0 if 1e-100 < most < 1e100 else most
    return unit * float((values / unit).mean()), unit * float((values / unit).std())


def _numbers(column: pl.Series) -> pl.Series:
    """The column as numbers.

    Raises ``InputError`` for values that are none, without their text: it may be a patient's.
    """
    try:
        numbers = column.cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError:
        shown = f"values of type {column.dtype}"
        raise InputError(f"field {column.name}", shown, "expected numbers") from None
    wrong = (numbers.is_null() & column.is_not_null()).to_numpy()
    _refuse_values(column, wrong, "no number", "expected numbers")
    return numbers


def _refuse_values(column: pl.Series, wrong: NDArray[np.bool_], kind: str, expected: str) -> None:
    """Refuse a column with ``wrong`` values; the rows are named, and never a value."""
    if wrong.any():
        first = int(wrong.argmax()) + 1
        place = f"{kind} in {int(wrong.sum())} of {len(wrong)} rows, first in row {first}"
        raise InputError(f"field {column.name}", place, expected)


def _refuse_not_finite(name: str, values: NDArray[np.float64]) -> None:
    broken = int((~np.isfinite(values)).sum())
    if broken:
        shown = f"NaN or infinity in {broken} of {len(values)} rows"
        expected = "expected finite numbers, and null for an absent value"
        raise InputError(f"field {name}", shown, expected)


def _categorical(column: pl.Series, levels: tuple[str, ...], start: int) -> Field:
    levels = (*levels, MISSING) if column.null_count() else levels
    return Field(column.name, "categorical", tuple(range(start, start + len(levels))), levels)


def _level_columns(column: pl.Series, field: Field) -> NDArray[np.int64]:
    places = dict(zip(field.levels, field.columns, strict=True))
    values = column.fill_null(MISSING).to_list()
    unknown = np.array([value not in places for value in values], dtype=np.bool_)
    expected = f"expected one of {', '.join(field.levels)}"
    _refuse_values(column, unknown, "an unknown level", expected)
    return np.array([places[value] for value in values], dtype=np.int64)


def _shown(field: Field, row: NDArray[np.float64]) -> str:
    if field.kind == "categorical":
        return field.levels[int(row[list(field.columns)].argmax())]
    if field.missing is not None and row[field.missing] > 0.5:
        return MISSING
    at = float(row[field.columns[0]])
    if not isfinite(at):
        return str(at)
    # the least difference that float32 can tell here
    known = field.scale * float(np.spacing(np.float32(max(1, abs(at)))))
    known = max(known, float(np.nextafter(0, 1)))
    return f"{round(field.center + field.scale * at, floor(-log10(known))) + 0.0:.10g}"
