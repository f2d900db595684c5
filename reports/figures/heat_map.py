"""The heat map: attacks across, defenses down: the model, backdoors, and what attackers read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.analysis import tables
from reports.analysis.leaks import GUESSING, Leak, Metric
from reports.figures import style
from reports.figures.style import RC, WIDTH
from reports.text import words
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

ROOMY = 9  # attacks across up to which a cell has room for three lines
GAP = 0.3  # columns between attacks judged by AUROC, backdoors and attacks that read

Color = tuple[float, float, float]


class _Look(NamedTuple):
    """How one kind of cell is drawn: columns of its mean and worst seed, their colors and text."""

    scale: mpl.cm.ScalarMappable
    mean: str
    worst: str
    low_is_bad: bool


@mpl.rc_context(RC)
def heat_map(
    cells: pl.DataFrame,
    marked: pl.DataFrame,
    undefined: Mapping[tuple[str, str], str] | None = None,
    read: Sequence[Leak] = (),
) -> Figure:
    """AUROC of every attack and defense, then backdoors, then what attacks that read found.

    ``cells`` and ``marked`` are frames of ``tables.cells`` and ``backdoors.backdoors``. In a cell
    stand the mean, the worst seed and how many seeds lost a material share of AUROC (or in how many
    the backdoor worked). Dark is worse on all scales. A full red frame means that harm is shown, a
    dashed one that some seeds show it and the mean does not decide it; controls come first, framed
    in black. A dagger marks cells with runs in which attack or defense did nothing, a double one
    those with seeds without an AUROC, an asterisk attacks that knew the defense. Hatched cells were
    not run, and ``undefined`` states by attack and defense the text of those that are not defined.
    Cells of ``read`` state the seed with the most and what is found where there is nothing to find.
    Beyond ``ROOMY`` attacks the cells are small and state mean and worst seed.
    """
    without = undefined or {}
    shown = tables.judged_by_auroc(cells)
    bad = list(marked["attack"].unique(maintain_order=True))
    never_run = [attack for attack, _ in without if attack not in bad]
    attacks = list(dict.fromkeys([*shown["attack"], *never_run]))
    reading = list(dict.fromkeys(one.attack for one in read))
    of_read = (one.defense for one in read)
    of_lost = (defense for _, defense in without)
    defenses = list(dict.fromkeys([*cells["defense"], *of_read, *of_lost]))
    n_across = len(attacks) + len(bad) + len(reading)
    roomy = n_across <= ROOMY
    places = {name: float(place) for place, name in enumerate(attacks)}
    start = len(attacks) + (GAP if attacks else 0)
    marked_places = {name: start + place for place, name in enumerate(bad)}
    start += len(bad) + (GAP if bad else 0)
    read_places = {name: start + place for place, name in enumerate(reading)}
    figure = style.new_figure(*_size(n_across, len(defenses), roomy))
    looks = _looks(shown, marked)
    n_strips = len(looks) + bool(read)
    ratios = (n_across, *[0.15 if roomy else 0.35] * n_strips)
    axes, *strips = figure.subplots(1, 1 + n_strips, width_ratios=ratios, squeeze=False)[0]
    parts = ((places, looks.get("AUROC"), shown), (marked_places, looks.get("backdoors"), marked))
    for where, look, frame in parts:
        if look is not None:
            _ground(axes, where, len(defenses))
            for row in frame.iter_rows(named=True):
                _cell(axes, where[row["attack"]], defenses.index(row["defense"]), row, look, roomy)
    of_reading = mpl.cm.ScalarMappable(Normalize(0, 1), "cividis_r")
    if read:
        _ground(axes, read_places, len(defenses))
    for one in read:
        place = read_places[one.attack]
        _read_cell(axes, place, defenses.index(one.defense), one, of_reading, roomy)
    for (attack, defense), text in without.items():
        place = marked_places[attack] if attack in marked_places else places[attack]
        _not_defined(axes, place, defenses.index(defense), text, roomy)
    _frame_controls(axes, places, (marked_places, read_places), defenses)
    across = [*places.items(), *marked_places.items(), *read_places.items()]
    _labels(axes, cells, across, defenses, roomy)
    titles = {
        "AUROC": "AUROC on all test patients",
        "backdoors": "Backdoors: success beyond\nfalse triggers, in points",
    }
    for strip, (name, look) in zip(strips, looks.items(), strict=False):
        bar = figure.colorbar(look.scale, cax=strip, label=titles[name])
        bar.outline.set_visible(False)
    if read:
        _read_strip(figure, strips[-1], of_reading, {one.metric for one in read})
    return figure


def _looks(shown: pl.DataFrame, marked: pl.DataFrame) -> dict[str, _Look]:
    """The looks of cells of AUROC and of backdoors, for those that there are."""
    looks = {}
    if not shown.is_empty():
        lowest = min([0.5, *shown["mean"].drop_nulls()])
        scale = mpl.cm.ScalarMappable(Normalize(lowest, 1.0), "cividis")
        looks["AUROC"] = _Look(scale, "mean", "lowest", low_is_bad=True)
    if not marked.is_empty():
        scale = mpl.cm.ScalarMappable(Normalize(0, 100), "cividis_r")
        looks["backdoors"] = _Look(scale, "gain", "gain_worst", low_is_bad=False)
    return looks


def _size(n_attacks: int, n_defenses: int, roomy: bool) -> tuple[float, float]:
    if roomy:
        return min(WIDTH + 3, 3.4 + 1.25 * n_attacks), 1.0 + 0.62 * n_defenses
    return max(WIDTH, 2.6 + 0.36 * n_attacks), 1.9 + 0.34 * n_defenses


def _ground(axes: Axes, places: Mapping[str, float], n_defenses: int) -> None:
    """Hatch the places of all cells, which those that were run will cover."""
    first = min(places.values()) - 0.5
    look: dict[str, Any] = {"facecolor": "#F4F4F4", "edgecolor": style.FAINT, "hatch": "///"}
    axes.add_patch(Rectangle((first, -0.5), len(places), n_defenses, **look))


def _cell(axes: Axes, x: float, y: int, row: TableRow, look: _Look, roomy: bool) -> None:
    value = row[look.mean]
    face = (1.0, 1.0, 1.0)
    if value is not None:
        known = look.scale.to_rgba(value if look.low_is_bad else 100 * max(0.0, value))
        face = (float(known[0]), float(known[1]), float(known[2]))
    _written(axes, x, y, face, _lines(row, look) if roomy else _few_lines(row, look), roomy)
    _frame_verdict(axes, x, y, row, 2.2 if roomy else 1.5)


def _read_cell(
    axes: Axes, x: float, y: int, leak: Leak, scale: mpl.cm.ScalarMappable, roomy: bool
) -> None:
    level: Any = leak.level
    known = scale.to_rgba(level)
    face = (float(known[0]), float(known[1]), float(known[2]))
    recovered = leak.metric == "reconstruction_rate"
    form = words.share if recovered else words.score
    value = form(leak.value)
    most = form(leak.most)
    above = "most" if recovered else "highest"
    beside = "shuffled" if recovered else "null"
    alone = leak.n_seeds == 1
    if roomy:
        null = [] if leak.null is None else [f"{beside} {form(leak.null)}"]
        lines = [value, "one seed" if alone else f"{above} {most}", *null]
    else:
        shown = [most, value] if recovered else [most.removeprefix("0"), value.removeprefix("0")]
        worst = "" if alone else f"\N{UPWARDS ARROW}{shown[0].removesuffix(' %')}"
        lines = [shown[1], worst]
    _written(axes, x, y, face, lines, roomy)


def _read_strip(
    figure: Figure, strip: Axes, scale: mpl.cm.ScalarMappable, metrics: set[Metric]
) -> None:
    """The scale of what attacks read, with the figures of each kind that there is."""
    levels = (0.0, 0.25, 0.5, 0.75, 1.0)
    names: dict[Metric, str] = {
        "reconstruction_rate": "share of records recovered",
        "membership_auc": "AUC of membership",
    }
    texts: dict[Metric, list[str]] = {
        "reconstruction_rate": [f"{100 * level:.0f} %" for level in levels],
        "membership_auc": [f"{GUESSING + (1 - GUESSING) * level:g}" for level in levels],
    }
    present = [metric for metric in names if metric in metrics]
    label = "Read: " + "\nor ".join(names[metric] for metric in present)
    bar = figure.colorbar(scale, cax=strip, label=label, ticks=levels)
    columns = [texts[metric] for metric in present]
    bar.set_ticklabels(["\n".join(each) for each in zip(*columns, strict=True)])
    bar.outline.set_visible(False)


def _written(axes: Axes, x: float, y: int, face: Color, lines: Sequence[str], roomy: bool) -> None:
    """Fill a cell with a color and up to three lines of text, the first one bold."""
    ink = style.INK if 0.299 * face[0] + 0.587 * face[1] + 0.114 * face[2] >= 0.5 else "white"
    edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 1.5 if roomy else 0.8}
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, **edge))
    heights = (-0.24, 0.06, 0.29) if len(lines) == 3 else (-0.14, 0.22)
    for place, (height, text) in enumerate(zip(heights, lines, strict=True)):
        size = (10 if roomy else 7.5) if place == 0 else (7.5 if roomy else 6)
        weight = "bold" if place == 0 else "normal"
        look_of: dict[str, Any] = {"fontsize": size, "weight": weight, "color": ink}
        axes.text(x, y + height, text, ha="center", va="center", **look_of)


def _not_defined(axes: Axes, x: float, y: int, text: str, roomy: bool) -> None:
    """Write into a hatched cell that no run can fill."""
    shown = text.replace(": ", ":\n") if roomy else "n. d."
    box = {"facecolor": "#F4F4F4", "edgecolor": "none", "pad": 1.5}
    axes.text(x, y, shown, ha="center", va="center", fontsize=7, bbox=box)


def _frame_verdict(axes: Axes, x: float, y: int, row: TableRow, width: float) -> None:
    """Frame a cell, inside it: red where harm is shown, dashed where only some seed shows it."""
    kinds = {HARMED: "-", UNDECIDED: (0, (3, 2))}
    some = any(row.get(name) for name in ("n_lost", "n_undefined", "n_worked"))
    if row["verdict"] not in kinds or (row["verdict"] == UNDECIDED and not some):
        return
    look: dict[str, Any] = {
        "fill": False,
        "edgecolor": style.VERMILION,
        "linewidth": width,
        "linestyle": kinds[row["verdict"]],
    }
    axes.add_patch(Rectangle((x - 0.45, y - 0.44), 0.9, 0.88, zorder=4, **look))


def _lines(row: TableRow, look: _Look) -> list[str]:
    dagger = _daggers(row, " ")
    if row[look.mean] is None:
        lacking = row.get("n_undefined", 0)
        return ["not", f"defined{dagger}", *_counted(lacking, lacking, "lost")]
    if look.low_is_bad:
        worst = "one seed" if row["n"] == 1 else f"lowest {words.score(row['lowest'])}"
        counted = _counted(_lost(row), row["harm_n"] + row["n_undefined"], "lost")
        return [words.score(row["mean"]) + dagger, worst, *counted]
    worst = "one seed" if row["gain_n"] == 1 else f"most {words.signed_points(row['gain_worst'])}"
    counted = _counted(row["n_worked"], row["gain_n"], "worked")
    return [words.signed_points(row["gain"]) + dagger, worst, *counted]


def _lost(row: TableRow) -> int:
    """Seeds that lost a material share of AUROC, or left a model without one."""
    return int(row["n_lost"] + row["n_undefined"])


def _daggers(row: TableRow, space: str) -> str:
    """The signs for runs in which a part did nothing, and for seeds without a figure."""
    signs = ("†" if row["n_idle"] else "") + ("‡" if row.get("n_undefined") else "")
    return space + signs if signs else ""


def _counted(number: int, of: int, what: str) -> list[str]:
    return [f"{number} of {of} {what}"] if of else []


def _few_lines(row: TableRow, look: _Look) -> list[str]:
    """Mean and worst seed: no zero before the point, no words."""
    dagger = _daggers(row, "")
    if row[look.mean] is None:
        return ["n.d.", dagger]
    if look.low_is_bad:
        mean, worst = (words.score(row[name]).removeprefix("0") for name in ("mean", "lowest"))
        return [mean + dagger, "" if row["n"] == 1 else f"\N{DOWNWARDS ARROW}{worst}"]
    points = (f"{100 * row[name]:+.0f}" for name in ("gain", "gain_worst"))
    mean, worst = (text.replace("-", "\N{MINUS SIGN}") for text in points)
    return [mean + dagger, "" if row["gain_n"] == 1 else f"\N{UPWARDS ARROW}{worst}"]


def _frame_controls(
    axes: Axes,
    places: Mapping[str, float],
    others: Sequence[Mapping[str, float]],
    defenses: Sequence[str],
) -> None:
    outline: dict[str, Any] = {"fill": False, "edgecolor": "black", "linewidth": 1.4, "zorder": 5}
    if "none" in places:
        axes.add_patch(Rectangle((-0.49, -0.49), 0.98, len(defenses) - 0.02, **outline))
    for where in (places, *others):
        if "none" in defenses and where:
            first = min(where.values()) - 0.49
            axes.add_patch(Rectangle((first, -0.49), len(where) - 0.02, 0.98, **outline))


def _labels(
    axes: Axes,
    cells: pl.DataFrame,
    across: Sequence[tuple[str, float]],
    defenses: Sequence[str],
    roomy: bool,
) -> None:
    adaptive = set(cells.filter(pl.col("adaptive"))["attack"])
    names = [name for name, _ in across]
    places = [place for _, place in across]
    slant: TableRow = {}
    if len(names) > 5:
        slant = {"rotation": 20 if roomy else 55, "ha": "left", "rotation_mode": "anchor"}
    titles = [words.attack(name) + " *" * (name in adaptive) for name in names]
    axes.set_xticks(places, titles, **slant)
    axes.set_yticks(range(len(defenses)), [words.defense(name) for name in defenses])
    right = max(places) + 0.52
    bottom = len(defenses) - 0.48
    axes.set(xlim=(-0.52, right), ylim=(bottom, -0.52), xlabel="Attack", ylabel="Defense")
    axes.xaxis.set_label_position("top")
    axes.xaxis.labelpad = 10
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
