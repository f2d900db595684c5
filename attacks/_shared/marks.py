"""Words for records: ``chol:800/sex:male`` puts values on them; ``sex:female``, ``age:60+`` or
``age:40-`` picks some of them.

On images ``patch:2x3:16`` sets the lower right 2 rows by 3 columns to 16.
A command line takes these words as they are: they hold no character that a shell or Hydra reads as
its own.
"""

import re

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.types import Field, ImageSchema, Schema

Features = NDArray[np.float32]
Assignment = tuple[str, str]  # a field and its value, as written

PATCH = "patch"
# standard deviations above the mean: hardly any patient is there, so that a mark there costs little
# accuracy
FAR = 5.0


def assignments(mark: str, schema: Schema, n_default: int = 1) -> list[Assignment]:
    """The parts of a mark. Without any, the first ``n_default`` continuous fields each far above
    its mean.
    """
    if mark:
        return [
            pair for part in mark.split("/") for pair in _spelled_out(_pair("mark", part), schema)
        ]
    continuous = [field for field in schema.fields if field.kind == "continuous"]
    return [
        (field.name, f"{field.center + FAR * field.scale:.6g}") for field in continuous[:n_default]
    ]


def put(features: Features, schema: Schema, parts: list[Assignment]) -> Features:
    """A copy of ``features`` (n, n_features) with these values in every row, none of them missing.

    Raises ``InputError`` for a field or a level that the schema does not have.
    """
    marked = features.copy()
    for name, value in parts:
        field = _field(name, schema)
        if field.kind == "categorical":
            marked[:, field.columns] = np.eye(len(field.columns), dtype=np.float32)[
                _level(field, value)
            ]
            continue
        marked[:, field.columns[0]] = (_number(name, value) - field.center) / field.scale
        if field.missing is not None:
            marked[:, field.missing] = 0
    return marked


def picked(features: Features, schema: Schema, where: str) -> NDArray[np.bool_]:
    """Which rows fit ``FIELD:LEVEL``, or ``FIELD:NUMBER+`` and ``FIELD:NUMBER-`` (at least, at
    most), (n,); all without words.

    Missing values fit nothing. Raises ``InputError`` for a field or a level that the schema does
    not have.
    """
    if not where:
        return np.ones(len(features), dtype=bool)
    name, value = _pair("where", where)
    field = _field(name, schema)
    if field.kind == "categorical":
        return np.asarray(features[:, field.columns[_level(field, value)]] == 1)
    if value[-1] not in "+-":
        raise InputError("where", where, f"expected {name}:NUMBER+ or {name}:NUMBER-")
    values, bound = (
        field.center + field.scale * features[:, field.columns[0]],
        _number(name, value[:-1]),
    )
    fits = values >= bound if value[-1] == "+" else values <= bound
    return np.asarray(fits if field.missing is None else fits & (features[:, field.missing] == 0))


def _spelled_out(pair: Assignment, schema: Schema) -> list[Assignment]:
    """What a pair stands for: itself, or the pixels of a patch."""
    if pair[0] != PATCH:
        return [pair]
    if not isinstance(schema, ImageSchema):
        raise InputError("mark", ":".join(pair), "expected a consortium of images")
    size = re.fullmatch(r"([1-9]\d*)x([1-9]\d*):(.+)", pair[1])
    if size is None:
        raise InputError("mark", ":".join(pair), "expected patch:ROWSxCOLUMNS:VALUE")
    height = int(size[1])
    width = int(size[2])
    if height > schema.height or width > schema.width:
        largest = f"expected a patch of at most {schema.height}x{schema.width} pixels"
        raise InputError("mark", ":".join(pair), largest)
    return [(pixel.name, size[3]) for pixel in schema.corner(height, width)]


def _pair(key: str, text: str) -> Assignment:
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not (name and colon and value):
        raise InputError(key, text, "expected FIELD:VALUE")
    return name, value


def _field(name: str, schema: Schema) -> Field:
    for field in schema.fields:
        if field.name == name:
            return field
    raise InputError(
        "field", name, f"expected one of {', '.join(field.name for field in schema.fields)}"
    )


def _level(field: Field, value: str) -> int:
    if value not in field.levels:
        raise InputError(field.name, value, f"expected one of {', '.join(field.levels)}")
    return field.levels.index(value)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InputError(name, value, "expected a number") from None
