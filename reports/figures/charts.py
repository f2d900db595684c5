"""One function a figure: a frame of ``reports.analysis`` in, a labeled matplotlib figure out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from reports.analysis import costs
from reports.figures import style
from reports.figures.style import Look, Width, sized
from reports.text import words
from sim.evidence.metrics import METRICS
from sim.types import TableRow

MOST_POINTS = 12  # defenses that the margin can name without a tangle
POINT = 8.0  # points across
RING = 4.0  # more for each point that is drawn above another one
MOST_RINGS = 6


@sized
def tradeoff(points: pl.DataFrame, width: Width) -> Figure:
    """Utility with nobody attacking (across) against the worst attack tried (up), by defense.

    ``points``: a frame of ``tables.tradeoff``. Bars are 95 % intervals. The line of steps is the
    Pareto front: no defense is better than one of its points in both means. More than
    ``MOST_POINTS`` defenses, and all where the figure is narrow, get a line each instead, ordered
    by what the worst attack leaves; those of the front are in bold.
    """
    if points.is_empty():
        return style.nothing(width)
    if len(points) > MOST_POINTS or width.narrow:
        return _ranked(points.sort("worst", descending=True, maintain_order=True), width)
    figure = style.new_figure(width.inches, width.high(max(3.8, 1.6 + 0.3 * len(points))))
    axes = figure.add_subplot()
    style.guide(axes)
    rows = list(points.iter_rows(named=True))
    paint = _privacy_colors(rows)
    for row in rows:
        _crossed_bars(axes, row, paint(row["epsilon"]))
    axes.margins(x=0.08, y=0.08)
    _front_line(
        axes, [(row["utility"], row["worst"]) for row in rows if row["defense"] in front(points)]
    )
    _no_loss_line(axes)
    _labels_in_margin(axes, rows)
    axes.set(
        xlabel="AUROC with nobody attacking (right is better)",
        ylabel="AUROC under the worst attack tried\n(up is better)",
    )
    return figure


def front(points: pl.DataFrame) -> set[str]:
    """The defenses of a frame of ``tables.tradeoff`` that no other beats in both means.

    >>> frame = {"defense": ["a", "b", "c"], "utility": [0.9, 0.8, 0.7], "worst": [0.5, 0.6, 0.6]}
    >>> sorted(front(pl.DataFrame(frame)))
    ['a', 'b']
    """
    means = list(points.select("utility", "worst").iter_rows())
    return {
        name
        for name, mine in zip(points["defense"], means, strict=True)
        if not any(other != mine and other[0] >= mine[0] and other[1] >= mine[1] for other in means)
    }


@sized
def reconstruction(inversions: pl.DataFrame, width: Width, looks: Mapping[str, Look]) -> Figure:
    """Share of attacked records recovered, by defense.

    ``inversions``: a frame of ``tables.inversions`` with a rate in each row. Bars are exact 95 %
    intervals.
    """
    found = inversions.drop_nulls("rate")
    if found.is_empty():
        return style.nothing(width)
    rows = list(found.iter_rows(named=True))
    top = _highest_rate(rows)
    each = 0.36 if width.narrow else 0.3
    inches = width.inches if width.narrow else 0.7 * width.inches
    figure = style.new_figure(inches, width.high(1.2 + each * len(rows)))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        bounds = (row["rate_low"], row["rate_high"])
        lines = _bars(axes, row["rate"], place, bounds, None, looks[row["defense"]][0])
        style.mark(lines, row["attack"], row["defense"])
    names = [width.named(_inversion_label(row, inversions)) for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set(
        ylim=(len(rows) - 0.4, -0.6),
        xlim=(-0.04 * top, 1.04 * top),
        xlabel="Attacked records recovered",
    )
    style.without_ticks(axes, "y")
    style.guide(axes, "x")
    _in_percent(axes.xaxis, width)
    return figure


@sized
def leakage(inversions: pl.DataFrame, width: Width, looks: Mapping[str, Look]) -> Figure:
    """Share of attacked records recovered (up) against the size of a group (across).

    ``inversions``: a frame of ``tables.inversions``; rows without a rate, or without a size of
    groups, are not drawn. A row of the attacker's view is a sum over so many records, on average.
    Bars are exact 95 % intervals, colors are those of the defenses in ``reconstruction``. Points at
    one place are rings around each other, the first the outermost.
    """
    found = inversions.drop_nulls(["rate", "summed"])
    if found.is_empty():
        return style.nothing(width)
    rows = list(found.iter_rows(named=True))
    top = _highest_rate(rows)
    inches = width.inches if width.narrow else 0.7 * width.inches
    figure = style.new_figure(inches, width.high(3.9 if width.narrow else 3.6))
    axes = figure.add_subplot()
    marks = dict[str, Line2D]()
    for row, n_above in zip(rows, _points_above(rows), strict=True):
        bounds = (row["rate_low"], row["rate_high"])
        color = looks[row["defense"]][0]
        size = POINT + RING * min(n_above, MOST_RINGS)
        lines = _bars(axes, row["summed"], row["rate"], None, bounds, color, size=size)
        style.mark(lines, row["attack"], row["defense"])
        name = width.named(words.defense(row["defense"]))
        marks.setdefault(row["defense"], _mark("o", color, name, markersize=POINT))
    label = "Records summed in one row that the attacker saw (mean over rows)"
    axes.set_xscale("log", base=2)
    axes.set(
        ylim=(-0.04 * top, 1.04 * top),
        xlabel=width.wrapped(label, 0.6),
        ylabel="Attacked records recovered",
    )
    axes.margins(x=0.15)
    style.guide(axes)
    axes.xaxis.set_major_formatter(FuncFormatter(style.plainly))
    _in_percent(axes.yaxis, width)
    across = 2 if width.narrow else 3
    figure.legend(handles=[*marks.values()], loc="outside lower center", ncols=across)
    return figure


def _points_above(rows: Sequence[TableRow]) -> list[int]:
    """How many points that are drawn later stand where the point of each row stands."""
    places = [(row["summed"], row["rate"]) for row in rows]
    return [places[number + 1 :].count(place) for number, place in enumerate(places)]


def _highest_rate(rows: Sequence[TableRow]) -> float:
    """Where an axis of rates ends."""
    most: float = max([0.01, *(row["rate_high"] or row["rate"] for row in rows)])
    return min(1.0, 1.2 * most)


def _in_percent(axis: Axis, width: Width) -> None:
    axis.set_major_locator(MaxNLocator(4 if width.narrow else 5))
    axis.set_major_formatter(FuncFormatter(_percent))


@sized
def privacy_spent(spent: pl.DataFrame, width: Width, looks: Mapping[str, Look]) -> Figure:
    """Epsilon and noise multiplier of each hospital, by its records and defense.

    ``spent``: a frame of ``tables.spent``.
    """
    if spent.is_empty():
        return style.nothing(width)
    labels = {
        "epsilon": "Privacy spent, ε (down is better)",
        "noise_multiplier": "Noise multiplier",
    }
    defenses = list(spent["defense"].unique(maintain_order=True))
    n_across = 2 if width.narrow else 6
    legend = 0.25 * -(-len(defenses) // n_across)
    figure = style.new_figure(width.inches, width.high((5.0 if width.narrow else 2.8) + legend))
    panels = figure.subplots(2, 1) if width.narrow else figure.subplots(1, 2)
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        for row in spent.iter_rows(named=True):
            color = looks[row["defense"]][0]
            line = style.line(
                axes,
                [row["n_train"]],
                [row[column]],
                only="o",
                color=color,
                markersize=5.5,
                alpha=0.85,
            )
            style.mark(line, defense=row["defense"], hospital=row["hospital"])
        style.guide(axes)
        axes.margins(x=0.08)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        axes.set(
            xlabel="Training records of the hospital",
            ylabel=width.wrapped(label, 0.5 if width.narrow else 0.4),
            ylim=(0, 1.1 * (max(spent[column]) or 1.0)),
        )
    marks = [
        _mark("o", looks[name][0], width.named(words.defense(name)), markersize=5.5)
        for name in defenses
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=min(n_across, len(marks)))
    return figure


@sized
def hospital_costs(found: pl.DataFrame, width: Width) -> Figure:
    """Influence on the model, and change of own patients' score, at each hospital.

    ``found``: a frame of ``costs.costs``. A line is a defense with nobody attacking. The smallest
    and the most different hospital stand out, with 95 % intervals. The score is AUROC where both
    have one in every seed, else the Brier score.
    """
    if found.is_empty():
        return style.nothing(width)
    defenses = list(found["defense"].unique(maintain_order=True))
    by_auroc = all(row["metric"] == "auroc" for row in costs.of_interest(found))
    metric = "auroc" if by_auroc else "brier"
    if width.narrow:
        figure = style.new_figure(width.inches, width.high(2.6 + 2 * 0.42 * len(defenses)))
        panels = figure.subplots(2, 1)
    else:
        figure = style.new_figure(width.inches, width.high(1.5 + 0.42 * len(defenses)))
        panels = figure.subplots(1, 2, sharey=True)
    for row in found.iter_rows(named=True):
        for axes, column in zip(panels, ("influence", metric), strict=True):
            _cost(axes, row, column, defenses.index(row["defense"]))
    for axes, neutral in zip(panels, (1, 0), strict=True):
        axes.axvline(neutral, color=style.SOFT, linewidth=0.9, zorder=0)
        style.guide(axes, "x")
        style.without_ticks(axes, "y")
        axes.set_yticks(
            range(len(defenses)), [width.named(words.defense(name)) for name in defenses]
        )
        axes.set_ylim(len(defenses) - 0.4, -0.6)
    _share_axis(panels[0])
    across = 0.6 if width.narrow else 0.38
    better = "left is worse" if metric == "auroc" else "right is worse"
    panels[0].set_xlabel(width.wrapped("Influence on the model, in equal shares", across))
    panels[1].xaxis.set_major_locator(MaxNLocator(4 if width.narrow else 6))
    change = f"Change of {METRICS[metric].text} at its own patients ({better})"
    panels[1].set_xlabel(width.wrapped(change, across))
    _legend_of_costs(figure, found, width)
    return figure


COST_LOOKS = {  # role -> color, marker, how far from the line of a defense it is drawn
    "": (style.FAINT, "o", 0.0),
    costs.SMALLEST: (style.BLUE, "D", -0.16),
    costs.MOST_DIFFERENT: (style.VERMILION, "o", 0.16),
    f"{costs.SMALLEST} and {costs.MOST_DIFFERENT}": (style.PURPLE, "D", 0.0),
}


def _cost(axes: Axes, row: TableRow, column: str, place: int) -> None:
    """One hospital: with its interval if it has a role, else a small dot."""
    color, marker, aside = COST_LOOKS[row["role"]]
    if row[column] is None:
        return
    if row["role"]:
        bounds = (row[f"{column}_low"], row[f"{column}_high"])
        lines = _bars(axes, row[column], place + aside, bounds, None, color, marker, 6.5)
    else:
        look: dict[str, Any] = {"color": style.SOFT, "markersize": 3.5, "alpha": 0.45}
        lines = style.line(axes, [row[column]], [place], only=marker, markeredgewidth=0, **look)
    style.mark(lines, defense=row["defense"], hospital=row["hospital"])


def _share_axis(axes: Axes) -> None:
    """Scale an axis like a square root: Krum's shares, 0 or n, leave room for those around 1."""
    axes.set_xscale("function", functions=(_root, _square))
    high = max(1.0, axes.dataLim.x1)
    axes.set_xlim(min(-0.004, axes.dataLim.x0), 1.1 * high)
    powers = (2.0**k for k in range(1, 12) if 2**k <= high)
    axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 1, *powers]))
    axes.xaxis.set_major_formatter(FuncFormatter(style.plainly))


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def _square(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * values**2)


def _percent(value: float, _place: int | None) -> str:
    return f"{100 * value:.3g} %"


def _legend_of_costs(figure: Figure, found: pl.DataFrame, width: Width) -> None:
    marked = found.filter(pl.col("role") != "").unique("role", keep="first", maintain_order=True)
    shown = []
    for row in marked.sort("role", descending=True).iter_rows(named=True):
        color, marker, _ = COST_LOOKS[row["role"]]
        label = width.wrapped(f"{row['role']}: {row['hospital']}, {row['n_train']} records")
        shown.append(_mark(marker, color, label, markersize=7))
    shown.append(_mark("o", style.SOFT, "every other hospital", markersize=4, alpha=0.45))
    figure.legend(handles=shown, loc="outside upper center", ncols=1 if width.narrow else 3)


def _mark(marker: str, color: str, label: str, **look: Any) -> Line2D:
    """A mark without a line, for a legend."""
    return Line2D([], [], linestyle="", marker=marker, color=color, label=label, **look)


def _ranked(points: pl.DataFrame, width: Width) -> Figure:
    each = 0.46 if width.narrow else 0.29
    figure = style.new_figure(width.inches, width.high(1.4 + each * len(points)))
    axes = figure.add_subplot()
    style.guide(axes, "x")
    rows = list(points.iter_rows(named=True))
    best = front(points)
    for y, row in enumerate(rows):
        span = (row["worst"], row["utility"])
        lines = axes.plot(
            span, (y, y), color=style.FAINT, linewidth=4, zorder=1, solid_capstyle="butt"
        )
        ends = (row["utility_low"], row["utility_high"])
        lines += _bars(axes, row["utility"], y, ends, None, style.BLUE, marker="D")
        bounds = (row["worst_low"], row["worst_high"])
        lines += _bars(axes, row["worst"], y, bounds, None, style.VERMILION)
        lines += _lowest(axes, row["worst_lowest"], y, style.VERMILION, "<")
        style.mark(lines, defense=row["defense"])
        if not width.narrow:
            right: dict[str, Any] = {
                "transform": axes.get_yaxis_transform(),
                "va": "center",
                "fontsize": "small",
            }
            style.mark(
                axes.text(1.02, y, words.attack(row["attack"]), **right), defense=row["defense"]
            )
    axes.set_yticks(range(len(rows)), [_ranked_label(row, width) for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["defense"] in best else "normal")
        style.mark(label, defense=row["defense"])
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=width.wrapped("AUROC (right is better)", 0.4))
    axes.xaxis.set_major_locator(MaxNLocator(3 if width.narrow else 8))
    style.without_ticks(axes, "y")
    where = "below the defense" if width.narrow else "on the right"
    shown = [
        _mark("D", style.BLUE, "nobody attacking", markersize=7),
        _mark("o", style.VERMILION, f"worst attack tried, named {where}", markersize=7),
        _mark("<", style.VERMILION, "its worst seed", markersize=4.5),
    ]
    figure.legend(handles=shown, loc="outside upper center", ncols=1 if width.narrow else 3)
    return figure


def _ranked_label(row: TableRow, width: Width) -> str:
    if not width.narrow:
        return _privately(row)
    lacking = "\N{DOUBLE DAGGER}" if row["n_undefined"] else ""
    privacy = "" if row["epsilon"] is None else f", ε = {words.epsilon(row['epsilon'])}"
    defense = width.short(words.defense(row["defense"]))
    return f"{defense}{lacking}{privacy}\n{width.short(words.attack(row['attack']))}"


def _privacy_colors(rows: Sequence[TableRow]) -> Any:
    """Colors of points by epsilon: gray without one, else cividis, dark for the strictest."""
    logs = [_log(row["epsilon"]) for row in rows if row["epsilon"] is not None]
    norm = Normalize(min(logs, default=0.0), max(logs, default=1.0) + 1e-9)
    colors = mpl.colormaps["cividis"]
    return lambda epsilon: (
        style.SOFT if epsilon is None else colors(0.1 + 0.75 * float(norm(_log(epsilon))))
    )


def _log(epsilon: float) -> float:
    """Logarithm of a privacy budget, with 0.001 in place of less."""
    return math.log(max(epsilon, 1e-3))


def _crossed_bars(axes: Axes, row: TableRow, color: Any) -> None:
    across = (row["utility_low"], row["utility_high"])
    up = (row["worst_low"], row["worst_high"])
    marker = "o" if row["epsilon"] is None else "D"
    lines = _bars(axes, row["utility"], row["worst"], across, up, color, marker=marker)
    lines += _lowest(axes, row["utility"], row["worst_lowest"], color, "v")
    style.mark(lines, defense=row["defense"])


def _lowest(axes: Axes, x: float, y: float, color: Any, marker: str) -> list[Line2D]:
    """A small mark at the outcome of the worst seed."""
    look: dict[str, Any] = {"markersize": 4.5, "alpha": 0.8, "markeredgewidth": 0}
    return style.line(axes, [x], [y], only=marker, color=color, zorder=3, **look)


def _bars(
    axes: Axes,
    x: float,
    y: float,
    across: Any,
    up: Any,
    color: Any,
    marker: str = "o",
    size: float = POINT,
) -> list[Line2D]:
    """A point with the intervals it has; one seed has none and gets none."""
    bar: dict[str, Any] = {"linewidth": 1.4, "alpha": 0.7, "solid_capstyle": "butt"}
    lines = list[Line2D]()
    if across and None not in across:
        lines += style.line(axes, across, (y, y), color=color, **bar)
    if up and None not in up:
        lines += style.line(axes, (x, x), up, color=color, **bar)
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.8}
    edge |= {"color": color, "markersize": size, "zorder": 4}
    return lines + style.line(axes, [x], [y], only=marker, **edge)


def _front_line(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Join the points of the Pareto front by steps, from the left on."""
    across, up = zip(*sorted(points), strict=True)
    look: dict[str, Any] = {"linewidth": 1.0, "alpha": 0.8, "zorder": 1}
    axes.plot(across, up, color=style.SOFT, drawstyle="steps-pre", label="Pareto front", **look)


def _no_loss_line(axes: Axes) -> None:
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    start = max(left, low)
    end = right
    if start < end:
        dashed: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 1}
        axes.plot((start, end), (start, end), color=style.SOFT, **dashed)
        axes.annotate(
            "as with nobody attacking",
            (start, start),
            (6, -4),
            textcoords="offset points",
            color=style.SOFT,
            fontsize="small",
            va="top",
        )
    axes.set(xlim=(left, right), ylim=(low, max(high, end)))


def _point_label(row: TableRow) -> str:
    privacy = "" if row["epsilon"] is None else f", ε = {words.epsilon(row['epsilon'])}"
    lacking = "\N{DOUBLE DAGGER}" if row["n_undefined"] else ""
    return f"{words.defense(row['defense'])}{lacking} ({words.attack(row['attack'])}{privacy})"


def _privately(row: TableRow) -> str:
    lacking = "\N{DOUBLE DAGGER}" if row["n_undefined"] else ""
    privacy = "" if row["epsilon"] is None else f", ε = {words.epsilon(row['epsilon'])}"
    return f"{words.defense(row['defense'])}{lacking}{privacy}"


def _inversion_label(row: TableRow, inversions: pl.DataFrame) -> str:
    name = words.defense(row["defense"])
    alone = inversions["attack"].n_unique() == 1
    return name if alone else f"{name} ({words.attack(row['attack'])})"


def _labels_in_margin(axes: Axes, rows: Sequence[TableRow]) -> None:
    """Write every point's name in a column right of the axes, tied to the point by a thin line."""
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height / axes.figure.dpi
    gap = 0.021 * mpl.rcParams["font.size"] / height
    heights = style.spread([(row["worst"] - low) / (high - low) for row in rows], gap)
    shift = max(0.0, max(heights, default=0.0) - 1.0)
    tie = {"arrowstyle": "-", "color": style.SOFT, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 5}
    for row, place in zip(rows, heights, strict=True):
        name = axes.annotate(
            _point_label(row),
            (row["utility"], row["worst"]),
            (1.03, place - shift),
            xycoords="data",
            textcoords="axes fraction",
            arrowprops=tie,
            va="center",
            fontsize="small",
        )
        style.mark(name, defense=row["defense"])
