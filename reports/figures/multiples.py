"""Small multiples: figures with one panel an attack or defense; too much for one makes several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

from reports.analysis import tables
from reports.figures import style
from reports.figures.style import Look, Width, sized
from reports.text import words

MOST_HOSPITALS = 24  # drawn by name; beyond that the hardest hit ones
MOST_PANELS = 6  # attacks drawn; beyond that the most harmful ones
MOST_LINES = 6  # defenses in one figure of lines, beside no defense
MOST_EFFECTS = 8  # defenses in one figure of effects
_PALE: Final[Mapping[str, Any]] = {"alpha": 0.7, "solid_capstyle": "butt"}
_POINT: Final[Mapping[str, Any]] = {"markersize": 5}
_RING: Final[Mapping[str, Any]] = {"markersize": 5, "markerfacecolor": "white", "linewidth": 1.4}
FOUND: Final = {  # column: color, marker, how far from the line of an attack it is drawn
    "recall": (style.BLUE, "o", -0.15),
    "precision": (style.VERMILION, "D", 0.15),
}
REACH = 0.3  # how far lines are moved apart around a whole number, all together


@sized
def hospital_effects(
    effects: pl.DataFrame, width: Width, defenses: Sequence[str] | None = None
) -> Figure:
    """Change of Brier score at each hospital with nobody attacking, one panel a defense.

    ``effects``: a frame of ``tables.hospital_effects``. ``defenses``: those to draw; None: all. All
    figures of a frame have the same hospitals and the same scale. Bars are 95 % intervals. The
    worst hit hospital is marked where it is distinguished from every other.
    """
    if effects.is_empty():
        return style.nothing(width)
    shown = hardest_hit(effects)
    names = _names(effects, "defense") if defenses is None else list(defenses)
    n_rows, n_columns = _grid(len(names), 2 if width.narrow else 4)
    height = n_rows * (0.75 + 0.19 * len(shown)) + 0.3
    figure = style.new_figure(width.inches, width.high(height))
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    panels[0, 0].set_xlim(*_reach(effects))
    hit = tables.worst_hit(effects).filter(pl.col("alike").list.len() == 0)
    worst = dict(hit.select("defense", "hospital").iter_rows())
    for axes, defense in zip(panels.flat, names, strict=False):
        rows = effects.filter(pl.col("defense") == defense)
        _effects_panel(axes, rows, shown, defense, width, worst.get(defense))
    _finish(panels, len(names), "")
    label = "Change of Brier score against no defense, same seed (right is worse)"
    figure.supxlabel(width.wrapped(label), fontsize="medium")
    return figure


@sized
def convergence(
    curves: pl.DataFrame,
    width: Width,
    looks: Mapping[str, Look],
    defenses: Sequence[str] | None = None,
) -> Figure:
    """AUROC by round, one panel an attack and one line a defense.

    ``curves``: a frame of ``tables.curves``. ``defenses``: those to draw; None: all. Lines are
    means over seeds, bands go from the lowest to the highest seed. Rounds in which the attack acts
    are shaded.
    """
    if curves.is_empty():
        return style.nothing(width)
    shown = _of(curves, defenses)
    attacks = _names(shown, "attack")
    figure, panels = _line_panels(len(attacks), len(_names(shown, "defense")), width)
    for axes, attack in zip(panels.flat, attacks, strict=False):
        _convergence_panel(axes, shown.filter(pl.col("attack") == attack), looks)
        axes.set_title(width.named(words.attack(attack)))
    _finish(panels, len(attacks), "Round (shaded: the attack acts)")
    style.legend_of_defenses(figure, shown["defense"].to_list(), looks, width)
    return figure


@sized
def breakdown(
    table: pl.DataFrame,
    width: Width,
    looks: Mapping[str, Look],
    limits: Mapping[str, int],
    defenses: Sequence[str] | None = None,
) -> Figure:
    """AUROC by number of hostile hospitals, one panel an attack and one line a defense.

    ``table``: a frame of ``breakdown.by_number``. ``defenses``: those to draw; None: all. Bars are
    95 % intervals over seeds. Every line starts where nobody is hostile, if that was run: with the
    attack, if it takes no hostile hospital. A square at its end marks the largest number run that
    the rule is defined for: ``limits`` has the smallest that it is not. Cells without an AUROC are
    left out.
    """
    shown = _of(table.filter(pl.col("mean").is_not_null()), defenses)
    if shown.is_empty():
        return style.nothing(width)
    attack_free = shown.filter(attack="none", n_hostile=0)
    attacks = _names(shown, "attack")
    names = _names(shown, "defense")
    shifts = _shifts(names)
    figure, panels = _line_panels(len(attacks), len(names), width)
    for axes, attack in zip(panels.flat, attacks, strict=False):
        rows = shown.filter(pl.col("attack") == attack)
        lines = rows if 0 in rows["n_hostile"] else pl.concat([attack_free, rows])
        _breakdown_panel(axes, lines.sort("n_hostile", maintain_order=True), looks, limits, shifts)
        axes.set_title(width.named(words.attack(attack)))
    panels[0, 0].set_ylim(bottom=max(0.0, panels[0, 0].get_ylim()[0]))
    _finish(panels, len(attacks), "Hostile hospitals")
    style.legend_of_defenses(figure, names, looks, width)
    return figure


@sized
def hospital_scores(
    scores: pl.DataFrame, width: Width, defenses: Sequence[str] | None = None
) -> Figure:
    """AUROC at each hospital with nobody attacking and under the worst attack, by defense.

    ``scores``: a frame of ``tables.hospital_scores``. ``defenses``: those to draw; None: all. A
    ring is the mean with nobody attacking, a disk that under the attack that the panel names; the
    line between them is what the attack costs the hospital's own patients. A loss whose 95 %
    interval excludes 0 is red.
    """
    if scores.is_empty():
        return style.nothing(width)
    shown = hardest_hit(scores, -pl.col("harm"))
    names = _names(scores, "defense") if defenses is None else list(defenses)
    n_rows, n_columns = _grid(len(names), 2 if width.narrow else 4)
    height = n_rows * (0.95 + 0.19 * len(shown)) + 0.6
    figure = style.new_figure(width.inches, width.high(height))
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes, defense in zip(panels.flat, names, strict=False):
        _scores_panel(axes, scores.filter(pl.col("defense") == defense), shown, defense, width)
    _finish(panels, len(names), "")
    figure.supxlabel(width.wrapped("AUROC on the hospital's own test patients"), fontsize="medium")
    _legend_of_scores(figure, width)
    return figure


@sized
def detection(selected: pl.DataFrame, width: Width, by_chance: float) -> Figure:
    """Recall and precision of rules that leave hospitals out, an attack a line, a defense a panel.

    ``selected``: a frame of ``weights.leaving_out``. ``by_chance``: the precision of a rule that
    leaves hospitals out at random. Bars are 95 % intervals over seeds. Where an attack has no mark,
    nothing was counted.
    """
    if selected.is_empty():
        return style.nothing(width)
    attacks = _names(selected, "attack")
    defenses = _names(selected, "defense")
    n_rows, n_columns = _grid(len(defenses), 2 if width.narrow else 4)
    height = n_rows * (0.75 + 0.24 * len(attacks)) + 0.9
    figure = style.new_figure(width.inches, width.high(height))
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    panels[0, 0].set_xlim(-0.04, 1.04)
    for axes, defense in zip(panels.flat, defenses, strict=False):
        axes.axvline(by_chance, color=style.SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
        _detection_panel(axes, selected.filter(pl.col("defense") == defense), attacks, width)
        axes.set_title(width.named(words.defense(defense)))
    _finish(panels, len(defenses), "")
    figure.supxlabel("Share of hospitals", fontsize="medium")
    _legend_of_detection(figure, width)
    return figure


def parts(frame: pl.DataFrame, most: int = 0) -> list[list[str]]:
    """The defenses of each of the figures that a frame takes, at most so many in one.

    Without ``most``: ``MOST_LINES`` and with them the undefended control.
    """
    names = _names(frame, "defense")
    if most:
        return batches(names, most)
    others = [name for name in names if name != "none"]
    return [["none", *part] for part in (batches(others, MOST_LINES) if others else [[]])]


def batches(names: Sequence[str], most: int) -> list[list[str]]:
    """``names`` in order, in the fewest parts of at most ``most``, as even as they get."""
    n = len(names)
    n_parts = math.ceil(n / most)
    return [list(names[n * i // n_parts : n * (i + 1) // n_parts]) for i in range(n_parts)]


def hardest_hit(effects: pl.DataFrame, change: pl.Expr | None = None) -> list[str]:
    """Hospitals to show, largest first: all, or the ``MOST_HOSPITALS`` with the largest changes.

    ``change``: for the worse; None: that of the Brier score.
    """
    of_each = (pl.col("brier") if change is None else change).max().alias("change")
    changes = effects.group_by("hospital", maintain_order=True).agg(of_each)
    worst = changes.sort("change", descending=True)
    chosen = set(worst["hospital"].head(MOST_HOSPITALS))
    return [name for name in _names(effects, "hospital") if name in chosen]


def _of(frame: pl.DataFrame, defenses: Sequence[str] | None) -> pl.DataFrame:
    return frame if defenses is None else frame.filter(pl.col("defense").is_in(list(defenses)))


def _effects_panel(
    axes: Axes,
    rows: pl.DataFrame,
    shown: Sequence[str],
    defense: str,
    width: Width,
    worst: str | None,
) -> None:
    """``worst``: the hospital that is distinguished from every other, if there is one."""
    axes.axvline(0, color=style.SOFT, linewidth=0.9)
    style.guide(axes, "x")
    for row in rows.filter(pl.col("hospital").is_in(list(shown))).iter_rows(named=True):
        y = shown.index(row["hospital"])
        hit = row["hospital"] == worst
        color = style.VERMILION if hit else style.BLUE
        marker = "D" if hit else "o"
        lines = style.line(axes, [row["brier"]], [y], only=marker, color=color, **_POINT)
        if row["brier_low"] is not None:
            span = (row["brier_low"], row["brier_high"])
            lines += style.line(axes, span, (y, y), color=color, linewidth=1.6, **_PALE)
        style.mark(lines, defense=defense, hospital=row["hospital"])
    axes.set_title(width.named(words.defense(defense)))
    _hospitals_down(axes, shown, width)
    axes.xaxis.set_major_locator(MaxNLocator(3 if width.narrow else 4))


def _hospitals_down(axes: Axes, shown: Sequence[str], width: Width) -> None:
    for tick, name in zip(_down(axes, width.shortened(shown)), shown, strict=False):
        style.mark(tick.label1, hospital=name)


def _down(axes: Axes, names: Sequence[str]) -> Sequence[Tick]:
    """The ticks of a line for each name, from above; only the first panel of a row has any."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    place = axes.get_subplotspec()
    if place is not None and not place.is_first_col():
        axes.yaxis.set_visible(False)
        return ()
    axes.set_yticks(range(len(names)), list(names), fontsize="small")
    style.without_ticks(axes, "y")
    return axes.yaxis.get_major_ticks(len(names))


def _scores_panel(
    axes: Axes, rows: pl.DataFrame, shown: Sequence[str], defense: str, width: Width
) -> None:
    style.guide(axes, "x")
    for row in rows.filter(pl.col("hospital").is_in(list(shown))).iter_rows(named=True):
        y = shown.index(row["hospital"])
        color = style.VERMILION if (row["harm_high"] or 0.0) < 0 else style.BLUE
        ends = (row["without"], row["under"])
        lines = style.line(axes, ends, (y, y), marker="o", color=color, markevery=[0], **_RING)
        lines += style.line(axes, [row["under"]], [y], only="o", color=color, zorder=3, **_POINT)
        style.mark(lines, row["attack"], defense, row["hospital"])
    attack = words.attack(rows["attack"][0]) if len(rows) else "not defined"
    axes.set_title(f"{width.named(words.defense(defense))}\n{width.named(attack)}")
    _hospitals_down(axes, shown, width)
    axes.xaxis.set_major_locator(MaxNLocator(3 if width.narrow else 4))


def _legend_of_scores(figure: Figure, width: Width) -> None:
    handles = [
        Line2D(
            [], [], color=style.SOFT, linestyle="", marker="o", label="nobody attacking", **_RING
        ),
        Line2D([], [], color=style.BLUE, marker="o", markersize=5, label="under the attack"),
        Line2D(
            [], [], color=style.VERMILION, marker="o", markersize=5, label="its interval excludes 0"
        ),
    ]
    columns = 2 if width.narrow else 3
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _detection_panel(axes: Axes, rows: pl.DataFrame, attacks: Sequence[str], width: Width) -> None:
    style.guide(axes, "x")
    for row in rows.iter_rows(named=True):
        for column, (color, marker, aside) in FOUND.items():
            if row[column] is None:
                continue
            y = attacks.index(row["attack"]) + aside
            lines = style.line(axes, [row[column]], [y], only=marker, color=color, **_POINT)
            if row[f"{column}_low"] is not None:
                span = (row[f"{column}_low"], row[f"{column}_high"])
                lines += style.line(axes, span, (y, y), color=color, linewidth=1.4, **_PALE)
            style.mark(lines, row["attack"], row["defense"])
    ticks = _down(axes, width.shortened([words.attack(name) for name in attacks]))
    for tick, name in zip(ticks, attacks, strict=False):
        style.mark(tick.label1, name)
    axes.xaxis.set_major_locator(
        FixedLocator([0, 0.5, 1] if width.narrow else [0, 0.25, 0.5, 0.75, 1])
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def _legend_of_detection(figure: Figure, width: Width) -> None:
    labels = {
        "recall": "recall: hostile hospitals left out",
        "precision": "precision: hostile among those left out",
    }
    handles = [
        Line2D([], [], color=color, linestyle="", marker=marker, markersize=5, label=labels[column])
        for column, (color, marker, _) in FOUND.items()
    ]
    chance: dict[str, Any] = {"color": style.SOFT, "linewidth": 0.9, "linestyle": (0, (4, 3))}
    handles.append(Line2D([], [], label="precision by chance", **chance))
    columns = 1 if width.narrow else 3
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _convergence_panel(axes: Axes, rows: pl.DataFrame, looks: Mapping[str, Look]) -> None:
    style.guide(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    for first, last in _spans(rows.filter("acting")["round"].unique().sort().to_list()):
        axes.axvspan(first - 0.5, last + 0.5, color=style.VERMILION, alpha=0.1, linewidth=0)
    axes.set_autoscale_on(False)  # else each band would have the limits computed again
    for (attack, defense), line in rows.group_by(["attack", "defense"], maintain_order=True):
        color, dashes = looks[str(defense)]
        marker = "o" if len(line) == 1 else ""
        rounds, mean, low, high = (
            line[column].to_numpy() for column in ("round", "mean", "low", "high")
        )
        drawn: list[Artist] = [
            axes.fill_between(rounds, low, high, color=color, alpha=0.13, linewidth=0),
            *axes.plot(
                rounds,
                mean,
                color=color,
                linestyle=dashes,
                linewidth=1.5,
                marker=marker,
            ),
        ]
        style.mark(drawn, str(attack), str(defense))
    axes.autoscale()


def _spans(rounds: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each sequence of rounds that follow each other."""
    spans = list[tuple[int, int]]()
    for number in rounds:
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _breakdown_panel(
    axes: Axes,
    rows: pl.DataFrame,
    looks: Mapping[str, Look],
    limits: Mapping[str, int],
    shifts: Mapping[str, float],
) -> None:
    style.guide(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    most = max(rows["n_hostile"])
    for (name,), line in rows.group_by(["defense"], maintain_order=True):
        defense = str(name)
        color, dashes = looks[defense]
        x = line["n_hostile"] + shifts[defense]
        look: dict[str, Any] = {"color": color, "linestyle": dashes, "linewidth": 1.4}
        lines = axes.plot(x, line["mean"], marker="o", markersize=3, **look)
        for at, row in zip(x, line.iter_rows(named=True), strict=True):
            if row["mean_low"] is not None:
                span = (row["mean_low"], row["mean_high"])
                lines += style.line(axes, (at, at), span, color=color, linewidth=1.0, alpha=0.55)
        last = line["n_hostile"][-1]
        if last < limits.get(defense, 0) <= max(last + 1, most):
            square: dict[str, Any] = {"markersize": 7.5, "markeredgecolor": "white", "zorder": 4}
            lines += axes.plot([x[-1]], [line["mean"][-1]], "s", color=color, **square)
        style.mark(lines, line["attack"][-1], defense)


def _line_panels(n: int, n_lines: int, width: Width) -> tuple[Figure, Any]:
    n_rows, n_columns = _grid(n, 1 if width.narrow else 3)
    legend = -(-n_lines // style.columns(width))
    inches = width.inches if width.narrow or n_columns > 1 else 0.7 * width.inches
    high = 1.9 if width.narrow else 2.4
    figure = style.new_figure(inches, width.high(high * n_rows + 0.4 + 0.22 * legend))
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
