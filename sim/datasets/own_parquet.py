"""A Parquet file of patients as a table of texts."""

from __future__ import annotations

import io

import polars as pl

from sim.datasets.own_files import MOST_BYTES, Source
from sim.datasets.own_text import MOST_CELLS, checked_names
from sim.errors import InputError

PANIC = pl.exceptions.PanicException  # which is no Exception
UNREADABLE = (pl.exceptions.PolarsError, PANIC, OSError, ValueError, OverflowError)


def table(source: Source) -> tuple[pl.DataFrame, str]:
    """The cells of a file as texts without spaces around them, null where they are empty, and how
    the file was read, in words.

    Columns of lists, of other nested values and of bytes are left out. Raises ``InputError``.
    """
    place = f"path {source.name}.{source.kind}"
    try:
        form = pl.read_parquet_schema(io.BytesIO(source.content))
        rows = pl.scan_parquet(io.BytesIO(source.content)).select(pl.len()).collect().item()
    except UNREADABLE:
        raise InputError(place, "bytes that are no Parquet", "expected a Parquet file") from None
    names = checked_names(place, list(form))
    if rows * len(form) > MOST_CELLS:
        shown = f"{rows:,} lines of {len(form):,} cells"
        raise InputError(place, shown, f"expected at most {MOST_CELLS:,} cells")
    plain = [name for name, kind in form.items() if not kind.is_nested() and kind != pl.Binary]
    if not rows or not plain:
        raise InputError(place, "no patients", "expected lines with numbers and texts")
    try:
        frame = pl.read_parquet(io.BytesIO(source.content), columns=plain)
        frame = frame.select(pl.all().cast(pl.String))
        sizes = frame.select(pl.all().str.len_bytes().sum().cast(pl.Int64)).row(0)
    except UNREADABLE:
        raise InputError(place, "bytes that are no Parquet", "expected a Parquet file") from None
    if sum(sizes) > MOST_BYTES:
        shown = f"{sum(sizes) / 1e6:,.0f} MB when unpacked"
        raise InputError(place, shown, f"expected at most {MOST_BYTES / 1e6:,.0f} MB")
    named = dict(zip(form, names, strict=True))
    stripped = pl.all().str.strip_chars()
    cells = frame.select(pl.when(stripped == "").then(None).otherwise(stripped).name.keep())
    left = len(form) - len(plain)
    words = f"Parquet, {left} nested columns left out" if left else "Parquet"
    return cells.rename({name: named[name] for name in plain}), words
