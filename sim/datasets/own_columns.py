"""The kind of each column of own data, found out from name and cells; columns of names go.

A cell never leaves this module in a message: columns are named, and cells are counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim.datasets.checks import is_constant
from sim.datasets.encoding import MISSING
from sim.errors import InputError
from sim.limits import LARGEST_FLOAT
from sim.types import SourceColumn

FEW = 5  # patients: what fewer have in common is never named, and has no column of its own
OTHER = "other"  # the level of all values that fewer than FEW patients have
MOST_LEVELS = 30  # of a category that is found out
LONGEST_LEVEL = 40  # characters
NEARLY = 0.95  # share of cells that decides what a column is
UNIQUE = 0.9  # share of cells that differ, from which texts name patients
WORDS = 4  # on average, from which texts are free text

DATE = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}.*)?$"
NAMING = (  # parts of a column's name, in small letters and with _ between words
    r"id|ids|uid|uuid|guid|pid|mrn|mpi|ssn|nhs|npi|dob|ip|url|email|e_mail|fax",
    r"name|names|surname|forename|firstname|lastname|initials|passport|account|accession|barcode",
    r"address|street|zip|zipcode|zip_code|postcode|postal|post_code|phone|telephone|mobile_phone",
    r"birthday|birthdate|birth_(date|day|year)|date_of_birth|year_of_birth|patient|subject|person",
    r"(record|row|insurance|license|licence|patient|subject|person|case|visit|chart|sample|medical)"
    r"_?(no|nr|num|number|key|code)",
)
IDENTIFYING = re.compile(rf"(^|_)({'|'.join(NAMING)})($|_)")
ADDRESSES = r"(@[\w-]+\.\w|^\+?\d[\d ()/-]{8,}\d$|^\d{3}-\d{2}-\d{4}$|^[A-Za-z]{1,4}[-_]?\d{4,}$)"


@dataclass(frozen=True)
class Asked:
    """The statements of a configuration about columns, by name.

    They go before what is found out.

    ``levels``: by category the names of its levels, which everybody may know. ``missing``: cells
    that stand for no value.
    """

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    levels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    missing: tuple[str | int | float, ...] = ()


@dataclass(frozen=True)
class Columns:
    """The columns that are used, encoded for a table, and what is known of all of them.

    ``frame``: numbers, and names of levels; null is absent. ``levels``: by category.
    """

    frame: pl.DataFrame
    levels: Mapping[str, tuple[str, ...]]
    units: Mapping[str, str]
    found: tuple[SourceColumn, ...]


def present(frame: pl.DataFrame, missing: Sequence[str | int | float]) -> pl.DataFrame:
    """The cells, null where a cell is one of the words of ``missing``, in any letters."""
    words = [one.strip().lower() for one in missing if isinstance(one, str)]
    cell = pl.all()
    return frame.select(
        pl.when(cell.str.to_lowercase().is_in(words)).then(None).otherwise(cell).name.keep()
    )


def columns(frame: pl.DataFrame, asked: Asked) -> Columns:
    """The columns of ``frame``, all of them texts, without those that nobody should learn from.

    Raises ``InputError`` for a name of ``asked`` that is no column, for cells that are not what
    ``asked`` states, and where no column is left.
    """
    _check_asked(frame.columns, asked)
    used = dict[str, pl.Series]()
    levels = dict[str, tuple[str, ...]]()
    units = dict[str, str]()
    found = list[SourceColumn]()
    codes = [float(one) for one in asked.missing if not isinstance(one, str)]
    declared = dict(asked.levels)
    for name in frame.columns:
        column = frame[name]
        kind = _asked(name, asked) or _found(column)
        if kind in LEFT_OUT:
            found.append(SourceColumn(name, kind, False, column.null_count(), 0, LEFT_OUT[kind]))
            continue
        if kind == "category":
            series, levels[name], note = _category(column, declared.get(name))
        else:
            series, note = _number(column, codes, kind)
        common = series.drop_nulls()
        if not _varies(common):
            why = "left out: fewer than 5 patients differ from all others"
            found.append(SourceColumn(name, "constant", False, series.null_count(), 0, why))
            levels.pop(name, None)
            continue
        if kind == "days":
            units[name] = "days since 1970"
        used[name] = series
        n_levels = len(levels.get(name, ()))
        found.append(SourceColumn(name, kind, True, series.null_count(), n_levels, note))
    if not used:
        shown = f"{len(found)} columns left out"
        expected = "expected a number or a category; numbers= and categories= take columns in"
        raise InputError("columns", shown, expected)
    return Columns(pl.DataFrame(used), levels, units, tuple(found))


LEFT_OUT = {
    "asked": "left out as asked",
    "empty": "left out: fewer than 5 patients have a value",
    "date": "left out: dates identify patients; dates= takes it in",
    "identifier": "left out: it may identify patients",
    "text": "left out: free text",
    "mixed": "left out: numbers and other texts; missing= or categories= may help",
    "many levels": f"left out: more than {MOST_LEVELS} levels",
}


def _check_asked(names: Sequence[str], asked: Asked) -> None:
    lists = {key: getattr(asked, key) for key in ("numbers", "categories", "dates", "leave_out")}
    lists["levels"] = tuple(name for name, _ in asked.levels)
    seen = dict[str, str]()
    for key, listed in lists.items():
        for name in listed:
            if name not in names:
                raise unknown(key, name, names)
            if key != "levels" and seen.setdefault(name, key) != key:
                raise InputError(key, name, f"expected it in one list, and it is in {seen[name]}")
    for name, levels in asked.levels:
        reserved = {MISSING, OTHER} & set(levels)
        if len(set(levels)) < max(2, len(levels)) or reserved:
            expected = f"expected two different names or more, other than {MISSING} and {OTHER}"
            raise InputError(f"levels.{name}", f"{len(levels)} names", expected)


def unknown(key: str, name: str, names: Sequence[str]) -> InputError:
    """The refusal of a name that is no column, with the column whose name is nearest to it."""
    import difflib

    near = difflib.get_close_matches(plain(name), [plain(one) for one in names], n=1)
    hint = next((f"; did you mean {one}?" for one in names if near and plain(one) == near[0]), "")
    return InputError(key, name, f"expected a column of the data, which have {len(names)}{hint}")


def plain(name: str) -> str:
    """The name in small letters and digits, with _ between them."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _asked(name: str, asked: Asked) -> str | None:
    if name in asked.leave_out:
        return "asked"
    if name in asked.numbers:
        return "number"
    if name in asked.categories or name in dict(asked.levels):
        return "category"
    return "days" if name in asked.dates else None


def _found(column: pl.Series) -> str:
    """What a column is by its name and its cells."""
    cells = column.drop_nulls()
    n = len(cells)
    if n < FEW:
        return "empty"
    if IDENTIFYING.search(plain(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name))):
        return "identifier"
    n_different = cells.n_unique()
    numbers = cells.cast(pl.Float64, strict=False)
    share = 1 - numbers.null_count() / n
    if share == 1:
        values = numbers.to_numpy()
        return "identifier" if _is_serial(values, n_different) else "number"
    if _share(cells, DATE) >= NEARLY:
        return "date"
    if share > 0.5:
        return "mixed"
    if _share(cells, ADDRESSES) >= 0.5:
        return "identifier"
    lengths = cells.str.len_chars()
    longest = _float(lengths.max())
    if _float(cells.str.count_matches(r"\S+").mean()) >= WORDS or longest > 200:
        return "text"
    if n_different >= UNIQUE * n and n_different > MOST_LEVELS:
        return "identifier"
    if n_different > MOST_LEVELS:
        return "many levels"
    if longest > LONGEST_LEVEL or 2 * n_different > n:
        return "text"
    return "category"


def _share(cells: pl.Series, pattern: str) -> float:
    return _float(cells.str.contains(pattern).mean())


def _float(found: object) -> float:
    """A number that polars found, whose type it leaves open; 0 where it found none."""
    return float(cast(float, found or 0.0))


def _is_serial(values: NDArray[np.float64], n_different: int) -> bool:
    """Whether whole numbers count or number patients: all of them differ, and they run on from one
    another or have five digits and more.
    """
    whole = np.isfinite(values).all() and (values == np.floor(values)).all()
    if not whole or n_different < len(values) or len(values) < 2 * FEW:
        return False
    return bool(np.ptp(values) < 2 * len(values) or np.abs(values).min() >= 1e4)


def _number(column: pl.Series, codes: Sequence[float], kind: str) -> tuple[pl.Series, str]:
    """A column of numbers without the codes that stand for no value, and a note on these.

    A negative code stands for no value only where no other number is negative.
    """
    if kind == "days":
        return _days(column), "taken in as asked"
    numbers = column.cast(pl.Float64, strict=False)
    wrong = int((numbers.is_null() & column.is_not_null()).sum())
    if wrong:
        shown = f"{wrong} of {len(column)} cells are no numbers"
        expected = "expected numbers; missing= names a cell that stands for no value"
        raise InputError(f"numbers {column.name}", shown, expected)
    size = numbers.fill_null(0.0).abs()
    broken = int((~size.is_finite()).sum())
    if broken:
        shown = f"{broken} of {len(column)} cells are infinite or no number"
        raise InputError(f"column {column.name}", shown, "expected finite numbers")
    if large := int((size > LARGEST_FLOAT).sum()):
        shown = f"{large} of {len(column)} cells are larger"
        expected = f"expected numbers of at most {LARGEST_FLOAT:g}"
        raise InputError(f"column {column.name}", shown, expected)
    is_code = numbers.is_in(codes)
    below = bool(((numbers < 0) & ~is_code).any())
    taken = [code for code in codes if code >= 0 or not below]
    absent = numbers.is_in(taken).fill_null(False)
    n_absent = int(absent.sum())
    note = f"{n_absent} codes taken for no value" if n_absent else ""
    return pl.select(
        pl.when(absent).then(None).otherwise(numbers).alias(column.name)
    ).to_series(), note


FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y")


def _days(column: pl.Series) -> pl.Series:
    """Dates as days since 1970, in the one form that all of them have."""
    days = column.str.extract(r"^([^T ]+)")
    for form in FORMS:
        read = days.str.to_date(form, strict=False)
        if read.null_count() == column.null_count():
            return read.cast(pl.Int32).cast(pl.Float64)
    expected = f"expected dates in one of the forms {', '.join(FORMS)}"
    raise InputError(f"dates {column.name}", "cells in no one form", expected)


def _category(
    column: pl.Series, declared: tuple[str, ...] | None
) -> tuple[pl.Series, tuple[str, ...], str]:
    """A column of names of levels.

    Levels that were found out are numbered, in the order of their texts, for a text of a cell is a
    patient's; those that fewer than ``FEW`` patients have are one level, ``other``.
    """
    counts = column.drop_nulls().value_counts(name="n")
    texts = counts[column.name].to_list()
    numbers = dict(zip(texts, counts["n"].to_list(), strict=True))
    if declared is not None:
        names = {text: text for text in texts if text in declared}
        listed = declared
    else:
        common = sorted(text for text in texts if numbers[text] >= FEW)
        width = len(str(len(common)))
        names = {text: f"level_{at:0{width}d}" for at, text in enumerate(common, start=1)}
        listed = tuple(names.values())
    rest = [text for text in texts if text not in names]
    if len(listed) + bool(rest) > 10 * MOST_LEVELS:
        shown = f"{len(listed)} levels"
        raise InputError(f"categories {column.name}", shown, f"expected at most {10 * MOST_LEVELS}")
    levels = (*listed, OTHER) if rest else listed
    note = f"{len(rest)} levels in other" if rest else ""
    every = {**names, **dict.fromkeys(rest, OTHER)}
    series = column.replace_strict(every, default=None, return_dtype=pl.String)
    return series.alias(column.name), levels, note


def _varies(values: pl.Series) -> bool:
    """Whether at least ``FEW`` patients differ from all others, by more than rounding."""
    if len(values) < FEW:
        return False
    if values.dtype == pl.Float64 and is_constant(_float(values.min()), _float(values.max())):
        return False
    most = values.value_counts(name="n")["n"].max()
    return len(values) - _float(most) >= FEW


def telling(frame: pl.DataFrame, labels: NDArray[np.float32]) -> list[str]:
    """A note on columns of few values each of which goes with one label: they may be the label."""
    found = list[str]()
    for name in frame.columns:
        values = frame.select(value=pl.col(name), label=pl.Series(labels))
        shares = values.drop_nulls().group_by("value").agg(pl.col("label").mean())["label"]
        if len(shares) <= MOST_LEVELS and shares.is_in([0.0, 1.0]).all():
            found.append(name)
    if not found:
        return []
    return [f"Each value of these columns goes with one label, as if they were it: {_some(found)}."]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
