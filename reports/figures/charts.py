"""One function a figure: a frame of ``reports.analysis`` in, a labeled matplotlib figure out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from reports.analysis import costs
from reports.figures import style
from reports.figures.style import RC, WIDTH, Look
from reports.text import words
from sim.evidence.metrics import METRICS
from sim.types import TableRow

MOST_POINTS = 12  # defenses that the margin can name without a tangle


@mpl.rc_context(RC)
def tradeoff(points: pl.DataFrame) -> Figure:
    """Utility with nobody attacking (across) against the worst attack tried (up), by defense.

    Bars are 95 % intervals. More than ``MOST_POINTS`` defenses get a line each instead, ordered by
    what the worst attack leaves, with both values on it.
    """
    if len(points) > MOST_POINTS:
        return _ranked(points.sort("worst", descending=True, maintain_order=True))
    figure = style.new_figure(WIDTH, max(3.8, 1.6 + 0.3 * len(points)))
    axes = figure.add_subplot()
    style.guide(axes)
    rows = list(points.iter_rows(named=True))
    paint = _privacy_colors(rows)
    for row in rows:
        _crossed_bars(axes, row, paint(row["epsilon"]))
    axes.margins(x=0.08, y=0.08)
    _no_loss_line(axes)
    _labels_in_margin(axes, [(row["utility"], row["worst"], _point_label(row)) for row in rows])
    axes.set(
        xlabel="AUROC with nobody attacking (right is better)",
        ylabel="AUROC under the worst attack tried\n(up is better)",
    )
    return figure


@mpl.rc_context(RC)
def reconstruction(inversions: pl.DataFrame, looks: Mapping[str, Look]) -> Figure:
    """Share of attacked records recovered, by defense (left) and by records in a row (right).

    A row of the view is a sum over so many records. Bars are exact 95 % intervals; the colors of
    the two panels agree.
    """
    rows = [row for row in inversions.iter_rows(named=True) if row["rate"] is not None]
    top = min(1.0, 1.2 * max([0.01, *(row["rate_high"] or row["rate"] for row in rows)]))
    figure = style.new_figure(WIDTH, max(3.2, 1.2 + 0.3 * len(rows)))
    named, crowd = figure.subplots(1, 2, width_ratios=(1, 1))
    for place, row in enumerate(rows):
        color = looks[row["defense"]][0]
        bounds = (row["rate_low"], row["rate_high"])
        _bars(named, row["rate"], place, bounds, None, color)
        _bars(crowd, row["summed"], row["rate"], None, bounds, color)
    named.set_yticks(range(len(rows)), [_inversion_label(row, inversions) for row in rows])
    named.set(
        ylim=(len(rows) - 0.4, -0.6),
        xlim=(-0.04 * top, 1.04 * top),
        xlabel="Attacked records recovered",
    )
    named.tick_params(axis="y", length=0)
    style.guide(named, "x")
    crowd.set_xscale("log", base=2)
    crowd.set(
        ylim=(-0.04 * top, 1.04 * top),
        xlabel="Records summed in one row that the attacker saw\n(mean over rows)",
        ylabel="Attacked records recovered",
    )
    crowd.margins(x=0.15)
    style.guide(crowd)
    crowd.xaxis.set_major_formatter(FuncFormatter(_plainly))
    for axis in (named.xaxis, crowd.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_percent))
    return figure


@mpl.rc_context(RC)
def privacy_spent(spent: pl.DataFrame, looks: Mapping[str, Look]) -> Figure:
    """Epsilon (left) and noise multiplier (right) of each hospital, by its records and defense."""
    figure = style.new_figure(WIDTH, 3.0)
    labels = {
        "epsilon": "Privacy spent, ε (down is better)",
        "noise_multiplier": "Noise multiplier",
    }
    panels = figure.subplots(1, 2)
    names: list[str] = []
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        for (defense,), rows in spent.group_by(["defense"], maintain_order=True):
            name = words.defense(str(defense))
            color = looks[str(defense)][0]
            axes.plot(rows["n_train"], rows[column], "o", color=color, markersize=5.5, alpha=0.85)
            names.append(name)
        style.guide(axes)
        axes.margins(x=0.08)
        axes.set(
            xlabel="Training records of the hospital",
            ylabel=label,
            ylim=(0, 1.1 * (max(spent[column]) or 1.0)),
        )
    lines = panels[0].get_lines()
    figure.legend(lines, names[: len(lines)], loc="outside lower center", ncols=min(6, len(lines)))
    return figure


@mpl.rc_context(RC)
def hospital_costs(found: pl.DataFrame) -> Figure:
    """Influence on the model (left) and change of own patients' score (right) at each hospital.

    A line is a defense with nobody attacking. The smallest and the most different hospital stand
    out, with 95 % intervals. The frame is that of ``costs.costs``; the score is AUROC where both
    have one in every seed, else the Brier score.
    """
    defenses = list(found["defense"].unique(maintain_order=True))
    by_auroc = all(row["metric"] == "auroc" for row in costs.of_interest(found))
    metric = "auroc" if by_auroc else "brier"
    figure = style.new_figure(WIDTH, 1.5 + 0.42 * len(defenses))
    panels = figure.subplots(1, 2, sharey=True)
    for row in found.iter_rows(named=True):
        for axes, column in zip(panels, ("influence", metric), strict=True):
            _cost(axes, row, column, defenses.index(row["defense"]))
    for axes, neutral in zip(panels, (1, 0), strict=True):
        axes.axvline(neutral, color=style.SOFT, linewidth=0.9, zorder=0)
        style.guide(axes, "x")
        axes.tick_params(axis="y", length=0)
    _share_axis(panels[0])
    panels[0].set_yticks(range(len(defenses)), defenses)
    better = "left is worse" if metric == "auroc" else "right is worse"
    panels[0].set(
        ylim=(len(defenses) - 0.4, -0.6), xlabel="Influence on the model, in equal shares"
    )
    panels[1].xaxis.set_major_locator(MaxNLocator(6))
    panels[1].set_xlabel(f"Change of {METRICS[metric].text} at its own patients ({better})")
    _legend_of_costs(figure, found)
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
        _bars(axes, row[column], place + aside, bounds, None, color, marker, 6.5)
    else:
        look: dict[str, Any] = {"color": style.SOFT, "markersize": 3.5, "alpha": 0.45}
        axes.plot([row[column]], [place], marker, markeredgewidth=0, **look)


def _share_axis(axes: Axes) -> None:
    """Scale an axis like a square root: Krum's shares, 0 or n, leave room for those around 1."""
    axes.set_xscale("function", functions=(_root, _square))
    high = max(1.0, axes.dataLim.x1)
    axes.set_xlim(min(-0.004, axes.dataLim.x0), 1.1 * high)
    powers = (2.0**k for k in range(1, 12) if 2**k <= high)
    axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 1, *powers]))
    axes.xaxis.set_major_formatter(FuncFormatter(_plainly))


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def _square(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * values**2)


def _percent(value: float, _place: int | None) -> str:
    return f"{100 * value:.3g} %"


def _plainly(value: float, _: object = None) -> str:
    return f"{value:g}"


def _legend_of_costs(figure: Figure, found: pl.DataFrame) -> None:
    marked = found.filter(pl.col("role") != "").unique("role", keep="first", maintain_order=True)
    shown = []
    for row in marked.sort("role", descending=True).iter_rows(named=True):
        color, marker, _ = COST_LOOKS[row["role"]]
        label = f"{row['role']}: {row['hospital']}, {row['n_train']} records"
        shown.append(_mark(marker, color, label, markersize=7))
    shown.append(_mark("o", style.SOFT, "every other hospital", markersize=4, alpha=0.45))
    figure.legend(handles=shown, loc="outside upper center", ncols=3)


def _mark(marker: str, color: str, label: str, **look: Any) -> Line2D:
    """A mark without a line, for a legend."""
    return Line2D([], [], linestyle="", marker=marker, color=color, label=label, **look)


def _ranked(points: pl.DataFrame) -> Figure:
    figure = style.new_figure(WIDTH, 1.4 + 0.29 * len(points))
    axes = figure.add_subplot()
    style.guide(axes, "x")
    rows = list(points.iter_rows(named=True))
    for y, row in enumerate(rows):
        span = (row["worst"], row["utility"])
        axes.plot(span, (y, y), color=style.FAINT, linewidth=4, zorder=1, solid_capstyle="butt")
        ends = (row["utility_low"], row["utility_high"])
        _bars(axes, row["utility"], y, ends, None, style.BLUE, marker="D")
        _bars(axes, row["worst"], y, (row["worst_low"], row["worst_high"]), None, style.VERMILION)
        _lowest(axes, row["worst_lowest"], y, style.VERMILION, "<")
        axes.text(
            1.02,
            y,
            words.attack(row["attack"]),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
        )
    axes.set_yticks(range(len(rows)), [_privately(row) for row in rows])
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="AUROC (right is better)")
    axes.tick_params(axis="y", length=0)
    shown = [
        _mark("D", style.BLUE, "nobody attacking", markersize=7),
        _mark("o", style.VERMILION, "worst attack tried, named on the right", markersize=7),
    ]
    figure.legend(handles=shown, loc="outside upper center", ncols=2)
    return figure


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
    _bars(axes, row["utility"], row["worst"], across, up, color, marker=marker)
    _lowest(axes, row["utility"], row["worst_lowest"], color, "v")


def _lowest(axes: Axes, x: float, y: float, color: Any, marker: str) -> None:
    """A small mark at the outcome of the worst seed."""
    axes.plot([x], [y], marker, color=color, markersize=4.5, alpha=0.8, markeredgewidth=0, zorder=3)


def _bars(
    axes: Axes,
    x: float,
    y: float,
    across: Any,
    up: Any,
    color: Any,
    marker: str = "o",
    size: float = 8,
) -> None:
    """A point with the intervals it has; one seed has none and gets none."""
    if across and None not in across:
        axes.plot(across, (y, y), color=color, linewidth=1.4, alpha=0.7, solid_capstyle="butt")
    if up and None not in up:
        axes.plot((x, x), up, color=color, linewidth=1.4, alpha=0.7, solid_capstyle="butt")
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.8}
    axes.plot([x], [y], marker, color=color, markersize=size, zorder=4, **edge)


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
            fontsize=8,
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
    return (
        name if inversions["attack"].n_unique() == 1 else f"{name} ({words.attack(row['attack'])})"
    )


def _labels_in_margin(axes: Axes, points: Iterable[tuple[float, float, str]]) -> None:
    """Write every point's name in a column right of the axes, tied to the point by a thin line."""
    points = list(points)
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height / axes.figure.dpi
    heights = style.spread([(y - low) / (high - low) for _, y, _ in points], 0.21 / height)
    shift = max(0.0, max(heights, default=0.0) - 1.0)
    for (x, y, text), place in zip(points, heights, strict=True):
        tie = {"arrowstyle": "-", "color": style.SOFT, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 5}
        axes.annotate(
            text,
            (x, y),
            (1.03, place - shift),
            xycoords="data",
            textcoords="axes fraction",
            arrowprops=tie,
            va="center",
            fontsize=8.5,
        )
