"""The forest plot of what differs between two folders: a line a figure, right is worse."""

from __future__ import annotations

from typing import Final

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures import style
from reports.figures.style import Width, sized
from reports.text import differences as sentences
from sim.types import TableRow

MOST_DRAWN: Final = 40  # lines; of more those that changed most
COLORS: Final = {"worse": style.VERMILION, "better": style.GREEN, "not decided": style.BLUE}
MARKERS: Final = {"worse": "D", "better": "s", "not decided": "o"}


@sized
def differences(changes: pl.DataFrame, width: Width, drop: float) -> Figure:
    """Each main change with its 95 % interval, turned so that right is worse.

    ``changes``: a frame of ``reports.analysis.differences``. ``drop``: what counts as material. A
    small triangle is the seed that fares worst.
    """
    rows = chosen(changes)
    each = 0.44 if width.narrow else 0.24
    figure = style.new_figure(width.inches, width.high(1.3 + each * len(rows)))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _line(axes, row, place)
    axes.axvline(0, color=style.SOFT, linewidth=0.8, zorder=1)
    axes.axvspan(-drop, drop, color=style.FAINT, alpha=0.5, linewidth=0, zorder=0)
    axes.set_yticks(range(len(rows)), [width.named(_label(row)) for row in rows])
    style.without_ticks(axes, "y")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("better \N{LEFTWARDS ARROW} change \N{RIGHTWARDS ARROW} worse")
    style.guide(axes, "x")
    shown = {row["outcome"] for row in rows}
    marks = [
        Line2D([], [], color=COLORS[name], marker=MARKERS[name], markersize=6, label=_meaning(name))
        for name in COLORS
        if name in shown
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=1 if width.narrow else 3)
    return figure


def chosen(changes: pl.DataFrame) -> list[TableRow]:
    """The rows that are drawn, in the order of the frame."""
    main = sentences.drawn(changes).with_row_index("place")
    most = main.sort(pl.col("change").abs(), descending=True, maintain_order=True).head(MOST_DRAWN)
    return list(most.sort("place").iter_rows(named=True))


def turned(row: TableRow, name: str) -> float:
    """A change of a row with harm above 0."""
    value: float = row[name]
    return value if row["harm"] == "higher" else -value


def _line(axes: Axes, row: TableRow, place: int) -> None:
    color = COLORS[row["outcome"]]
    drawn = list[Line2D]()
    if row["low"] is not None:
        ends = (turned(row, "low"), turned(row, "high"))
        drawn += axes.plot(ends, (place, place), color=color, linewidth=1.4, zorder=2)
    marker = MARKERS[row["outcome"]]
    drawn += axes.plot(
        [turned(row, "change")], [place], color=color, marker=marker, markersize=6, zorder=3
    )
    if row["worst"] is not None:
        drawn += axes.plot(
            [turned(row, "worst")], [place], color=color, marker=9, markersize=4, zorder=3
        )
    style.mark(drawn, row["attack"], row["defense"])


def _label(row: TableRow) -> str:
    cell = sentences.cell((row["attack"], row["defense"], row["n_hostile"]))
    return f"{cell}: {row['text']}"


def _meaning(outcome: str) -> str:
    return {"worse": "shown to be worse", "better": "shown to be better"}.get(outcome, outcome)
