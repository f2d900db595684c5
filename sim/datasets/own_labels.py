"""The patients with the condition in a consortium's own data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim.errors import InputError

Value: TypeAlias = str | bool | int | float
Values: TypeAlias = Value | Sequence[Value] | None


@dataclass(frozen=True)
class Classes:
    """The cells that count as with the condition: ``positive``, or numbers from ``positive_from``.

    ``negative``: labels without it; None for the only other one.
    """

    positive: Values
    negative: Values
    positive_from: float | None

    def __post_init__(self) -> None:
        if (self.positive is None) == (self.positive_from is None):
            expected = "expected the label of patients with the condition, or positive_from="
            raise InputError("positive", _listed(self.positive), expected)
        if self.negative is not None and self.positive is None:
            raise InputError("negative", _listed(self.negative), "expected positive= beside it")

    def of(self, column: pl.Series) -> NDArray[np.float32]:
        """The labels (n,), 1 or 0, of cells that are texts.

        Raises ``InputError`` for a label that is neither, and where all are of one class.
        """
        absent = column.null_count()
        if absent:
            shown = f"no label in {absent} of {len(column)} lines"
            raise InputError("label", shown, "expected a label in each line")
        positive = self._from(column) if self.positive_from is not None else self._in(column)
        for key, found in (("positive", positive), ("negative", ~positive)):
            if not found.any():
                shown = f"no label of {len(column)} is {key}"
                raise InputError(key, shown, "expected patients with and without the condition")
        return positive.astype(np.float32)

    def _from(self, column: pl.Series) -> NDArray[np.bool_]:
        numbers = column.cast(pl.Float64, strict=False)
        wrong = int((~numbers.is_finite().fill_null(False)).sum())
        if wrong:
            shown = f"no number in {wrong} of {len(column)} labels"
            raise InputError("positive_from", shown, "expected labels that are numbers")
        return np.asarray(numbers.to_numpy() >= self.positive_from)

    def _in(self, column: pl.Series) -> NDArray[np.bool_]:
        positive = _is_one_of(column, self.positive)
        if self.negative is None:
            others = column.filter(pl.Series(~positive)).n_unique()
            if others > 1:
                shown = f"{others} other labels beside it"
                expected = (
                    "expected one; negative=[...] lists them, or positive=[...] takes some in"
                )
                raise InputError("positive", shown, expected)
            return positive
        negative = _is_one_of(column, self.negative)
        neither = int((~positive & ~negative).sum())
        both = int((positive & negative).sum())
        if neither or both:
            shown = f"{neither} labels in neither positive nor negative, {both} in both"
            raise InputError("negative", shown, "expected each label in one of the two")
        return positive


def _is_one_of(column: pl.Series, values: Values) -> NDArray[np.bool_]:
    """Which cells are one of ``values``: the same text, or the same number."""
    numbers = column.cast(pl.Float64, strict=False)
    found = np.zeros(len(column), dtype=np.bool_)
    for value in [values] if isinstance(values, str | bool | int | float) else values or []:
        if isinstance(value, bool):
            same = column.str.to_lowercase() == str(value).lower()
        elif isinstance(value, str):
            same = column == value.strip()
        else:
            same = (numbers == float(value)).fill_null(False)
        found |= same.to_numpy()
    return found


def _listed(value: object) -> str:
    return "nothing" if value is None else json.dumps(value)
