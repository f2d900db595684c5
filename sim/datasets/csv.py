"""A consortium's own tables: text files (CSV, TSV) and Parquet, one file or a file per hospital."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim import limits
from sim.datasets import own_columns, own_files, own_parquet, own_text, sharing_out
from sim.datasets.own_columns import FEW, Asked
from sim.datasets.own_files import Sources
from sim.datasets.own_text import Form
from sim.datasets.table import Rows, Site, Table, consortium, split
from sim.errors import InputError, number, one_of, whole
from sim.seeds import stream
from sim.types import Consortium, SourceColumn

Value: TypeAlias = str | bool | int | float
KINDS = ("csv", "tsv", "txt", "parquet")
USUAL = ("utf-8, separator ,", "Parquet")
SOURCE = "a consortium's own data, not public"
MISSING = ("NA", "N/A", "NaN", "null", "None", "?", -9, -99, -999, -9999)


@dataclass(frozen=True)
class OwnTables:
    """Patients of a consortium's own files, one a line; label 1 is the condition.

    ``path``: a file, a folder with a file per hospital, or a list of files. ``hospital``: the
    column that names the hospital; without it each file of several is a hospital, and one file is
    shared out (``partition``: ``equal``, ``size`` or ``dirichlet``) to ``n_hospitals``. ``label``:
    the column of the condition; ``positive``: its values of patients with it, ``negative``: of
    those without, where there are several; or ``positive_from``: the least number with it.
    ``numbers``, ``categories``, ``dates`` and ``leave_out`` name columns whose kind is not to be
    found out. ``levels``: lists of a category and the names of its levels, which may be shown.
    ``missing``: cells that stand for no value.

    The data are not public. What may identify a patient is left out (docs/own-data.md).
    """

    path: str | Sequence[str] | None = None
    hospital: str | None = None
    label: str | None = None
    positive: Value | Sequence[Value] | None = None
    negative: Value | Sequence[Value] | None = None
    positive_from: float | None = None
    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()
    dates: Sequence[str] = ()
    leave_out: Sequence[str] = ()
    levels: Sequence[Sequence[str]] = ()
    missing: Sequence[str | int | float] = MISSING
    encoding: str = "auto"
    separator: str = "auto"
    decimal: str = "auto"
    partition: str | None = None
    n_hospitals: int = 8
    alpha: float = 0.5
    min_rows: int = 10
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        if not self.label:
            raise InputError("label", "nothing", "expected the column with the condition")
        if (self.positive is None) == (self.positive_from is None):
            expected = "expected the label of patients with the condition, or positive_from="
            raise InputError("positive", _listed(self.positive), expected)
        if self.negative is not None and self.positive is None:
            raise InputError("negative", _listed(self.negative), "expected positive= beside it")
        one_of(own_text.ENCODINGS, encoding=self.encoding)
        one_of(("auto", *own_text.SEPARATORS), separator=self.separator)
        one_of(own_text.DECIMALS, decimal=self.decimal)
        if self.partition is not None:
            one_of(sharing_out.WAYS, partition=self.partition)
            if self.hospital is not None:
                expected = f"expected none, because hospital={self.hospital} shares patients out"
                raise InputError("partition", self.partition, expected)
        if not all(self.levels):
            expected = "expected a column and the names of its levels in each list"
            raise InputError("levels", "an empty list", expected)
        whole(1, limits.HOSPITALS, n_hospitals=self.n_hospitals)
        whole(4, min_rows=self.min_rows)
        number(0, open_low=True, alpha=self.alpha)
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``csv7`` for 7 hospitals."""
        read = _read(own_files.read(self.path, KINDS), _Options(self))
        parts = self._parts(read, seed)
        sites = list[Site]()
        for name, rows in parts.items():
            draws = stream(seed, "split", name)
            sites.append(
                Site(name, name, *split(rows, read.table.labels, self.test_fraction, draws))
            )
        made = consortium(f"csv{len(sites)}", read.table, sites, public=False)
        notes = [*read.notes, *_notes(parts, read.table.labels)]
        return replace(made, columns=read.columns, notes=tuple(notes))

    def _parts(self, read: _Read, seed: int) -> Mapping[str, Rows]:
        """The row numbers of each hospital."""
        if read.hospitals is not None:
            return _by_name(read.hospitals, self.min_rows)
        draws = stream(seed, "split", "own")
        names = sharing_out.hospital_names(self.n_hospitals)
        parts = sharing_out.shared_out(
            str(self.partition),
            read.table.labels,
            self.n_hospitals,
            self.alpha,
            self.min_rows,
            draws,
        )
        return dict(zip(names, parts, strict=True))


class _Options:
    """The parameters as a key of what was read with them: equal where the parameters are equal."""

    def __init__(self, own: OwnTables) -> None:
        self.own = own
        self.text = json.dumps(asdict(own), sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Options) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True)
class _Read:
    """What was read: the table, each patient's hospital (None: to be shared out), and notes."""

    table: Table
    hospitals: NDArray[np.object_] | None
    columns: tuple[SourceColumn, ...]
    notes: tuple[str, ...]


@lru_cache(maxsize=4)
def _read(sources: Sources, options: _Options) -> _Read:
    own = options.own
    assert own.label is not None
    frame, hospitals, notes = _gathered(sources, own)
    frame = own_columns.present(frame, own.missing)
    for key, name in (("label", own.label), ("hospital", own.hospital)):
        if name is not None and name not in frame.columns:
            raise own_columns.unknown(key, name, frame.columns)
    if own.label == own.hospital:
        raise InputError("label", own.label, "expected another column than hospital=")
    labels = _labels(frame[own.label], own)
    if own.hospital is not None:
        hospitals = _hospitals(frame[own.hospital])
    if hospitals is None and own.partition is None:
        expected = (
            "expected the column that names the hospital, a folder with a file per hospital, or"
            f" partition= one of {', '.join(sharing_out.WAYS)}"
        )
        raise InputError("hospital", "nothing", expected)
    if hospitals is not None and own.partition is not None:
        expected = "expected none, because each file is a hospital"
        raise InputError("partition", own.partition, expected)
    used = [name for name in frame.columns if name not in (own.label, own.hospital)]
    asked = Asked(
        numbers=tuple(own.numbers),
        categories=tuple(own.categories),
        dates=tuple(own.dates),
        leave_out=tuple(own.leave_out),
        levels=tuple((name, tuple(levels)) for name, *levels in own.levels),
        missing=tuple(own.missing),
    )
    found = own_columns.columns(frame.select(used), asked)
    left_out = [one.name for one in found.found if not one.used]
    if left_out:
        some = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        notes = [*notes, f"{len(left_out)} of {len(used)} columns are left out: {some}."]
    table = Table(found.frame, labels, found.levels, found.units, sources.digest, SOURCE)
    return _Read(table, hospitals, found.found, tuple(notes))


def _gathered(
    sources: Sources, own: OwnTables
) -> tuple[pl.DataFrame, NDArray[np.object_] | None, list[str]]:
    """The cells of all files as texts, each patient's file where there are several, and notes.

    Columns are the same where their names differ in case, spaces and signs only; a column that a
    file does not have is absent there.
    """
    frames = list[pl.DataFrame]()
    written = dict[str, list[str]]()
    for source in sources.files:
        if source.kind == "parquet":
            frame, words = own_parquet.table(source)
        else:
            frame, words = own_text.table(source, Form(own.encoding, own.separator, own.decimal))
        frames.append(frame)
        written.setdefault(words, []).append(source.name)
    notes = [
        f"{len(names)} of {len(frames)} files read as {words}."
        for words, names in sorted(written.items())
        if words not in USUAL
    ]
    if sources.alone:
        return frames[0], None, notes
    spelled = dict[str, str]()
    for place, frame in enumerate(frames):
        own_names = {name: own_columns.plain(name) or name for name in frame.columns}
        if len(set(own_names.values())) < len(own_names):
            own_names = {name: name for name in frame.columns}
        renamed = {name: spelled.setdefault(key, name) for name, key in own_names.items()}
        frames[place] = frame.rename(renamed)
    lacking = sum(name not in frame.columns for frame in frames for name in spelled.values())
    if lacking:
        n = sum(any(name not in frame.columns for frame in frames) for name in spelled.values())
        notes.append(f"{n} columns are not in all {len(frames)} files; there they are absent.")
    names = [one.name for one in sources.files]
    files = np.repeat(np.array(names, dtype=object), [len(frame) for frame in frames])
    return pl.concat(frames, how="diagonal"), files, notes


def _labels(column: pl.Series, own: OwnTables) -> NDArray[np.float32]:
    """1 for patients with the condition, 0 for those without; refuses a label that is neither."""
    absent = column.null_count()
    if absent:
        shown = f"no label in {absent} of {len(column)} lines"
        raise InputError("label", shown, "expected a label in each line")
    if own.positive_from is not None:
        numbers = column.cast(pl.Float64, strict=False)
        wrong = int((~numbers.is_finite().fill_null(False)).sum())
        if wrong:
            shown = f"no number in {wrong} of {len(column)} labels"
            raise InputError("positive_from", shown, "expected labels that are numbers")
        positive = (numbers >= own.positive_from).to_numpy()
        negative = ~positive
    else:
        positive = _is_one_of(column, own.positive)
        if own.negative is None:
            negative = ~positive
            others = column.filter(pl.Series(negative)).n_unique()
            if others > 1:
                shown = f"{others} other labels beside it"
                expected = (
                    "expected one; negative=[...] lists them, or positive=[...] takes some in"
                )
                raise InputError("positive", shown, expected)
        else:
            negative = _is_one_of(column, own.negative)
        neither = int((~positive & ~negative).sum())
        both = int((positive & negative).sum())
        if neither or both:
            shown = f"{neither} labels in neither positive nor negative, {both} in both"
            raise InputError("negative", shown, "expected each label in one of the two")
    for key, found in (("positive", positive), ("negative", negative)):
        if not found.any():
            shown = f"no label of {len(column)} is {key}"
            raise InputError(key, shown, "expected patients with and without the condition")
    return positive.astype(np.float32)


def _is_one_of(column: pl.Series, values: Value | Sequence[Value] | None) -> NDArray[np.bool_]:
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


def _hospitals(column: pl.Series) -> NDArray[np.object_]:
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
    wrong = int((column.str.len_chars() > 100).sum())
    if wrong:
        shown = f"{wrong} names are too long"
        raise InputError("hospital", shown, "expected names of at most 100 characters")
    return column.to_numpy()


def _by_name(hospitals: NDArray[np.object_], min_rows: int) -> Mapping[str, Rows]:
    names, which = np.unique(hospitals.astype(str), return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which))
    parts = dict(zip(map(str, names), np.split(order, ends[:-1]), strict=True))
    tiny = [name for name, rows in parts.items() if len(rows) < min_rows]
    if tiny:
        shown = f"{len(parts[tiny[0]])} patients of {tiny[0]}, the first of {len(tiny)} so small"
        raise InputError("hospital", shown, f"expected at least min_rows={min_rows} of each")
    return parts


def _notes(parts: Mapping[str, Rows], labels: NDArray[np.float32]) -> Sequence[str]:
    """What is to be known of the labels: how the hospitals differ in them."""
    shares = {name: float(labels[rows].mean()) for name, rows in parts.items()}
    low, high = min(shares.values()), max(shares.values())
    one = [name for name, share in shares.items() if share in (0, 1)]
    found = [
        f"{int(labels.sum())} of {len(labels)} patients are with the condition, from {low:.0%} to"
        f" {high:.0%} of a hospital."
    ]
    if one:
        some = ", ".join(one[:3]) + (", ..." if len(one) > 3 else "")
        found.append(f"The patients of {len(one)} hospitals are of one class: {some}.")
    return found


def _listed(value: object) -> str:
    return "nothing" if value is None else json.dumps(value)
