"""Words for records: marks such as ``chol:800/sex:male``, conditions such as ``age:60+``.

A mark puts values on records; on images ``patch:2x3:16`` sets the lower right 2 rows by 3 columns
to 16. A condition (``sex:female``, ``age:60+``, ``age:40-``) picks some of the records. These words
hold no character that a shell or Hydra reads as its own.
"""

import math
import re

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.types import Field, ImageSchema, Schema

Features = NDArray[np.float32]
Assignment = tuple[str, str]  # a field and its value, as written

PATCH = "patch"
# Standard deviations above the mean: hardly any patient is there, so a mark costs little accuracy.
FAR = 5.0


def assignments(mark: str, schema: Schema, n_default: int = 1) -> list[Assignment]:
    """The fields and values of a mark.

    An empty mark stands for the first ``n_default`` continuous fields, each far above its mean.
    """
    if mark:
        pairs = [_pair("mark", part) for part in mark.split("/")]
        return [part for pair in pairs for part in _spelled_out(pair, schema)]
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
            levels = np.eye(len(field.columns), dtype=np.float32)
            marked[:, field.columns] = levels[_level(field, value)]
            continue
        marked[:, field.columns[0]] = (_number(name, value) - field.center) / field.scale
        if field.missing is not None:
            marked[:, field.missing] = 0
    return marked


def picked(features: Features, schema: Schema, where: str) -> NDArray[np.bool_]:
    """Whether each record fits the condition ``where``, (n,); an empty one fits all.

    ``where`` is ``FIELD:LEVEL``, ``FIELD:NUMBER+`` (at least) or ``FIELD:NUMBER-`` (at most).
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
    values = field.center + field.scale * features[:, field.columns[0]]
    bound = _number(name, value[:-1])
    fits = values >= bound if value[-1] == "+" else values <= bound
    return np.asarray(fits if field.missing is None else fits & (features[:, field.missing] == 0))


def _spelled_out(pair: Assignment, schema: Schema) -> list[Assignment]:
    """The pair itself, or the pixels of a patch and their value."""
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
    names = ", ".join(field.name for field in schema.fields)
    raise InputError("field", name, f"expected one of {names}")


def _level(field: Field, value: str) -> int:
    if value not in field.levels:
        raise InputError(field.name, value, f"expected one of {', '.join(field.levels)}")
    return field.levels.index(value)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(name, value, "expected a number")
    return number
