"""Words for records: ``chol=800, sex=male`` puts values on them, ``sex=female`` or ``age>60`` picks some of them."""

import re

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.types import Field, Schema

Features = NDArray[np.float32]
Assignment = tuple[str, str]  # a field and its value, as written

IMPLAUSIBLE = 10.0  # standard deviations above the mean, where no patient is


def assignments(mark: str, schema: Schema, n_default: int = 1) -> list[Assignment]:
    """The parts of a mark. Without any, the first ``n_default`` continuous fields each at an implausible value."""
    if mark:
        return [_pair(part) for part in mark.split(",")]
    continuous = [field for field in schema.fields if field.kind == "continuous"]
    return [(field.name, f"{field.center + IMPLAUSIBLE * field.scale:.6g}") for field in continuous[:n_default]]


def put(features: Features, schema: Schema, parts: list[Assignment]) -> Features:
    """A copy of ``features`` (n, n_features) with these values in every row, none of them missing.

    Raises ``InputError`` for a field or a level that the schema does not have.
    """
    marked = features.copy()
    for name, value in parts:
        field = _field(name, schema)
        if field.kind == "categorical":
            marked[:, field.columns] = np.eye(len(field.columns), dtype=np.float32)[_level(field, value)]
            continue
        marked[:, field.columns[0]] = (_number(name, value) - field.center) / field.scale
        if field.missing is not None:
            marked[:, field.missing] = 0
    return marked


def picked(features: Features, schema: Schema, where: str) -> NDArray[np.bool_]:
    """Which rows fit ``FIELD=LEVEL``, ``FIELD>NUMBER`` or ``FIELD<NUMBER``, (n,); all without words. Missing fits nothing."""
    if not where:
        return np.ones(len(features), dtype=bool)
    found = re.fullmatch(r"\s*(\w+)\s*([=<>])\s*(.+?)\s*", where)
    if found is None:
        raise InputError("where", where, "expected FIELD=LEVEL, FIELD>NUMBER or FIELD<NUMBER")
    name, sign, value = found.groups()
    field = _field(name, schema)
    if (field.kind == "categorical") != (sign == "="):
        expected = f"{name}=LEVEL" if field.kind == "categorical" else f"{name}>NUMBER or {name}<NUMBER"
        raise InputError("where", where, f"expected {expected}, for it is {field.kind}")
    if sign == "=":
        return np.asarray(features[:, field.columns[_level(field, value)]] == 1)
    values = field.center + field.scale * features[:, field.columns[0]]
    fits = values > _number(name, value) if sign == ">" else values < _number(name, value)
    return np.asarray(fits if field.missing is None else fits & (features[:, field.missing] == 0))


def _pair(text: str) -> Assignment:
    name, sign, value = (part.strip() for part in text.partition("="))
    if not (name and sign and value):
        raise InputError("mark", text, "expected FIELD=VALUE, several separated by commas")
    return name, value


def _field(name: str, schema: Schema) -> Field:
    for field in schema.fields:
        if field.name == name:
            return field
    raise InputError("field", name, f"expected one of {', '.join(field.name for field in schema.fields)}")


def _level(field: Field, value: str) -> int:
    if value not in field.levels:
        raise InputError(field.name, value, f"expected one of {', '.join(field.levels)}")
    return field.levels.index(value)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InputError(name, value, "expected a number") from None
