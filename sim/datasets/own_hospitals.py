"""The patients of each hospital in a consortium's own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim import limits
from sim.datasets import sharing_out
from sim.datasets.own_columns import FEW
from sim.datasets.table import Rows
from sim.errors import InputError, number, one_of, whole
from sim.seeds import stream

LONGEST_NAME = 100  # characters
Hospitals = NDArray[np.object_]  # of each patient


@dataclass(frozen=True)
class Sharing:
    """The way in which patients come to hospitals: by a column, by file, or by ``partition``."""

    hospital: str | None
    partition: str | None
    n_hospitals: int
    alpha: float
    min_rows: int

    def __post_init__(self) -> None:
        if self.partition is not None:
            one_of(sharing_out.WAYS, partition=self.partition)
            if self.hospital is not None:
                expected = f"expected none, because hospital={self.hospital} shares patients out"
                raise InputError("partition", self.partition, expected)
        whole(1, limits.HOSPITALS, n_hospitals=self.n_hospitals)
        whole(4, min_rows=self.min_rows)
        number(0, open_low=True, alpha=self.alpha)

    def hospitals(self, files: Hospitals | None, column: pl.Series | None) -> Hospitals | None:
        """Each patient's hospital, None where patients are to be shared out.

        ``files``: each patient's file, None where there is one; ``column``: what names hospitals.
        """
        if column is not None:
            return _named(column)
        if files is None and self.partition is None:
            ways = ", ".join(sharing_out.WAYS)
            expected = (
                "expected the column that names the hospital, a folder with a file per hospital, or"
                f" partition= one of {ways}"
            )
            raise InputError("hospital", "nothing", expected)
        if files is not None and self.partition is not None:
            expected = "expected none, because each file is a hospital"
            raise InputError("partition", self.partition, expected)
        return files

    def parts(
        self, hospitals: Hospitals | None, labels: NDArray[np.float32], seed: int
    ) -> Mapping[str, Rows]:
        """The row numbers of each hospital. Raises ``InputError`` for too few."""
        if hospitals is not None:
            return _by_name(hospitals, self.min_rows)
        draws = stream(seed, "split", "own")
        names = sharing_out.hospital_names(self.n_hospitals)
        way = str(self.partition)
        parts = sharing_out.shared_out(
            way, labels, self.n_hospitals, self.alpha, self.min_rows, draws
        )
        return dict(zip(names, parts, strict=True))


def notes(parts: Mapping[str, Rows], labels: NDArray[np.float32]) -> Sequence[str]:
    """Notes on the labels for the reader of a report: how the hospitals differ in them."""
    shares = {name: float(labels[rows].mean()) for name, rows in parts.items()}
    low = min(shares.values())
    high = max(shares.values())
    one = [name for name, share in shares.items() if share in (0, 1)]
    found = [
        f"{int(labels.sum())} of {len(labels)} patients are with the condition, from {low:.0%} to"
        f" {high:.0%} of a hospital."
    ]
    if one:
        some = ", ".join(one[:3]) + (", ..." if len(one) > 3 else "")
        found.append(f"The patients of {len(one)} hospitals are of one class: {some}.")
    return found


def _named(column: pl.Series) -> Hospitals:
    """Each patient's hospital.

    Raises ``InputError`` for cells that name no hospital, which may be patients' own: they are
    counted and not shown.
    """
    absent = column.null_count()
    if absent:
        shown = f"no hospital in {absent} of {len(column)} lines"
        raise InputError("hospital", shown, "expected a hospital in each line")
    counts = column.value_counts(name="n")["n"]
    few = int((counts < FEW).sum())
    if few:
        shown = (
            f"{few} of {len(counts)} names in column {column.name} are of fewer than {FEW} lines"
        )
        raise InputError("hospital", shown, "expected the column that names hospitals")
    wrong = int((column.str.len_chars() > LONGEST_NAME).sum())
    if wrong:
        shown = f"{wrong} names are too long"
        expected = f"expected names of at most {LONGEST_NAME} characters"
        raise InputError("hospital", shown, expected)
    return column.to_numpy()


def _by_name(hospitals: Hospitals, min_rows: int) -> Mapping[str, Rows]:
    names, which = np.unique(hospitals.astype(str), return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which))
    parts = dict(zip(map(str, names), np.split(order, ends[:-1]), strict=True))
    tiny = [name for name, rows in parts.items() if len(rows) < min_rows]
    if tiny:
        shown = f"{len(parts[tiny[0]])} patients of {tiny[0]}, the first of {len(tiny)} so small"
        raise InputError("hospital", shown, f"expected at least min_rows={min_rows} of each")
    return parts
