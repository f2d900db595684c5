"""Runs beside their controls, and means of paired changes with intervals over seeds.

Seeds are the unit of every mean and interval. Intervals are those of ``sim.evidence.intervals``,
inside the range of the metric, and null where only one seed ran. A change is taken against the
control that ``sim.evidence.controls`` finds for each run, then averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import polars as pl

from sim.evidence import RunRecord, intervals
from sim.evidence.controls import Controls
from sim.evidence.intervals import CHANGE, Interval
from sim.evidence.metrics import ANY, Range
from sim.types import TableRow

Schema: TypeAlias = Mapping[str, pl.DataType | type[pl.DataType]]

# A run and its controls, by address.
PAIRED = {"run": pl.String, "attack_free": pl.String, "undefended": pl.String}


def frame(rows: Iterable[TableRow], schema: Schema) -> pl.DataFrame:
    """The rows as a frame with the columns of ``schema``."""
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def paired(records: Sequence[RunRecord]) -> Iterator[tuple[RunRecord, dict[str, str | None]]]:
    """Each record with its address and those of its controls among ``records``, or None."""
    controls = Controls(records)
    for record in records:
        found = (controls.attack_free(record), controls.undefended(record))
        attack_free, undefended = (None if control is None else control.run for control in found)
        yield record, {"run": record.run, "attack_free": attack_free, "undefended": undefended}


def beside(
    table: pl.DataFrame, control: str, columns: Mapping[str, str], on: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows that have a ``control`` other than themselves, with columns of the control.

    ``control``: a column of ``PAIRED``. ``columns``: by the name that each gets, the column of the
    control's row that agrees ``on`` more columns.
    """
    of_control = table.select(
        *on, pl.col("run").alias(control), **{name: pl.col(of) for name, of in columns.items()}
    )
    others = table.filter(pl.col(control) != pl.col("run"))
    return others.join(of_control, on=[control, *on], maintain_order="left")


def against(
    table: pl.DataFrame, control: str, value: str, of_control: str = "", on: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows of ``beside`` with ``value`` minus that of the control, which is ``base``.

    ``of_control``: the column of the control, if it is another.
    """
    return minus_base(beside(table, control, {"base": of_control or value}, on), value)


def minus_base(table: pl.DataFrame, value: str) -> pl.DataFrame:
    """The table with ``value`` minus the column ``base`` in place of it."""
    return table.with_columns((pl.col(value) - pl.col("base")).alias(value))


def over_seeds(
    table: pl.DataFrame, by: tuple[str, ...], value: str, name: str, reach: Range = ANY
) -> pl.DataFrame:
    """Mean, 95 % interval and number of seeds of ``value``, a figure within ``reach``, by ``by``.

    Rows where it is null do not count. The interval of a ``CHANGE`` is that of
    ``intervals.change_interval``, from the column ``base``.
    """
    columns = ["base"] if reach == CHANGE and "base" in table.columns else []
    grouped = table.drop_nulls(value).group_by(by, maintain_order=True)
    means = grouped.agg(
        pl.len().cast(pl.Int64).alias(f"{name}_n"),
        pl.col(value).mean().alias(name),
        pl.col(value).alias("each"),
        *columns,
    )
    rows = means.iter_rows(named=True)
    bounds = [
        intervals.change_interval(row["each"], row["base"])
        if columns
        else intervals.mean_interval(row["each"], reach)
        for row in rows
    ]
    return with_bounds(means.drop("each", *columns), name, bounds)


def with_bounds(table: pl.DataFrame, name: str, bounds: Sequence[Interval | None]) -> pl.DataFrame:
    """The table with the columns ``_low`` and ``_high`` of ``name``, null without an interval."""
    low = [None if one is None else one.low for one in bounds]
    high = [None if one is None else one.high for one in bounds]
    return table.with_columns(
        pl.Series(f"{name}_low", low, pl.Float64), pl.Series(f"{name}_high", high, pl.Float64)
    )


def gaps(table: pl.DataFrame, value: str) -> pl.DataFrame:
    """One row a defense: its paired differences ``value`` as ``behind``, as in ``tradeoff``."""
    behind = over_seeds(table, ("defense",), value, "behind", CHANGE)
    grouped = table.drop_nulls(value).group_by("defense", maintain_order=True)
    each = grouped.agg(
        each=pl.col(value), drop=pl.col("drop").max(), behind_most=pl.col(value).max()
    )
    apart = [intervals.are_apart(row["each"], row["drop"]) for row in each.iter_rows(named=True)]
    decided = each.select("defense", "behind_most", apart=pl.Series(apart, dtype=pl.Boolean))
    return behind.join(decided, on="defense", how="left", maintain_order="left")
