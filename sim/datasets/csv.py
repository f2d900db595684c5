"""A consortium's own tables: text files (CSV, TSV) and Parquet, one file or a file per hospital."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import polars as pl

from sim.datasets import own_columns, own_files, own_hospitals, own_parquet, own_text
from sim.datasets.own import Own
from sim.datasets.own_columns import Asked
from sim.datasets.own_files import Sources
from sim.datasets.own_hospitals import Hospitals
from sim.datasets.own_text import Form
from sim.datasets.table import Site, Table, consortium, split
from sim.errors import InputError, one_of
from sim.seeds import stream
from sim.types import Consortium, SourceColumn

KINDS = ("csv", "tsv", "txt", "parquet")
USUAL = ("utf-8, separator ,", "Parquet")
SOURCE = "a consortium's own data, not public"
MISSING = ("NA", "N/A", "NaN", "null", "None", "?", -9, -99, -999, -9999)


@dataclass(frozen=True)
class OwnTables(Own):
    """Patients of a consortium's own files, one a line; label 1 is the condition.

    ``numbers``, ``categories``, ``dates`` and ``leave_out`` name columns whose kind is not to be
    found out. ``levels``: lists of a category and the names of its levels, which may be shown.
    ``missing``: cells that stand for no value. The other parameters are those of ``Own``.

    The data are not public. What may identify a patient is left out (docs/own-data.md).
    """

    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()
    dates: Sequence[str] = ()
    leave_out: Sequence[str] = ()
    levels: Sequence[Sequence[str]] = ()
    missing: Sequence[str | int | float] = MISSING
    encoding: str = "auto"
    separator: str = "auto"
    decimal: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(own_text.ENCODINGS, encoding=self.encoding)
        one_of(("auto", *own_text.SEPARATORS), separator=self.separator)
        one_of(own_text.DECIMALS, decimal=self.decimal)
        if not all(self.levels):
            expected = "expected a column and the names of its levels in each list"
            raise InputError("levels", "an empty list", expected)

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``csv7`` for 7 hospitals."""
        read = _read(own_files.read(self.path, KINDS), _Options(self))
        parts = self.sharing.parts(read.hospitals, read.table.labels, seed)
        sites = list[Site]()
        for name, rows in parts.items():
            draws = stream(seed, "split", name)
            sites.append(
                Site(name, name, *split(rows, read.table.labels, self.test_fraction, draws))
            )
        made = consortium(f"csv{len(sites)}", read.table, sites, public=False, provenance="own")
        notes = [*read.notes, *own_hospitals.notes(parts, read.table.labels)]
        return replace(made, columns=read.columns, notes=tuple(notes))


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
    hospitals: Hospitals | None
    columns: tuple[SourceColumn, ...]
    notes: tuple[str, ...]


@lru_cache(maxsize=4)
def _read(sources: Sources, options: _Options) -> _Read:
    own = options.own
    assert own.label is not None
    if own.hospital is None:
        own_files.check_names(sources)
    frame, files, notes = _gathered(sources, own)
    frame = own_columns.present(frame, own.missing)
    for key, name in (("label", own.label), ("hospital", own.hospital)):
        if name is not None and name not in frame.columns:
            error = own_columns.unknown(key, name, frame.columns)
            if key == "hospital" and not sources.alone:
                expected = f"{error.expected}; without it each file is a hospital"
                raise InputError(error.key, name, expected)
            raise error
    if own.label == own.hospital:
        raise InputError("label", own.label, "expected another column than hospital=")
    labels = own.classes.of(frame[own.label])
    column = None if own.hospital is None else frame[own.hospital]
    hospitals = own.sharing.hospitals(files, column)
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
    notes += own_columns.telling(found.frame, labels)
    table = Table(found.frame, labels, found.levels, found.units, sources.digest, SOURCE)
    return _Read(table, hospitals, found.found, tuple(notes))


def _gathered(sources: Sources, own: OwnTables) -> tuple[pl.DataFrame, Hospitals | None, list[str]]:
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
