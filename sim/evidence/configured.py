"""The values of the runs' configurations as columns, and the frames that have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from sim.evidence.outcomes import Outcome
from sim.evidence.records import RunRecord

if TYPE_CHECKING:
    import polars as pl

Value: TypeAlias = "str | int | float | bool | list[Value] | None"

PAIRS: Final = ("attack", "steps")  # groups that evidence holds as pairs of name and values
KIND: Final = "_target_"
# parts that a run's own columns state: what is in them by themselves, or what they are named by
STATED: Final = ("seed", "label", "attack", "defense.name")
NAMED: Final = "consortium"  # a run's own column, so that the class of the data set needs another
LARGEST: Final = 2**63  # the least whole number that no column of whole numbers holds


def flat(config: Mapping[str, object]) -> Iterator[tuple[str, Value]]:
    """Every value of a configuration by its dotted key; an empty mapping is None.

    Attacks and steps are mappings from their names to their values.

    >>> dict(flat({"attack": [["alie", {"z": 1.5}]], "training": {"lr": 0.1}, "dp": None}))
    {'attack.alie.z': 1.5, 'training.lr': 0.1, 'dp': None}
    """
    for key, value in config.items():
        inner = dict(value) if key in PAIRS and isinstance(value, list | tuple) else value
        yield from _flat(key, inner)


def _flat(key: str, value: object) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif isinstance(value, Mapping):
        yield key, None
    else:
        yield key, value  # type: ignore[misc]  # a configuration holds plain values


def texts(config: Mapping[str, object]) -> dict[str, str]:
    """Every value of a configuration by its dotted key: texts as they are, others as JSON."""
    found = flat(config)
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found}


def columns(records: Sequence[RunRecord], *, every: bool = False) -> list[pl.Series]:
    """A typed column for each value that differs between the runs, or for ``every`` value.

    The name is the dotted key. The class of a part of the configuration (a rule, a model) is in the
    column with the part's name, that of a data set in ``consortium.kind``. A run that has no such
    value has a null. What the columns attack, defense and seed of a run state is left out.
    """
    rows = [dict(map(_named, flat(record.config))) for record in records]
    names = sorted({name for row in rows for name in row if name not in STATED})
    found = {name: [row.get(name) for row in rows] for name in names}
    return [_typed(name, values) for name, values in found.items() if every or _differs(values)]


def outcomes(records: Sequence[RunRecord]) -> pl.DataFrame:
    """One row an outcome: its run, and the fields of ``Outcome``."""
    import polars as pl

    rows = [
        (record.run, *(getattr(one, name) for name in Outcome.model_fields))
        for record in records
        for one in record.outcomes
    ]
    schema = dict.fromkeys(("run", *Outcome.model_fields), pl.String())
    kinds = {"value": pl.Float64(), "n": pl.Int64()}
    return pl.DataFrame(rows, schema={**schema, **kinds}, orient="row")


def _named(item: tuple[str, Value]) -> tuple[str, Value]:
    """The item with the name of its column; of a class its name alone."""
    key, value = item
    if key.endswith(f".{KIND}") and isinstance(value, str):
        part = key.removesuffix(f".{KIND}")
        return (f"{part}.kind" if part == NAMED else part), value.rpartition(".")[2]
    return key, value


def _differs(values: Sequence[Value]) -> bool:
    return len({json.dumps(value) for value in values}) > 1


def _typed(name: str, values: Sequence[Value]) -> pl.Series:
    """A column of one type: truth values, whole numbers, numbers, texts, or lists of one of these.

    What has no such type is text, as JSON.
    """
    import polars as pl

    given = [value for value in values if value is not None]
    if not given:
        return pl.Series(name, values, dtype=pl.Null)
    lists = [value for value in given if isinstance(value, list)]
    if len(lists) == len(given):
        inner = _type([one for value in lists for one in value])
        return pl.Series(name, values, dtype=pl.List(inner)) if inner else _as_json(name, values)
    kind = _type(given)
    return pl.Series(name, values, dtype=kind) if kind else _as_json(name, values)


def _type(values: Sequence[object]) -> pl.DataType | None:
    """The type that holds these values; None where no plain one does."""
    import polars as pl

    kinds = {type(value) for value in values}
    if kinds <= {bool} and kinds:
        return pl.Boolean()
    whole = [value for value in values if isinstance(value, int)]
    if kinds == {int} and all(-LARGEST <= value < LARGEST for value in whole):
        return pl.Int64()
    if kinds and kinds <= {int, float}:
        return pl.Float64()
    return pl.String() if kinds <= {str} else None


def _as_json(name: str, values: Sequence[Value]) -> pl.Series:
    import polars as pl

    texts = [None if value is None else json.dumps(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)
