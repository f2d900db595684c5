"""Figures of differential privacy: what it costs, how it is spent, and clips over rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.figures import labels, style
from reports.figures.style import Width, sized
from reports.text import words
from sim.types import TableRow

ALL: Final = "all"  # the pooled test patients of all hospitals
Where = Literal["outside lower center", "outside right upper"]
MARKS: Final = "os^Dv<"
WIDEST: Final = 0.36  # of the points at one epsilon, from the first hospital to the last


@sized
def privacy_utility(points: pl.DataFrame, width: Width) -> Figure:
    """AUROC (up) by epsilon (across, to no privacy), of each hospital and of all patients.

    ``points``: see ``draw_utility``.
    """
    if points.is_empty():
        return style.nothing(width)
    figure = style.new_figure(width.inches, width.high(5.2 if width.narrow else 4.0))
    axes = figure.add_subplot()
    draw_utility(axes, points)
    axes.set_xlabel(width.wrapped(axes.get_xlabel(), 0.6))
    handles, names = axes.get_legend_handles_labels()
    where: Where = "outside lower center" if width.narrow else "outside right upper"
    shown = [width.named(name) for name in names]
    figure.legend(handles, shown, loc=where, ncols=2 if width.narrow else 1)
    return figure


def draw_utility(axes: Axes, points: pl.DataFrame) -> None:
    """Draw ``points`` with columns defense, epsilon, hospital, auroc, low and high.

    ``low`` and ``high`` are None without an interval. An infinite epsilon is training without
    privacy; ``ALL`` are the test patients of all hospitals. Hospitals beyond the colors of the
    style are gray and not named. Points are joined where no two defenses have the same epsilon.
    """
    designs = list(points.select("epsilon", "defense").unique(maintain_order=True).iter_rows())
    designs.sort(key=lambda design: design[0])
    joined = len({epsilon for epsilon, _ in designs}) == len(designs)
    names = [name for name in points["hospital"].unique(maintain_order=True) if name != ALL]
    gap = WIDEST / max(1, len(names))
    for number, name in enumerate([ALL, *names]):
        rows = list(points.filter(hospital=name).sort("epsilon").iter_rows(named=True))
        shift = gap * (number - len(names) / 2)
        color, mark, width, label = _look(name, number)
        bars = axes.errorbar(
            [designs.index((row["epsilon"], row["defense"])) + shift for row in rows],
            [row["auroc"] for row in rows],
            _bars(rows),
            color=color,
            marker=mark,
            markersize=4.5,
            linewidth=width,
            linestyle="-" if joined else "",
            elinewidth=0.9,
            capsize=2,
            label=label,
        )
        style.mark(bars.get_children(), hospital="" if name == ALL else name)
    axes.axhline(0.5, color=style.SOFT, linestyle=":", linewidth=1)
    axes.set_xticks(range(len(designs)), [_budget(*design) for design in designs])
    axes.set(
        xlabel="Privacy budget of each hospital over all rounds, ε (left is stricter)",
        ylabel="AUROC (up is better; dotted: guessing)",
        xlim=(-0.5, len(designs) - 0.5),
    )
    style.guide(axes, "y")


def draw_spending(axes: Axes, spent: pl.DataFrame) -> None:
    """Draw ``spent`` with columns round, hospital, n_train, epsilon and budget (None without)."""
    for number, (name, rows) in enumerate(spent.group_by("hospital", maintain_order=True), 1):
        ordered = rows.sort("round")
        color, _, width, label = _look(str(name[0]), number)
        if label is not None:
            label = f"{label} ({ordered['n_train'][0]} records)"
        axes.plot(ordered["round"], ordered["epsilon"], color=color, linewidth=width, label=label)
    budgets = [budget for budget in spent["budget"].unique() if budget is not None]
    for budget in budgets:
        axes.axhline(budget, color=style.BLACK, linestyle="--", linewidth=1)
    if budgets:
        axes.plot([], [], color=style.BLACK, linestyle="--", label="budget")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(
        xlabel="Rounds trained",
        ylabel="Privacy spent, ε (down is better)",
        ylim=(0, 1.08 * max([*spent["epsilon"], *budgets])),
        xlim=(0, 1.02 * max(spent["round"])),
    )
    style.guide(axes)


@sized
def clip_over_rounds(clips: pl.DataFrame, width: Width) -> Figure:
    """The greatest length of an update (up, logarithmic) in each round (across), by defense.

    ``clips``: columns defense, seed, round and clip. A thin line is one seed, a thick one the
    median of the seeds.
    """
    if clips.is_empty():
        return style.nothing(width)
    figure = style.new_figure(width.inches, width.high(3.4))
    axes = figure.add_subplot()
    defenses = list(clips["defense"].unique(maintain_order=True))
    looks = style.looks(defenses)
    for defense in defenses:
        color, dashes = looks[defense]
        rows = clips.filter(defense=defense)
        lines = list[Line2D]()
        for (_,), one in rows.group_by(["seed"], maintain_order=True):
            seed = one.sort("round")
            lines += axes.plot(seed["round"], seed["clip"], color=color, linewidth=0.7, alpha=0.4)
        middle = rows.group_by("round").agg(pl.col("clip").median()).sort("round")
        thick: dict[str, Any] = {
            "color": color,
            "linestyle": dashes,
            "linewidth": 2,
            "label": words.defense(defense),
        }
        lines += axes.plot(middle["round"], middle["clip"], **thick)
        style.mark(lines, defense=defense)
    style.logarithmic(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="Round", ylabel="Clip: greatest length of an update\n(Euclidean, of weights)")
    style.guide(axes)
    style.legend_of_defenses(figure, defenses, looks, width)
    return figure


def _look(name: str, number: int) -> tuple[str, str, float, str | None]:
    """Color, mark, width of the line and name in the legend of a hospital by its number."""
    if name == ALL:
        return style.BLACK, "o", 2.4, "all patients"
    if number > len(style.COLORS):
        return style.SOFT, "", 0.8, None
    return style.COLORS[number - 1], MARKS[number - 1], 1.3, name


def _bars(rows: Sequence[TableRow]) -> tuple[list[float], list[float]]:
    """How far intervals reach below and above the points; nowhere without an interval."""
    below = [0.0 if row["low"] is None else row["auroc"] - row["low"] for row in rows]
    above = [0.0 if row["high"] is None else row["high"] - row["auroc"] for row in rows]
    return below, above


def _budget(epsilon: float, defense: str) -> str:
    value = "∞" if math.isinf(epsilon) else words.epsilon(epsilon) if defense else f"{epsilon:g}"
    named = words.defense(defense) if defense else "(no privacy)" if math.isinf(epsilon) else ""
    return f"{value}\n{labels.wrapped(named, 16)}".strip()
