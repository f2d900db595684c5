"""Small multiples: figures with one panel an attack or defense; too much for one makes several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.analysis import tables
from reports.figures import style
from reports.figures.style import RC, WIDTH, Look
from reports.text import words

MOST_HOSPITALS = 24  # drawn by name; beyond that the hardest hit ones
MOST_PANELS = 6  # attacks drawn; beyond that the most harmful ones
MOST_LINES = 6  # defenses in one figure of lines, beside no defense
MOST_EFFECTS = 8  # defenses in one figure of effects
REACH = 0.3  # how far lines are moved apart around a whole number, all together


@mpl.rc_context(RC)
def hospital_effects(effects: pl.DataFrame) -> list[Figure]:
    """Change of Brier score at each hospital with nobody attacking, one panel a defense.

    Bars are 95 % intervals. The worst hit hospital is marked where it is distinguished from every
    other. All figures have the same hospitals and the same scale.
    """
    shown = hardest_hit(effects)
    reach = _reach(effects)
    return [
        _effects_figure(effects, names, shown, reach)
        for names in batches(_names(effects, "defense"), MOST_EFFECTS)
    ]


@mpl.rc_context(RC)
def convergence(curves: pl.DataFrame, looks: Mapping[str, Look]) -> list[Figure]:
    """AUROC by round, one panel an attack and one line a defense.

    Lines are means over seeds, bands go from the lowest to the highest seed.
    """
    return [_convergence_figure(part, looks) for part in _by_lines(curves)]


@mpl.rc_context(RC)
def breakdown(
    table: pl.DataFrame, looks: Mapping[str, Look], limits: Mapping[str, int]
) -> list[Figure]:
    """AUROC by number of hostile hospitals, one panel an attack and one line a defense.

    Bars are 95 % intervals over seeds. Every line starts where nobody is hostile, if that was run:
    with the attack, if it takes no hostile hospital. A square at its end marks the largest number
    run that the rule is defined for: ``limits`` has the smallest that it is not. Cells without an
    AUROC are left out.
    """
    table = table.filter(pl.col("mean").is_not_null())
    return [_breakdown_figure(part, looks, limits) for part in _by_lines(table)]


def batches(names: Sequence[str], most: int) -> list[list[str]]:
    """``names`` in order, in the fewest parts of at most ``most``, as even as they get."""
    n = len(names)
    n_parts = math.ceil(n / most)
    return [list(names[n * i // n_parts : n * (i + 1) // n_parts]) for i in range(n_parts)]


def hardest_hit(effects: pl.DataFrame) -> list[str]:
    """Hospitals to show, largest first: all, or the ``MOST_HOSPITALS`` with the largest changes."""
    changes = effects.group_by("hospital", maintain_order=True).agg(pl.col("brier").max())
    worst = changes.sort("brier", descending=True)
    chosen = set(worst["hospital"].head(MOST_HOSPITALS))
    return [name for name in _names(effects, "hospital") if name in chosen]


def _by_lines(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """The frame in parts of at most ``MOST_LINES`` defenses, each with the undefended control."""
    names = [name for name in _names(frame, "defense") if name != "none"]
    parts = batches(names, MOST_LINES) if names else [[]]
    return [frame.filter(pl.col("defense").is_in(["none", *part])) for part in parts]


def _effects_figure(
    effects: pl.DataFrame, defenses: Sequence[str], shown: Sequence[str], reach: tuple[float, float]
) -> Figure:
    n_rows, n_columns = _grid(len(defenses), 4)
    figure = style.new_figure(WIDTH, n_rows * (0.75 + 0.19 * len(shown)) + 0.3)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    panels[0, 0].set_xlim(*reach)
    for axes, defense in zip(panels.flat, defenses, strict=False):
        _effects_panel(axes, effects.filter(pl.col("defense") == defense), shown, defense)
    _finish(panels, len(defenses), "")
    label = "Change of Brier score against no defense, same seed (right is worse)"
    figure.supxlabel(label, fontsize=9.5)
    return figure


def _convergence_figure(curves: pl.DataFrame, looks: Mapping[str, Look]) -> Figure:
    attacks = _names(curves, "attack")
    figure, panels = _line_panels(len(attacks))
    for axes, attack in zip(panels.flat, attacks, strict=False):
        _convergence_panel(axes, curves.filter(pl.col("attack") == attack), looks)
        axes.set_title(words.attack(attack))
    _finish(panels, len(attacks), "Round")
    _legend(figure, curves, looks, panels.shape[1])
    return figure


def _breakdown_figure(
    table: pl.DataFrame, looks: Mapping[str, Look], limits: Mapping[str, int]
) -> Figure:
    attack_free = table.filter(attack="none", n_hostile=0)
    attacks = _names(table, "attack")
    shifts = _shifts(_names(table, "defense"))
    figure, panels = _line_panels(len(attacks))
    for axes, attack in zip(panels.flat, attacks, strict=False):
        rows = table.filter(pl.col("attack") == attack)
        lines = rows if 0 in rows["n_hostile"] else pl.concat([attack_free, rows])
        _breakdown_panel(axes, lines.sort("n_hostile", maintain_order=True), looks, limits, shifts)
        axes.set_title(words.attack(attack))
    panels[0, 0].set_ylim(bottom=max(0.0, panels[0, 0].get_ylim()[0]))
    _finish(panels, len(attacks), "Hostile hospitals")
    _legend(figure, table, looks, panels.shape[1])
    return figure


def _effects_panel(axes: Axes, rows: pl.DataFrame, shown: Sequence[str], defense: str) -> None:
    worst = set(tables.worst_hit(rows).filter(pl.col("alike").list.len() == 0)["hospital"])
    axes.axvline(0, color=style.SOFT, linewidth=0.9)
    style.guide(axes, "x")
    for row in rows.filter(pl.col("hospital").is_in(list(shown))).iter_rows(named=True):
        y = shown.index(row["hospital"])
        hit = row["hospital"] in worst
        color = style.VERMILION if hit else style.BLUE
        if row["brier_low"] is not None:
            span = (row["brier_low"], row["brier_high"])
            axes.plot(span, (y, y), color=color, linewidth=1.6, alpha=0.7, solid_capstyle="butt")
        axes.plot([row["brier"]], [y], "D" if hit else "o", color=color, markersize=5)
    # A long name stays over its own panel.
    title = words.defense(defense)
    axes.set_title(title, fontsize=min(10.0, 215 / len(title)))
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
        axes.fill_between(
            line["round"], line["low"], line["high"], color=color, alpha=0.13, linewidth=0
        )
        axes.plot(line["round"], line["mean"], color=color, linestyle=dashes, linewidth=1.5)


def _breakdown_panel(
    axes: Axes,
    rows: pl.DataFrame,
    looks: Mapping[str, Look],
    limits: Mapping[str, int],
    shifts: Mapping[str, float],
) -> None:
    style.guide(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    most = max(rows["n_hostile"])
    for (name,), line in rows.group_by(["defense"], maintain_order=True):
        defense = str(name)
        color, dashes = looks[defense]
        x = line["n_hostile"] + shifts[defense]
        look: dict[str, Any] = {"color": color, "linestyle": dashes, "linewidth": 1.4}
        axes.plot(x, line["mean"], marker="o", markersize=3, **look)
        for at, row in zip(x, line.iter_rows(named=True), strict=True):
            if row["mean_low"] is not None:
                span = (row["mean_low"], row["mean_high"])
                axes.plot((at, at), span, color=color, linewidth=1.0, alpha=0.55)
        last = line["n_hostile"][-1]
        if last < limits.get(defense, 0) <= max(last + 1, most):
            square: dict[str, Any] = {"markersize": 7.5, "markeredgecolor": "white", "zorder": 4}
            axes.plot([x[-1]], [line["mean"][-1]], "s", color=color, **square)


def _line_panels(n: int) -> tuple[Figure, Any]:
    n_rows, n_columns = _grid(n, 3)
    figure = style.new_figure(WIDTH if n_columns > 1 else 0.7 * WIDTH, 2.4 * n_rows + 0.8)
    return figure, figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)


def _finish(panels: Any, used: int, label: str) -> None:
    """Hide panels without data; ticks and ``label`` under the lowest used panel of each column."""
    for axes in list(panels.flat)[used:]:
        axes.set_visible(False)
    for axes in list(panels.flat)[max(0, used - panels.shape[1]) : used]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(label)
    for axes in panels[:, 0] if label else ():
        axes.set_ylabel("AUROC")


def _legend(figure: Figure, frame: pl.DataFrame, looks: Mapping[str, Look], n_columns: int) -> None:
    drawn = [name for name in looks if name in set(frame["defense"])]
    lines = [
        Line2D([], [], color=looks[name][0], linestyle=looks[name][1], linewidth=1.8)
        for name in drawn
    ]
    n_across = min(4 if n_columns > 1 else 3, len(drawn))
    figure.legend(
        lines,
        [words.defense(name) for name in drawn],
        loc="outside lower center",
        ncols=n_across,
        handlelength=2.6,
    )


def _shifts(defenses: Sequence[str]) -> dict[str, float]:
    """Distances of each defense's points from the whole number, so that bars stay visible."""
    step = REACH / max(1, len(defenses) - 1)
    return {name: step * place - REACH / 2 for place, name in enumerate(defenses)}


def _reach(effects: pl.DataFrame) -> tuple[float, float]:
    """The span of all changes, their intervals and 0, with some room."""
    ends = [
        0.0,
        *effects["brier"],
        *effects["brier_low"].drop_nulls(),
        *effects["brier_high"].drop_nulls(),
    ]
    room = 0.05 * (max(ends) - min(ends)) or 0.01
    return min(ends) - room, max(ends) + room


def _grid(n: int, most_columns: int) -> tuple[int, int]:
    """Rows and columns for ``n`` panels, as even as they get."""
    n_rows = math.ceil(n / most_columns)
    return n_rows, math.ceil(n / n_rows)


def _names(frame: pl.DataFrame, column: str) -> list[str]:
    return list(frame[column].unique(maintain_order=True))
