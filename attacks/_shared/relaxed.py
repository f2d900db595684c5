"""Rows of a table as smooth functions of free values, one value a feature column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.types import TableSchema

Values = NDArray[np.floating]
Columns = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The relaxation of a table's mixed columns: free values -> records that can be differentiated.

    The levels of a categorical field are the softmax of their free values, and the flag of an
    absent value is a sigmoid. A continuous value is a sigmoid stretched from ``-bound`` to
    ``bound`` standard deviations, or the free value itself without a ``bound``, times the share to
    which it is not absent.

    ``levels``: columns of all categorical fields, field by field; ``starts``: where each field's
    begin; ``sizes``: how many each has. ``numbers``: columns of the continuous fields; ``flagged``
    and ``flags``: of those that can be absent, the column and that of the flag.
    """

    levels: Columns
    starts: Columns
    sizes: Columns
    numbers: Columns
    flagged: Columns
    flags: Columns
    bound: float | None

    @property
    def weights(self) -> Values:
        """The weight of each column in distances of records, so that each field weighs as much."""
        found = np.ones(len(self.levels) + len(self.numbers) + len(self.flags))
        found[self.levels] = 0.5
        return found

    @classmethod
    def of(cls, schema: TableSchema, bound: float | None) -> Relaxation:
        """The relaxation of the records of a schema."""
        groups = [field.columns for field in schema.fields if field.kind == "categorical"]
        numbers = [field for field in schema.fields if field.kind == "continuous"]
        sizes = _columns([len(group) for group in groups])
        flags = [(one.columns[0], one.missing) for one in numbers if one.missing is not None]
        return cls(
            levels=_columns([column for group in groups for column in group]),
            starts=np.cumsum(sizes) - sizes,
            sizes=sizes,
            numbers=_columns([field.columns[0] for field in numbers]),
            flagged=_columns([column for column, _ in flags]),
            flags=_columns([flag for _, flag in flags]),
            bound=bound,
        )

    def records(self, free: Values) -> Values:
        """The records that free values (..., n_features) stand for."""
        found = np.empty_like(free)
        found[..., self.levels] = self._softmax(free[..., self.levels])
        found[..., self.numbers] = self._stretched(free[..., self.numbers])
        absent = _sigmoid(free[..., self.flags])
        found[..., self.flags] = absent
        found[..., self.flagged] *= 1 - absent
        return found

    def pulled_back(self, free: Values, records: Values, slope: Values) -> Values:
        """The derivatives by free values of what has the derivatives ``slope`` by the records."""
        found = np.empty_like(free)
        shares = records[..., self.levels]
        weighed = shares * slope[..., self.levels]
        found[..., self.levels] = weighed - shares * self._of_group(
            np.add.reduceat(weighed, self.starts, axis=-1)
        )
        stretched = self._stretched(free[..., self.numbers])
        found[..., self.numbers] = slope[..., self.numbers] * self._steepness(stretched)
        absent = records[..., self.flags]
        found[..., self.flagged] *= 1 - absent
        present = self._stretched(free[..., self.flagged])
        by_flag = slope[..., self.flags] - slope[..., self.flagged] * present
        found[..., self.flags] = by_flag * absent * (1 - absent)
        return found

    def projected(self, records: Values) -> Values:
        """The nearest records that a patient can have: one level a field, and flags of 0 or 1."""
        found = records.copy()
        for start, size in zip(self.starts, self.sizes, strict=True):
            columns = self.levels[start : start + size]
            found[..., columns] = np.eye(size)[records[..., columns].argmax(axis=-1)]
        absent = records[..., self.flags] > 0.5
        found[..., self.flags] = absent
        found[..., self.flagged] = np.where(absent, 0.0, records[..., self.flagged])
        return found

    def is_free(self, records: Values) -> NDArray[np.bool_]:
        """The mask of projected records' continuous values that are not absent."""
        found = np.zeros(records.shape, dtype=np.bool_)
        found[..., self.numbers] = True
        found[..., self.flagged] = records[..., self.flags] < 0.5
        return found

    def _softmax(self, free: Values) -> Values:
        largest = np.maximum.reduceat(free, self.starts, axis=-1)
        raised = np.exp(free - self._of_group(largest))
        return raised / self._of_group(np.add.reduceat(raised, self.starts, axis=-1))

    def _of_group(self, values: Values) -> Values:
        """The value of each field for each of its levels."""
        return np.repeat(values, self.sizes, axis=-1)

    def _stretched(self, free: Values) -> Values:
        return free if self.bound is None else self.bound * np.tanh(free / 2)

    def _steepness(self, stretched: Values) -> Values | float:
        return 1.0 if self.bound is None else (self.bound - stretched**2 / self.bound) / 2


def _columns(values: list[int]) -> Columns:
    return np.array(values, dtype=np.intp)


def _sigmoid(free: Values) -> Values:
    return np.asarray(0.5 * (1 + np.tanh(free / 2)))
