"""A text file of patients, one a line, as a table of texts.

Encoding, separator and decimal mark are found in the file unless they are stated.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from sim.datasets.own_files import Source
from sim.errors import InputError

SEPARATORS = (",", ";", "\t", "|")
NAMES = {"\t": "tab"}
ENCODINGS = ("auto", "utf-8", "utf-16", "cp1252", "latin-1")
DECIMALS = ("auto", ".", ",")
MOST_COLUMNS = 2_000
MOST_CELLS = 50_000_000
SAMPLE = 250_000  # characters in which the separator is looked for; none has a longer first line
SAMPLED = 20  # lines of it
EXPONENT = r"([eE][+-]?\d+)?"
NUMBER = {  # with a decimal mark
    ".": rf"^[+-]?(\d*|[1-9]\d{{0,2}}(,\d{{3}})+)\.\d+{EXPONENT}$",
    ",": rf"^[+-]?(\d+|[1-9]\d{{0,2}}(\.\d{{3}})+),\d+{EXPONENT}$",
}
GROUPED = {  # by the other mark, in thousands; the first of them may be a decimal mark as well
    ".": r"^[+-]?[1-9]\d{0,2}(,\d{3})+$",
    ",": r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$",
}
OTHER = {".": ",", ",": "."}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Form:
    """The form of a file; ``auto`` where it is to be found out."""

    encoding: str = "auto"
    separator: str = "auto"
    decimal: str = "auto"


def table(source: Source, form: Form) -> tuple[pl.DataFrame, str]:
    """The cells of a file as texts without spaces around them, null where they are empty, and how
    the file was read, in words.

    Raises ``InputError`` that names the file, and what is wrong by line or column number.
    """
    place = f"path {source.name}.{source.kind}"
    text, encoding = _decoded(place, source.content, form.encoding)
    separator = _separator(place, text) if form.separator == "auto" else form.separator
    names, n_rows = _names(place, text, separator)
    frame = _cells(place, text, separator, names)
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if not frame.height or not n_rows:
        raise InputError(place, "no patients", "expected lines after the first one")
    _check_header(place, frame)
    frame, comma = _points(place, frame, separator, form.decimal)
    words = [encoding, f"separator {NAMES.get(separator, separator)}"]
    words += ["decimal comma"] if comma else []
    return frame, ", ".join(words)


def _decoded(place: str, content: bytes, encoding: str) -> tuple[str, str]:
    marked = next((name for mark, name in MARKS if content.startswith(mark)), None)
    tried = [marked] if marked else ["utf-8", "cp1252"]
    for name in tried if encoding == "auto" else [encoding]:
        try:
            text = content.decode(name)
        except UnicodeError:
            continue
        if "\0" in text:
            raise InputError(place, "NUL characters", "expected text")
        if "\n" not in text:
            text = text.replace("\r", "\n")
        return text, name.removesuffix("-sig")
    expected = f"expected text in {' or '.join(tried) if encoding == 'auto' else encoding}"
    raise InputError(place, "bytes that are no text", f"{expected}; encoding= states another")


def _separator(place: str, text: str) -> str:
    """The separator that cuts the first lines into as many cells each, and into the most of all.

    Where none does the first line decides, so that the line that is wrong is named later.
    """
    sample = text[:SAMPLE]
    if len(sample) < len(text) and "\n" not in sample:
        expected = f"expected at most {SAMPLE:,} characters, and {MOST_COLUMNS:,} columns"
        raise InputError(place, "its first line", expected)
    found = dict[str, tuple[bool, int]]()
    for separator in SEPARATORS:
        lengths = [len(row) for row in _rows(place, sample, separator) if row]
        if len(sample) < len(text) and len(lengths) <= SAMPLED:
            lengths = lengths[:-1]  # which may be cut
        found[separator] = len(set(lengths)) == 1 and lengths[0] > 1, max(lengths[:1], default=0)
    best = max(found, key=lambda one: found[one])
    if found[best][1] < 2:
        raise _one_cell(place)
    return best


def _one_cell(place: str) -> InputError:
    expected = "expected two cells or more in a line, between , or ; or tab or |; or separator="
    return InputError(place, "one cell in its first line", expected)


def _rows(place: str, text: str, separator: str) -> list[list[str]]:
    """The cells of the first lines."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return list(itertools.islice(rows, SAMPLED + 1))
    except csv.Error:
        raise _unclosed(place, rows.line_num) from None


def _unclosed(place: str, line: int) -> InputError:
    expected = "expected cells of at most 131,072 characters, and quotes that close"
    return InputError(place, f"line {line}", expected)


def _names(place: str, text: str, separator: str) -> tuple[list[str], int]:
    """The names of the columns and the number of lines of patients, all of them as long as the
    first.
    """
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names = list[str]()
    n_rows = 0
    try:
        for row in rows:
            if not row:
                continue
            if not names:
                names = checked_names(place, row)
                if len(names) < 2:
                    raise _one_cell(place)
            elif len(row) != len(names):
                shown = f"{len(row)} cells in the line that ends as number {rows.line_num}"
                expected = f"expected {len(names)}, as the first line has; quotes may be missing"
                raise InputError(place, shown, expected)
            else:
                n_rows += 1
                if n_rows * len(names) > MOST_CELLS:
                    raise InputError(place, "more cells", f"expected at most {MOST_CELLS:,}")
    except csv.Error:
        raise _unclosed(place, rows.line_num) from None
    return names, n_rows


def checked_names(place: str, row: Sequence[str]) -> list[str]:
    """Names of columns without spaces around them; a column without a name is ``column_NUMBER``.

    Raises ``InputError`` for names that are no names, with the number of the column and not the
    name, which may be a patient's.
    """
    if len(row) > MOST_COLUMNS:
        raise InputError(place, f"{len(row):,} columns", f"expected at most {MOST_COLUMNS:,}")
    names = [" ".join(name.split()) or f"column_{at}" for at, name in enumerate(row, start=1)]
    for at, name in enumerate(names, start=1):
        if not name.isprintable() or len(name) > 100:
            shown = f"the name of column {at}"
            raise InputError(place, shown, "expected at most 100 printable characters")
        if _is_number(name):
            shown = f"column {at} of the first line is a number"
            raise InputError(place, shown, "expected a first line with the names of the columns")
        if name in names[: at - 1]:
            shown = f"columns {names.index(name) + 1} and {at} have one name"
            raise InputError(place, shown, "expected a name for each column")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _cells(place: str, text: str, separator: str, names: Sequence[str]) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode("utf-8")),
            has_header=True,
            separator=separator,
            infer_schema=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError):
        expected = "expected a quoted cell to begin and end with a quote"
        raise InputError(place, "cells that run into one another", expected) from None
    if frame.width != len(names):
        raise InputError(place, f"{frame.width} columns", f"expected {len(names)}")
    frame.columns = list(names)
    stripped = pl.all().cast(pl.String).str.strip_chars()
    return frame.select(pl.when(stripped == "").then(None).otherwise(stripped).name.keep())


def _check_header(place: str, frame: pl.DataFrame) -> None:
    """Refuse a first line that is a patient: one of its cells stands in its column again."""
    again = sum(bool((frame[name] == name).any()) for name in frame.columns)
    if again:
        shown = f"{again} cells of the first line stand in their columns too"
        raise InputError(place, shown, "expected a first line with the names of the columns")


def _points(
    place: str, frame: pl.DataFrame, separator: str, decimal: str
) -> tuple[pl.DataFrame, bool]:
    """The cells with decimal points and no marks of thousands, and whether they had commas."""
    mark = _mark(place, frame, separator) if decimal == "auto" else decimal
    if mark is None:
        return frame, False
    cell = pl.all()
    is_number = cell.str.contains(NUMBER[mark]) | cell.str.contains(GROUPED[mark])
    number = cell.str.replace_all(OTHER[mark], "", literal=True)
    number = number.str.replace(mark, ".", literal=True)
    return frame.select(pl.when(is_number).then(number).otherwise(cell).name.keep()), mark == ","


def _mark(place: str, frame: pl.DataFrame, separator: str) -> str | None:
    """The decimal mark of a file, None where no cell has one.

    It is the one that stands where no mark of thousands can. Where each mark can be one (14,062), a
    file with semicolons has decimal commas and any other has decimal points; what speaks against
    this is refused, for a wrong guess would multiply values by a thousand.
    """
    sure = {mark: _any(frame, NUMBER[mark], GROUPED[OTHER[mark]]) for mark in (".", ",")}
    if sure["."] or sure[","]:
        return "." if sure["."] else ","
    usual = "," if separator == ";" else "."
    if _any(frame, GROUPED[usual]):
        shown = f"numbers like 1{OTHER[usual]}234 and none that shows what the mark stands for"
        raise InputError(place, shown, "expected decimal=. or decimal=','")
    return usual if _any(frame, NUMBER[usual]) else None


def _any(frame: pl.DataFrame, pattern: str, without: str | None = None) -> bool:
    """Whether a cell fits ``pattern``, and not ``without``."""
    for name in frame.columns:
        fits = frame[name].str.contains(pattern)
        if without is not None:
            fits &= ~frame[name].str.contains(without)
        if fits.any():
            return True
    return False
