"""Attacked records beside their guesses and beside what needs no attack, as a figure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from reports.figures import style
from reports.figures.style import INK, SOFT, Width, sized
from reports.text import words
from sim.evidence import Recovered
from sim.types import TableRow

MOST = 6  # records of one figure
MOST_FIELDS = 60  # of a row; the first ones
PIXEL = re.compile(r"pixel_(\d+)_(\d+)(?:_(\d+))?")
RIGHT = "#9FD4BE"  # darker than what is wrong, for those who see no red or green
WRONG = "#FBE3D8"
NAMES = 0.8  # columns more that the names of fields take
BEFORE = 0.88  # where names end: a truth of 18 letters begins a little before its column, at 1
TITLES = ("Truth", "Nearest guess", "Needs no attack")

Cells = Mapping[str, str]


@sized
def gallery(groups: Sequence[TableRow], width: Width) -> Figure:
    """The records of ``sections.gallery``: truth, nearest guess, and what needs no attack.

    Images are drawn as images, beside their mean color. Rows of tables are written out, beside the
    typical row of their hospital, with the fields that are right in green and the others in red;
    the guess of an attack counts as right within 0.319 standard deviations.
    """
    if not groups:
        return style.nothing(width)
    shown = [(group, one) for group in groups for one in group["shown"]][:MOST]
    if all(group["pixels"] is not None for group, _ in shown):
        return _images(shown, width)
    return _rows(shown, width)


def _images(shown: Sequence[tuple[TableRow, Recovered]], width: Width) -> Figure:
    across = 1 if width.narrow else 2
    n_lines = -(-len(shown) // across)
    figure = style.new_figure(width.inches, width.high(1.0 + 1.5 * n_lines))
    grid = figure.subplots(n_lines, 3 * across, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for place, (group, one) in enumerate(shown):
        first = 3 * (place % across)
        of_one = grid[place // across, first : first + 3]
        columns = zip(of_one, TITLES, (one.truth, one.guess, one.baseline), strict=True)
        for axes, title, cells in columns:
            top = f"{_caption(group, one, width)}\n{title}" if title == TITLES[1] else title
            axes.set_title(top, fontsize="small", fontweight="normal", loc="center")
            if cells is not None:
                axes.imshow(pixels(cells, group["pixels"]), cmap="gray", vmin=0, vmax=1)
            else:
                axes.text(0.5, 0.5, "none", ha="center", va="center", color=SOFT)
    return figure


def _rows(shown: Sequence[tuple[TableRow, Recovered]], width: Width) -> Figure:
    most = max(min(len(one.truth), MOST_FIELDS) for _, one in shown)
    across = 1 if width.narrow else 2
    n_lines = -(-len(shown) // across)
    high = 0.44 if width.narrow else 0.22  # of a field
    figure = style.new_figure(width.inches, width.high(n_lines * (0.8 + high * most)))
    grid = figure.subplots(n_lines, across, squeeze=False)
    for place, axes in enumerate(grid.ravel()):
        axes.set_axis_off()
        if place < len(shown):
            _row(axes, *shown[place], width)
    return figure


def _row(axes: Axes, group: TableRow, one: Recovered, width: Width) -> None:
    shown = dict(itertools.islice(one.truth.items(), MOST_FIELDS))
    each = 2 if width.narrow else 1  # lines of a field: its name may stand above its values
    left = 1.0 if width.narrow else -NAMES
    axes.set(xlim=(left, 4), ylim=(each * len(shown) + 1, 0))
    axes.set_title(_caption(group, one, width), fontsize="medium")
    for column, title in enumerate(TITLES, 1):
        axes.text(column + 0.5, 0.5, title, ha="center", va="center", color=SOFT, fontsize="small")
    for place, (field, truth) in enumerate(shown.items()):
        line = each * (place + 1)
        name = words.field(group["source"], field)
        x, y, side = (left, line - 0.5, "left") if width.narrow else (BEFORE, line + 0.5, "right")
        axes.text(x, y, name, ha=side, va="center", color=INK, fontsize="small")
        guess = None if one.guess is None else one.guess.get(field)
        baseline = None if one.baseline is None else one.baseline.get(field)
        marks = (None, field in one.right, field in one.baseline_right)
        for column, (text, is_right) in enumerate(
            zip((truth, guess, baseline), marks, strict=True), 1
        ):
            if is_right is not None and text is not None:
                color = RIGHT if is_right else WRONG
                spot = (column + 0.04, line + 0.06)
                axes.add_artist(Rectangle(spot, 0.92, 0.88, color=color))
            value = axes.text(
                column + 0.5, line + 0.5, _short(text), ha="center", va="center", fontsize="small"
            )
            value.set_in_layout(column == len(TITLES))  # others cannot reach beyond the panel


def pixels(cells: Cells, values: tuple[float, float] | None) -> NDArray[np.float64]:
    """The image (height, width) or (height, width, 3) whose pixels stand in fields, from 0 to 1.

    ``values``: the least and the largest value that a pixel can have. Of other numbers of planes
    than 3 the first is taken.

    >>> pixels({"pixel_0_0": "0", "pixel_0_1": "8", "pixel_1_0": "16", "pixel_1_1": "4"}, (0, 16))
    array([[0.  , 0.5 ],
           [1.  , 0.25]])
    """
    places = {name: PIXEL.fullmatch(name) for name in cells}
    at = {
        name: tuple(int(part or 0) for part in found.groups())
        for name, found in places.items()
        if found is not None
    }
    height, width, planes = (1 + max(place[axis] for place in at.values()) for axis in range(3))
    low, high = values or (0.0, 1.0)
    image = np.zeros((height, width, planes))
    for name, place in at.items():
        image[place] = (float(cells[name]) - low) / (high - low)
    image = np.clip(np.nan_to_num(image), 0, 1)
    return image if planes == 3 else image[..., 0]


def _caption(group: TableRow, one: Recovered, width: Width) -> str:
    state = "recovered" if one.exact else "not recovered"
    head = f"{one.hospital}, {words.attack(group['attack'])}: {state}"
    defenses = words.listed(group["defenses"])
    share = 0.8 if width.narrow else 0.4
    return f"{width.wrapped(head, share)}\n{width.wrapped(defenses, share)}"


def _short(text: str | None) -> str:
    if text is None:
        return "none"
    return text if len(text) <= 18 else f"{text[:17]}…"
