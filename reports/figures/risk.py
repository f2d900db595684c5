"""The risk matrix of NIST SP 800-30: where the threats of a design stand, with and without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from reports.figures import labels, style
from reports.figures.style import Width, sized
from sim.types import TableRow
from threats.levels import LEVELS, WORDS, risk
from threats.system import Grade

RISK: Final = {
    **dict.fromkeys(("number",), pl.Int64),
    **dict.fromkeys(("threat", "adversary"), pl.String),
    **dict.fromkeys(("initial_likelihood", "initial_impact"), pl.String),
    **dict.fromkeys(("adjusted_likelihood", "adjusted_impact"), pl.String),
}
SHADES: Final[Mapping[Grade, str]] = {  # from light to dark, so that gray alone shows the order
    "very_low": "#F7FBFF",
    "low": "#DDE6F1",
    "moderate": "#C3CFE4",
    "high": "#A6B3D4",
    "very_high": "#8A94C2",
}
ROOM: Final = 0.72  # of the height of a cell for marks; its level stands below them
WIDE: Final = {False: 1.0, True: 0.65}  # how wide a cell is beside its height, by narrow or not

Where = Literal["outside lower left", "outside right upper"]
Slot = tuple[int, str]  # the row of a threat, and which side of it: initial or adjusted


@sized
def risk_matrix(found: pl.DataFrame, width: Width) -> Figure:
    """Threats by likelihood (up) and impact (across), without controls and with the stack.

    ``found``: columns number, threat, adversary, and of each side ``initial`` and ``adjusted`` its
    ``_likelihood`` and ``_impact``, levels of ``threats.levels``; those of ``initial`` are null
    where nothing was run without controls. A ring is a threat without controls, a disk with the
    stack; an arrow leads from one to the other. Cells have the color of their risk (table I-2).
    """
    if found.is_empty():
        return style.nothing(width)
    rows = _lettered(found)
    names = _names(rows, width)
    key = 0.5 + sum(0.05 + 0.165 * (1 + name.count("\n")) for name in names)
    high = 4.1 + key if width.narrow else max(4.6, key)
    figure = style.new_figure(width.inches, width.high(high))
    axes = figure.add_subplot()
    for across, impact in enumerate(LEVELS):
        for up, likelihood in enumerate(LEVELS):
            _cell(axes, across, up, risk(likelihood, impact))
    spots = _spots(rows, WIDE[width.narrow])
    for place, row in enumerate(rows):
        _threat(axes, row, spots[place, "adjusted"], spots.get((place, "initial")), width)
    levels = [WORDS[level].replace(" ", "\n") for level in LEVELS]
    axes.set_xticks(range(len(LEVELS)), levels)
    axes.set_yticks(range(len(LEVELS)), levels)
    style.without_ticks(axes)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, 4.5), ylim=(-0.5, 4.5), xlabel="Impact", ylabel="Likelihood")
    _key(figure, names, width)
    return figure


def _lettered(found: pl.DataFrame) -> list[TableRow]:
    """Threats by number, with a letter behind it where several adversaries have the threat."""
    rows = list(found.sort("number", maintain_order=True).iter_rows(named=True))
    numbers = [row["number"] for row in rows]
    lettered = list[TableRow]()
    for place, row in enumerate(rows):
        earlier = numbers[:place].count(row["number"])
        letter = chr(ord("a") + earlier % 26) if numbers.count(row["number"]) > 1 else ""
        lettered.append(row | {"sign": f"{row['number']}{letter}"})
    return lettered


def _names(rows: Sequence[TableRow], width: Width) -> list[str]:
    texts = [f"{row['sign']}  {row['threat']}, by {row['adversary']}" for row in rows]
    return [labels.wrapped(text, 46 if width.narrow else 42) for text in texts]


def _cell(axes: Axes, across: int, up: int, level: Grade) -> None:
    look: dict[str, Any] = {"facecolor": SHADES[level], "edgecolor": "white", "linewidth": 1.2}
    axes.add_patch(Rectangle((across - 0.5, up - 0.5), 1, 1, zorder=0, **look))
    below: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": "small"}
    axes.text(across, up - 0.47, WORDS[level], color=style.INK, zorder=1, **below)


def _spots(rows: Sequence[TableRow], wide: float) -> dict[Slot, tuple[float, float]]:
    """Where each mark stands: side by side in its cell, in the order of the threats."""
    cells = dict[tuple[int, int], list[Slot]]()
    for place, row in enumerate(rows):
        sides = ("initial", "adjusted") if _moves(row) else ("adjusted",)
        for side in sides:
            across = LEVELS.index(row[f"{side}_impact"])
            up = LEVELS.index(row[f"{side}_likelihood"])
            cells.setdefault((across, up), []).append((place, side))
    spots = dict[Slot, tuple[float, float]]()
    for (across, up), slots in cells.items():
        n_across = max(2, math.ceil(math.sqrt(wide * len(slots) / ROOM)))
        n_lines = max(2, -(-len(slots) // n_across))
        for number, slot in enumerate(slots):
            line, column = divmod(number, n_across)
            x = across - 0.5 + (column + 0.5) / n_across
            y = up + 0.5 - ROOM * (line + 0.5) / n_lines
            spots[slot] = (x, y)
    return spots


def _moves(row: TableRow) -> bool:
    """Whether a threat stands elsewhere without controls."""
    ends = ("likelihood", "impact")
    return row["initial_impact"] is not None and any(
        row[f"initial_{end}"] != row[f"adjusted_{end}"] for end in ends
    )


def _threat(
    axes: Axes,
    row: TableRow,
    now: tuple[float, float],
    before: tuple[float, float] | None,
    width: Width,
) -> None:
    size = 1.35 * width.size
    disk: dict[str, Any] = {"markersize": size, "color": style.INK, "markeredgewidth": 0}
    text: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 0.74 * width.size}
    if before is not None:
        ring: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": style.INK}
        axes.plot(*before, "o", markersize=size, markeredgewidth=0.9, zorder=4, **ring)
        axes.text(*before, row["sign"], color=style.INK, zorder=5, **text)
        ends = {"shrinkA": size / 2, "shrinkB": size / 2}
        arrow = {"arrowstyle": "-|>", "color": style.INK, "linewidth": 0.9, **ends}
        bent = {"connectionstyle": "arc3,rad=0.12", "alpha": 0.85}
        axes.annotate("", now, before, arrowprops=arrow | bent, zorder=3)
    axes.plot(*now, "o", zorder=4, **disk)
    axes.text(*now, row["sign"], color="white", zorder=5, fontweight="bold", **text)


def _key(figure: Figure, names: Sequence[str], width: Width) -> None:
    """The names of the threats by number, and what the marks mean."""
    disk: dict[str, Any] = {"linestyle": "", "marker": "o", "color": style.INK}
    handles = [
        Line2D([], [], markerfacecolor="white", label="without controls", **disk),
        Line2D([], [], label="with the stack of the design", **disk),
    ]
    handles += [Line2D([], [], linestyle="", label=name) for name in names]
    where: Where = "outside lower left" if width.narrow else "outside right upper"
    figure.legend(handles=handles, loc=where, fontsize="small", handletextpad=0.4)
