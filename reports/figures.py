"""One function a figure: a frame of ``reports.tables`` in, a labelled matplotlib figure out. Nothing is drawn through pyplot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from reports import style, tables, words
from reports.style import RC, WIDTH, Look

MOST_HOSPITALS = 24  # drawn by name; beyond that the hardest hit ones

Row = Mapping[str, Any]


@mpl.rc_context(RC)
def heat_map(cells: pl.DataFrame) -> Figure:
    """Attacks across, defenses down, mean AUROC with its 95 % interval in the cell. Controls come first, framed.

    A dagger marks cells with runs in which attack or defense did nothing; hatched cells were not run.
    """
    attacks, defenses = (_controls_first(cells[name]) for name in ("attack", "defense"))
    figure = style.new_figure(min(WIDTH + 2, 2.9 + 1.25 * len(attacks)), 0.9 + 0.55 * len(defenses))
    axes, strip = figure.subplots(1, 2, width_ratios=(len(attacks), 0.15))
    scale = mpl.cm.ScalarMappable(Normalize(min([0.5, *cells["mean"]]), 1.0), "cividis")
    axes.add_patch(Rectangle((-0.5, -0.5), len(attacks), len(defenses), facecolor="#F4F4F4", edgecolor=style.FAINT, hatch="///"))
    for row in cells.iter_rows(named=True):
        _cell(axes, attacks.index(row["attack"]), defenses.index(row["defense"]), row, scale)
    _frame_controls(axes, attacks, defenses)
    slant = {"rotation": 20, "ha": "left", "rotation_mode": "anchor"} if len(attacks) > 5 else {}
    axes.set_xticks(range(len(attacks)), [words.attack(name) for name in attacks], **slant)
    axes.set_yticks(range(len(defenses)), [words.defense(name) for name in defenses])
    axes.set(xlim=(-0.52, len(attacks) - 0.48), ylim=(len(defenses) - 0.48, -0.52), xlabel="Attack", ylabel="Defense")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(scale, cax=strip, label="AUROC on all test patients")
    bar.outline.set_visible(False)
    return figure


@mpl.rc_context(RC)
def tradeoff(points: pl.DataFrame) -> Figure:
    """Utility with nobody attacking (across) against the worst attack tried (up), one point a defense, 95 % intervals as bars."""
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
    axes.set(xlabel="AUROC with nobody attacking (right is better)", ylabel="AUROC under the worst attack tried\n(up is better)")
    return figure


@mpl.rc_context(RC)
def hospital_effects(effects: pl.DataFrame) -> Figure:
    """Change of Brier score at each hospital with nobody attacking, one panel a defense, 95 % intervals; worst hit marked."""
    defenses = list(effects["defense"].unique(maintain_order=True))
    shown = _hardest_hit(effects)
    n_rows, n_columns = _grid(len(defenses), 4)
    figure = style.new_figure(WIDTH, n_rows * (0.75 + 0.19 * len(shown)) + 0.3)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes, defense in zip(panels.flat, defenses, strict=False):
        _effects_panel(axes, effects.filter(pl.col("defense") == defense), shown, defense)
    _hide_unused(panels, len(defenses))
    _label_lowest(panels, len(defenses), "")
    figure.supxlabel("Change of Brier score against no defense, same seed (right is worse)", fontsize=9.5)
    return figure


@mpl.rc_context(RC)
def convergence(curves: pl.DataFrame, looks: Mapping[str, Look]) -> Figure:
    """AUROC by round, one panel an attack and one line a defense: mean over seeds, band from the lowest to the highest seed."""
    attacks = _controls_first(curves["attack"])
    n_rows, n_columns = _grid(len(attacks), 3)
    figure = style.new_figure(WIDTH if n_columns > 1 else 0.7 * WIDTH, 2.4 * n_rows + 0.8)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes, attack in zip(panels.flat, attacks, strict=False):
        _convergence_panel(axes, curves.filter(pl.col("attack") == attack), looks)
        axes.set_title(words.attack(attack))
    _hide_unused(panels, len(attacks))
    _label_lowest(panels, len(attacks), "Round")
    for axes in panels[:, 0]:
        axes.set_ylabel("AUROC")
    drawn = [name for name in looks if name in set(curves["defense"])]
    lines = [Line2D([], [], color=looks[name][0], linestyle=looks[name][1], linewidth=1.8) for name in drawn]
    n_across = min(5 if n_columns > 1 else 3, len(drawn))
    figure.legend(lines, [words.defense(name) for name in drawn], loc="outside lower center", ncols=n_across, handlelength=2.6)
    return figure


@mpl.rc_context(RC)
def reconstruction(inversions: pl.DataFrame, looks: Mapping[str, Look]) -> Figure:
    """Share of attacked records recovered, by defense (left) and against the records summed in a row of the view (right).

    Bars are exact 95 % intervals; the colors of the two panels agree.
    """
    rows = [row for row in inversions.iter_rows(named=True) if row["rate"] is not None]
    top = min(1.0, 1.2 * max([0.01, *(row["rate_high"] or row["rate"] for row in rows)]))
    figure = style.new_figure(WIDTH, max(3.2, 1.2 + 0.3 * len(rows)))
    named, crowd = figure.subplots(1, 2, width_ratios=(1, 1))
    for place, row in enumerate(rows):
        color = looks[row["defense"]][0]
        bounds = row["rate_low"], row["rate_high"]
        _bars(named, row["rate"], place, bounds, None, color)
        _bars(crowd, row["summed"], row["rate"], None, bounds, color)
    named.set_yticks(range(len(rows)), [_inversion_label(row, inversions) for row in rows])
    named.set(ylim=(len(rows) - 0.4, -0.6), xlim=(-0.04 * top, 1.04 * top), xlabel="Attacked records recovered")
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
    crowd.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (named.xaxis, crowd.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    return figure


@mpl.rc_context(RC)
def privacy_spent(spent: pl.DataFrame, looks: Mapping[str, Look]) -> Figure:
    """Epsilon (left) and noise multiplier (right) of each hospital against its number of training records, by defense."""
    figure = style.new_figure(WIDTH, 3.0)
    labels = {"epsilon": "Privacy spent, ε (down is better)", "noise_multiplier": "Noise multiplier"}
    panels = figure.subplots(1, 2)
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        for (defense,), rows in spent.group_by(["defense"], maintain_order=True):
            name, color = words.defense(str(defense)), looks[str(defense)][0]
            axes.plot(rows["n_train"], rows[column], "o", color=color, markersize=5.5, alpha=0.85, label=name)
        style.guide(axes)
        axes.margins(x=0.08)
        axes.set(xlabel="Training records of the hospital", ylabel=label, ylim=(0, 1.1 * max(spent[column])))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(6, len(names)))
    return figure


def _cell(axes: Axes, x: int, y: int, row: Row, scale: mpl.cm.ScalarMappable) -> None:
    face = scale.to_rgba(row["mean"])
    ink = "white" if 0.299 * face[0] + 0.587 * face[1] + 0.114 * face[2] < 0.5 else style.INK
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
    mark = " †" if row["n_idle"] else ""
    axes.text(x, y - 0.14, words.score(row["mean"]) + mark, ha="center", va="center", color=ink, fontsize=10, weight="bold")
    below = "one seed" if row["n"] == 1 else f"{row['mean_low']:.2f}\N{EN DASH}{row['mean_high']:.2f}"
    axes.text(x, y + 0.22, below, ha="center", va="center", color=ink, fontsize=7.5)


def _frame_controls(axes: Axes, attacks: Sequence[str], defenses: Sequence[str]) -> None:
    outline = {"fill": False, "edgecolor": style.VERMILION, "linewidth": 1.6, "zorder": 5}
    if "none" in attacks:
        axes.add_patch(Rectangle((-0.49, -0.49), 0.98, len(defenses) - 0.02, **outline))  # type: ignore[arg-type]
    if "none" in defenses:
        axes.add_patch(Rectangle((-0.49, -0.49), len(attacks) - 0.02, 0.98, **outline))  # type: ignore[arg-type]


def _privacy_colors(rows: Sequence[Row]) -> Any:
    """Color of a point from its epsilon: gray without one, else cividis from the strictest (dark) to the loosest (light)."""
    logs = [math.log(row["epsilon"]) for row in rows if row["epsilon"] is not None]
    norm = Normalize(min(logs, default=0.0), max(logs, default=1.0) + 1e-9)
    colors = mpl.colormaps["cividis"]
    return lambda epsilon: style.SOFT if epsilon is None else colors(0.1 + 0.75 * float(norm(math.log(epsilon))))


def _crossed_bars(axes: Axes, row: Row, color: Any) -> None:
    spans = [(row[f"{name}_low"], row[f"{name}_high"]) for name in ("utility", "worst")]
    _bars(axes, row["utility"], row["worst"], spans[0], spans[1], color, marker="o" if row["epsilon"] is None else "D")


def _bars(axes: Axes, x: float, y: float, across: Any, up: Any, color: Any, marker: str = "o") -> None:
    """A point with the intervals it has; one seed has none and gets none."""
    if across and None not in across:
        axes.plot(across, (y, y), color=color, linewidth=1.4, alpha=0.7, solid_capstyle="butt")
    if up and None not in up:
        axes.plot((x, x), up, color=color, linewidth=1.4, alpha=0.7, solid_capstyle="butt")
    axes.plot([x], [y], marker, color=color, markersize=8, markeredgecolor="white", markeredgewidth=0.8, zorder=4)


def _no_loss_line(axes: Axes) -> None:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    start, end = max(left, low), right
    if start < end:
        axes.plot((start, end), (start, end), color=style.SOFT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "attack costs nothing", (start, start), (6, -4), textcoords="offset points", color=style.SOFT, fontsize=8, va="top"
        )
    axes.set(xlim=(left, right), ylim=(low, max(high, end)))


def _point_label(row: Row) -> str:
    privacy = "" if row["epsilon"] is None else f", ε = {words.epsilon(row['epsilon'])}"
    return f"{words.defense(row['defense'])} ({row['attack']}{privacy})"


def _inversion_label(row: Row, inversions: pl.DataFrame) -> str:
    name = words.defense(row["defense"])
    return name if inversions["attack"].n_unique() == 1 else f"{name} ({row['attack']})"


def _labels_in_margin(axes: Axes, points: Iterable[tuple[float, float, str]]) -> None:
    """Names every point in a column right of the axes, kept apart, each tied to its point by a thin line."""
    points = list(points)
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height / axes.figure.dpi
    heights = style.spread([(y - low) / (high - low) for _, y, _ in points], 0.21 / height)
    shift = max(0.0, max(heights, default=0.0) - 1.0)
    for (x, y, text), place in zip(points, heights, strict=True):
        tie = {"arrowstyle": "-", "color": style.SOFT, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 5}
        at = {"xycoords": "data", "textcoords": "axes fraction", "arrowprops": tie, "va": "center", "fontsize": 8.5}
        axes.annotate(text, (x, y), (1.03, place - shift), **at)  # type: ignore[arg-type]


def _hardest_hit(effects: pl.DataFrame) -> list[str]:
    """Hospitals to draw, largest first: all, or the ``MOST_HOSPITALS`` with the largest change under any defense."""
    names = list(effects["hospital"].unique(maintain_order=True))
    worst = effects.group_by("hospital", maintain_order=True).agg(pl.col("brier").max()).sort("brier", descending=True)
    chosen = set(worst["hospital"].head(MOST_HOSPITALS))
    return [name for name in names if name in chosen]


def _effects_panel(axes: Axes, rows: pl.DataFrame, shown: Sequence[str], defense: str) -> None:
    worst = set(tables.worst_hit(rows)["hospital"])
    axes.axvline(0, color=style.SOFT, linewidth=0.9)
    style.guide(axes, "x")
    for row in rows.filter(pl.col("hospital").is_in(list(shown))).iter_rows(named=True):
        y = shown.index(row["hospital"])
        hit = row["hospital"] in worst
        color = style.VERMILION if hit else style.BLUE
        if row["brier_low"] is not None:
            axes.plot((row["brier_low"], row["brier_high"]), (y, y), color=color, linewidth=1.6, alpha=0.7, solid_capstyle="butt")
        axes.plot([row["brier"]], [y], "D" if hit else "o", color=color, markersize=5)
    axes.set_title(defense)
    axes.set_yticks(range(len(shown)), list(shown), fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _convergence_panel(axes: Axes, rows: pl.DataFrame, looks: Mapping[str, Look]) -> None:
    style.guide(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for (defense,), line in rows.group_by(["defense"], maintain_order=True):
        color, dashes = looks[str(defense)]
        if len(line) == 1:
            axes.plot(line["round"], line["mean"], "o", color=color)
        axes.fill_between(line["round"], line["low"], line["high"], color=color, alpha=0.13, linewidth=0)
        axes.plot(line["round"], line["mean"], color=color, linestyle=dashes, linewidth=1.5)


def _grid(n: int, most_columns: int) -> tuple[int, int]:
    """Rows and columns for ``n`` panels, as even as they get."""
    n_rows = math.ceil(n / most_columns)
    return n_rows, math.ceil(n / n_rows)


def _hide_unused(panels: Any, used: int) -> None:
    for axes in list(panels.flat)[used:]:
        axes.set_visible(False)


def _label_lowest(panels: Any, used: int, label: str) -> None:
    """Ticks and ``label`` under the lowest used panel of each column."""
    n_columns = panels.shape[1]
    for axes in list(panels.flat)[max(0, used - n_columns) : used]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(label)


def _controls_first(names: pl.Series) -> list[str]:
    unique = list(names.unique(maintain_order=True))
    return sorted(unique, key=lambda name: name != "none")
