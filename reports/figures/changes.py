"""The tradeoff of a search for the smallest change: what a change costs against what it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.analysis.changes import UNJUDGED, chosen
from reports.figures import style
from reports.figures.style import Width, sized
from sim.types import TableRow

MARGIN: Final = 0.12  # of what a panel shows, on either side


class Look(NamedTuple):
    """The look of changes of one state, and the meaning of the state."""

    marker: str
    color: str
    filled: bool
    text: str


LOOKS: Final[Mapping[str, Look]] = {
    "design": Look("s", style.BLACK, True, "the design as it is"),
    "met": Look("o", style.GREEN, True, "meets all criteria"),
    "not_met": Look("D", style.VERMILION, True, "does not meet one"),
    "inconclusive": Look("o", style.BLUE, True, "not decided with all seeds"),
    "left_out": Look("D", style.VERMILION, False, "stopped early: others come nearer"),
    "unfinished": Look("o", style.BLUE, False, "fewer seeds: the time was over"),
}


class Line(NamedTuple):
    """A line of the figure: of a change, or, with None, the head of a cost."""

    text: str
    change: str | None


@sized
def changes(found: pl.DataFrame, width: Width) -> Figure:
    """The figure of what each change costs (groups down) and reaches (a panel for each criterion).

    ``found``: the frame of ``reports.analysis.changes``. Bars are one-sided bounds; one that leaves
    its panel goes on outside.
    """
    if found.is_empty():
        return style.nothing(width)
    room = chosen(found)
    lines = _lines(found, room.changes)
    places = {line.change: place for place, line in enumerate(lines) if line.change}
    n = len(room.criteria)
    states = set(found.filter(pl.col("change").is_in(list(places)))["state"])
    if width.narrow:
        high = 0.22 * len(states) + n * (0.8 + (0.3 * len(lines)))
        figure = style.new_figure(width.inches, width.high(high))
        panels = figure.subplots(n, 1, squeeze=False)[:, 0]
    else:
        figure = style.new_figure(width.inches, width.high(1.5 + 0.22 * len(lines)))
        panels = figure.subplots(1, n, sharey=True, squeeze=False)[0]
    for axes, criterion in zip(panels, room.criteria, strict=True):
        rows = found.filter(criterion=criterion).iter_rows(named=True)
        _panel(axes, [row for row in rows if row["change"] in places], places)
        for place, line in enumerate(lines):
            if line.change is None:
                axes.axhline(place, color=style.FAINT, linewidth=0.8, zorder=0)
        axes.set_ylim(len(lines) - 0.4, -0.8)
    for axes in panels if width.narrow else panels[:1]:
        axes.set_yticks(range(len(lines)), [width.named(line.text) for line in lines])
        for label, line in zip(axes.get_yticklabels(), lines, strict=True):
            label.set(fontweight="normal" if line.change else "bold", fontsize="small")
    marks = [
        Line2D([], [], label=look.text, **_mark(look))
        for state, look in LOOKS.items()
        if state in states
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=1 if width.narrow else 3)
    return figure


def _lines(found: pl.DataFrame, shown: Sequence[str]) -> list[Line]:
    """The lines from above. The head of a cost states how many changes of it were tried."""
    lines = list[Line]()
    of_each = found.unique("change", keep="first", maintain_order=True)
    most = of_each["seeds"].max()
    for (cost,), rows in of_each.group_by(["cost"], maintain_order=True):
        tried = rows.filter(~pl.col("state").is_in(UNJUDGED))
        if cost:
            lines.append(Line(f"{cost}: {len(tried)} of {len(rows)} tried", None))
        for row in tried.iter_rows(named=True):
            fewer = f" ({row['seeds']} seeds)" if row["seeds"] != most else ""
            if row["change"] in shown or not cost:
                lines.append(Line(row["change"] + fewer, row["change"]))
    return lines


def _panel(axes: Axes, rows: Sequence[TableRow], places: Mapping[str, int]) -> None:
    """One criterion: its limit, and of each change the figure with its bounds."""
    limit = rows[0]["limit"]
    bound = rows[0]["bound"]
    values = [limit, *(row["figure"] for row in rows if row["figure"] is not None)]
    margin = MARGIN * (max(values) - min(values) or 1.0)
    ends = (min(values) - margin, max(values) + margin)
    for row in rows:
        if row["figure"] is not None:
            _bar(axes, row, places[row["change"]], ends)
    beyond = (ends[0], limit) if bound == "at_least" else (limit, ends[1])
    axes.axvspan(*beyond, color=style.VERMILION, alpha=0.07, linewidth=0, zorder=0)
    axes.axvline(limit, color=style.VERMILION, linewidth=1.2, zorder=1)
    side = {"at_most": "at most", "at_least": "at least", "loss_at_most": "loss: at most"}[bound]
    axes.set(xlim=ends, title=rows[0]["criterion"], xlabel=f"{side} {limit:g}")
    style.without_ticks(axes, "y")
    style.guide(axes, "x")


def _bar(axes: Axes, row: TableRow, place: int, ends: tuple[float, float]) -> None:
    look = LOOKS[row["state"]]
    lower = ends[0] if row["lower"] is None else row["lower"]
    upper = ends[1] if row["upper"] is None else row["upper"]
    axes.plot((lower, upper), (place, place), color=look.color, linewidth=1.4, alpha=0.6, zorder=2)
    axes.plot([row["figure"]], [place], zorder=3, **_mark(look))


def _mark(look: Look) -> dict[str, Any]:
    return {
        "marker": look.marker,
        "markersize": 6.5,
        "markerfacecolor": look.color if look.filled else "white",
        "markeredgecolor": look.color,
        "linestyle": "",
    }
