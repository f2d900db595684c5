"""Curves of true against false positive rates, on axes that show the rates that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.analysis.membership import Cell
from reports.figures import style
from reports.figures.style import Look, Width, sized
from reports.text import words

LEAST = 1e-3  # the least rate that is drawn, unless fewer records tell less
ACROSS = 3  # panels in a row


@sized
def membership(cells: Sequence[Cell], width: Width, looks: Mapping[str, Look]) -> Figure:
    """True against false positive rates of membership inference, both logarithmic.

    A panel is an attack, a line a defense. A triangle is the bound of private training at a false
    positive rate; the dashed line is guessing.
    """
    if not cells:
        return style.nothing(width)
    attacks = list(dict.fromkeys(cell.attack for cell in cells))
    across = 1 if width.narrow else min(ACROSS, len(attacks))
    rows = -(-len(attacks) // across)
    defenses = list(dict.fromkeys(cell.defense for cell in cells))
    legend = -(-len(defenses) // style.columns(width))
    figure = style.new_figure(width.inches, width.high(0.3 + 0.2 * legend + 3.1 * rows))
    grid = figure.subplots(rows, across, squeeze=False, sharex=True, sharey=True)
    least = min([LEAST, *(1 / cell.n_others for cell in cells)])
    for axes, attack in zip(grid.flat, attacks, strict=False):
        axes.plot((least, 1), (least, 1), color=style.SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
        for cell in (cell for cell in cells if cell.attack == attack):
            _draw(axes, cell, looks[cell.defense], least)
        axes.set_title(words.attack(attack))
        axes.set(xscale="log", yscale="log", xlim=(least, 1.05), ylim=(least, 1.1))
        style.guide(axes)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(_percent))
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("False positives")
    for axes in list(grid.flat)[len(attacks) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("Training records recognized\n(up is more harm)")
    style.legend_of_defenses(figure, defenses, looks, width)
    return figure


def _percent(rate: float, _: object = None) -> str:
    return words.share(rate)


def _draw(axes: Axes, cell: Cell, look: Look, least: float) -> None:
    color, dashes = look
    false = np.maximum(cell.curve.false, least)
    true = np.maximum(cell.curve.true, least)
    lines = axes.plot(
        false,
        true,
        color=color,
        linestyle=dashes,
        drawstyle="steps-post",
        linewidth=1.5,
        label=words.defense(cell.defense),
    )
    for rate, bound in cell.bound.items():
        lines += axes.plot([rate], [bound], "v", color=color, markersize=6, label="_bound")
    style.mark(lines, cell.attack, cell.defense)
