"""The layout of a figure's panels: a grid with room for what is written beside them.

Matplotlib's constrained layout gives the same, but measures each text some ten times, then and when
the figure is drawn, which took a third of the time of a figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import BboxBase

from reports.figures.renderers import POINTS, RULER

Side = Literal["left", "right", "bottom", "top"]
SIDES: Final[tuple[Side, ...]] = ("left", "right", "bottom", "top")
APART: Final[dict[Side, float]] = {"left": 4.3, "right": 4.3, "bottom": 3.6, "top": 3.6}
OUTSIDE: Final[dict[str, Side]] = {  # the second word of a legend's place, after "outside"
    "left": "left",
    "right": "right",
    "lower": "bottom",
    "upper": "top",
}
SHRUNK: Final = 0.75  # of a panel's former width or height
MOST_PASSES: Final = 4
FITTING: Final = 0.99  # of the size at which a text would just fit: widths are not quite linear


class Sheet(Figure):
    """A figure of one grid of panels, which stand where ``arrange`` places them."""

    def __init__(self, width: float, height: float) -> None:
        """``width`` and ``height``: in inches."""
        super().__init__(figsize=(width, height))
        self.is_arranged = False
        self._outside = list[tuple[Side, Legend | Text]]()

    def legend(self, *args: object, **named: object) -> Legend:
        """A legend of the figure; with ``loc="outside ..."`` it has room beside the panels."""
        made: Legend = cast(Any, super()).legend(*args, **named)
        first, *rest = str(named.get("loc", "best")).split()
        if first == "outside":
            self._outside.append((OUTSIDE[rest[0]], made))
        return made

    def add_subplot(self, *args: object, **named: object) -> Axes:
        """A panel; matplotlib makes an unseen small tick for an axis that has no list of them."""
        made: Axes = cast(Any, super()).add_subplot(*args, **named)
        for axis in (made.xaxis, made.yaxis):
            axis.minorTicks = []
        return made

    def supxlabel(self, t: str, **named: object) -> Text:
        """The label below all panels, which has room there."""
        y = APART["bottom"] / POINTS / self.get_figheight()
        made: Text = cast(Any, super()).supxlabel(t, y=y, **named)
        self._outside.append(("bottom", made))
        return made

    def arrange(self) -> bool:
        """Place panels and labels of axes; returns whether anything is left for the panels.

        Texts are measured beside the panels as they stood before, and again while one of these has
        shrunk so much that texts at its end may reach beyond the figure. Legends outside the panels
        and titles of panels get smaller letters where they are too wide for their place.
        """
        self.set_dpi(POINTS)
        for _, artist in self._outside:
            if isinstance(artist, Legend):
                self._fit_legend(artist)
        frame = self._frame()
        for _ in range(MOST_PASSES):
            shares = self._placed(frame)
            self.is_arranged = bool(shares)
            if min(shares, default=1.0) >= SHRUNK:
                break
        if self.is_arranged:
            self._fit_titles()
        return self.is_arranged

    def _fit_legend(self, legend: Legend) -> None:
        """Give a legend that is wider than the figure smaller letters."""
        most = self.bbox.width
        for _ in range(MOST_PASSES):
            width = legend.get_window_extent(RULER).width
            if width <= most:
                break
            for text in legend.get_texts():
                text.set_fontsize(FITTING * _points(text) * most / width)

    def _fit_titles(self) -> None:
        """Give a title that reaches into the next column, or beyond the figure, smaller letters."""
        panels = [axes for axes in self.axes if axes.get_visible()]
        starts = sorted({axes.bbox.x0 for axes in panels})
        ends = dict(zip(starts, [*starts[1:], self.bbox.width], strict=True))
        for axes in panels:
            for title in _titles(axes):
                most = ends[axes.bbox.x0] - APART["right"] - axes.bbox.x0
                width = title.get_window_extent(RULER).width
                if title.get_horizontalalignment() == "left" and width > most:
                    title.set_fontsize(FITTING * _points(title) * most / width)

    def _placed(self, frame: dict[Side, float]) -> list[float]:
        """Place all panels; returns which shares of their lengths are left, none if nothing is."""
        panels = [_measured(axes) for axes in self.axes if axes.get_visible()]
        grid = self.axes[0].get_gridspec()
        assert grid is not None
        width, height = self.bbox.size
        columns = _spans(
            grid.get_width_ratios(),
            [(panel.column, panel.reach["left"], panel.reach["right"]) for panel in panels],
            (frame["left"], width - frame["right"]),
            APART["left"],
        )
        rows = _spans(
            grid.get_height_ratios(),
            [(panel.row, panel.reach["top"], panel.reach["bottom"]) for panel in panels],
            (frame["top"], height - frame["bottom"]),
            APART["top"],
        )
        shares = list[float]()
        if columns and rows:
            for panel in panels:
                left, right = columns[panel.column]
                top, bottom = rows[panel.row]
                shares += panel.place(left, height - bottom, right - left, bottom - top)
        return shares

    def _frame(self) -> dict[Side, float]:
        """The room that what stands outside the panels takes at each edge of the figure."""
        room: dict[Side, float] = dict.fromkeys(SIDES, 0.0)
        for side, artist in self._outside:
            box = artist.get_window_extent(RULER)
            size = box.width if side in ("left", "right") else box.height
            room[side] = max(room[side], size + 2 * APART[side])
        return room


class _Label(NamedTuple):
    """The label of an axis, so many points from the edge of its panel."""

    axis: Axis
    side: Side
    away: float

    def place(self, width: float, height: float) -> None:
        """Place it beside a panel of this size."""
        share = self.away / (width if self.side in ("left", "right") else height)
        at = -share if self.side in ("left", "bottom") else 1 + share
        if self.side in ("left", "right"):
            self.axis.set_label_coords(at, 0.5)
        else:
            self.axis.set_label_coords(0.5, at)


class _Panel(NamedTuple):
    """A panel, its place in the grid, and how far what belongs to it reaches beyond it."""

    axes: Axes
    row: int
    column: int
    reach: dict[Side, float]
    labels: Sequence[_Label]

    def place(self, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        """Place it; returns the shares of its former width and height."""
        before = self.axes.bbox.frozen()
        whole = self.axes.figure.bbox
        self.axes.set_position(
            (x / whole.width, y / whole.height, width / whole.width, height / whole.height)
        )
        for label in self.labels:
            label.place(width, height)
        return width / before.width, height / before.height


def _points(text: Text) -> float:
    """The size of a text's letters."""
    return float(text.get_fontproperties().get_size_in_points())


def _titles(axes: Axes) -> list[Text]:
    """The titles of a panel that have a text."""
    inside = set(axes.texts)
    texts = [one for one in axes.get_children() if isinstance(one, Text) and one.get_text()]
    return [one for one in texts if one not in inside]


def _measured(axes: Axes) -> _Panel:
    spec = axes.get_subplotspec()
    assert spec is not None
    inner = axes.get_window_extent()
    reach: dict[Side, float] = dict.fromkeys(SIDES, 0.0)
    labels = list[_Label]()
    for axis in (axes.xaxis, axes.yaxis):
        if axes.axison and axis.get_visible():
            _extend(reach, _ticks(axis), inner)
            if axis.label.get_text() and axis.label.get_visible():
                side = cast(Side, axis.get_label_position())
                away = reach[side] + axis.labelpad
                labels.append(_Label(axis, side, away))
                box = axis.label.get_window_extent(RULER)
                reach[side] = away + (box.width if side in ("left", "right") else box.height)
    inside = set(axes.texts)
    for text in axes.get_children():
        if isinstance(text, Text) and text.get_text() and text.get_in_layout():
            around = text.get_tightbbox(RULER)
            if text in inside:
                _extend(reach, around, inner)
            elif around is not None:  # a title, which may be longer than the panel is wide
                reach["top"] = max(reach["top"], around.y1 - inner.y1)
    legend = axes.get_legend()
    if legend is not None and legend.get_bbox_to_anchor() is not axes.bbox:  # beside the panel
        _extend(reach, legend.get_window_extent(RULER), inner)
    return _Panel(axes, spec.rowspan.start, spec.colspan.start, reach, labels)


def _ticks(axis: Axis) -> BboxBase | None:
    """The box around the labels of an axis's ticks.

    The place of the axis's own label is set, for matplotlib looks for one whenever it measures or
    draws an axis whose label has none, even where no label is written.
    """
    axis.set_label_coords(0.5, 0.5)
    label = axis.label
    visible = label.get_visible()
    label.set_visible(False)
    box = axis.get_tightbbox(RULER)
    label.set_visible(visible)
    return box


def _extend(reach: dict[Side, float], box: BboxBase | None, inner: BboxBase) -> None:
    """Have the reach include a box."""
    if box is None or not np.isfinite(box.extents).all():
        return
    ends = (inner.x0 - box.x0, box.x1 - inner.x1, inner.y0 - box.y0, box.y1 - inner.y1)
    for side, end in zip(SIDES, ends, strict=True):
        reach[side] = max(reach[side], end)


def _spans(
    ratios: Any,
    reaches: Iterable[tuple[int, float, float]],
    ends: tuple[float, float],
    apart: float,
) -> list[tuple[float, float]]:
    """Start and end of each line of panels between two ends; none where no length is left.

    ``ratios``: of their lengths, as numbers. ``reaches``: the line of each panel, and how far the
    panel reaches before and after it. ``apart``: what is left free on either side of a line.
    """
    before = [0.0] * len(ratios)
    after = [0.0] * len(ratios)
    for line, first, last in reaches:
        before[line] = max(before[line], first)
        after[line] = max(after[line], last)
    free = ends[1] - ends[0] - sum(before) - sum(after) - 2 * apart * len(ratios)
    if free <= 0:
        return []
    found = list[tuple[float, float]]()
    at = ends[0]
    for ratio, first, last in zip(ratios, before, after, strict=True):
        start = at + apart + first
        end = start + free * ratio / sum(ratios)
        found.append((start, end))
        at = end + last + apart
    return found
