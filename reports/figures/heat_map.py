"""The heat map: attacks across, defenses down: the model, backdoors, and what attackers read."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, NamedTuple

import matplotlib as mpl
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.analysis import tables
from reports.analysis.leaks import GUESSING, Leak, Metric
from reports.figures import labels, style
from reports.figures.multiples import batches
from reports.figures.style import PAGE, WIDTH, Width, sized
from reports.text import words
from sim.evidence.intervals import HARMED, UNDECIDED
from sim.types import TableRow

ROOMY = 9  # attacks across up to which a cell has room for three lines
FLAT = 5  # names of attacks across that need no slant
LONGEST_ABOVE = 24  # characters of a slanted name above a figure for a phone or a paper
GAP = 0.3  # columns between attacks judged by AUROC, backdoors and attacks that read

Color = tuple[float, float, float]

LETTER = 0.072  # inches of a letter in the name of a defense
PER_STRIP = 1.25  # inches for a scale and what stands beside it
CELL = 0.88  # inches that hold the longest line of a cell


class _Look(NamedTuple):
    """How one kind of cell is drawn: columns of its mean and worst seed, their colors and text."""

    scale: mpl.cm.ScalarMappable
    mean: str
    worst: str
    low_is_bad: bool


@dataclass(frozen=True)
class _Sheet:
    """Where cells stand: attacks across and defenses down, or ``upright``, the other way round.

    ``panels``: axes with the defenses that each has, where they are too many for one. ``roomy``:
    whether a cell has room for three lines. ``sizes``: of the first line and of the others.
    """

    panels: Sequence[tuple[Axes, Sequence[str]]]
    upright: bool
    roomy: bool
    sizes: tuple[float, float]

    def spot(self, place: float, defense: str) -> tuple[Axes, float, float]:
        """The axes of a cell and its middle there. ``place``: of its attack."""
        axes, defenses = next(panel for panel in self.panels if defense in panel[1])
        line = float(defenses.index(defense))
        return (axes, line, place) if self.upright else (axes, place, line)

    def box(self, first: float, n: float, among: Sequence[str], margin: float, **look: Any) -> None:
        """Add a rectangle around ``n`` attacks from a place on and these defenses to each panel."""
        for axes, defenses in self.panels:
            lines = [line for line, name in enumerate(defenses) if name in among]
            if lines:
                start = (first - 0.5 + margin, lines[0] - 0.5 + margin)
                size = (n - 2 * margin, len(lines) - 2 * margin)
                if self.upright:
                    axes.add_artist(Rectangle(start[::-1], *size[::-1], **look))
                else:
                    axes.add_artist(Rectangle(start, *size, **look))


@sized
def heat_map(
    cells: pl.DataFrame,
    width: Width,
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
    Where attacks are too many for large cells, the cells are small and state mean and worst seed;
    where they are too many for the width, attacks are down and defenses across, in several panels.
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
    places, marked_places, read_places = _side_by_side(attacks, bad, reading)
    across = [*places.items(), *marked_places.items(), *read_places.items()]
    if not across or not defenses:
        return style.nothing(width)
    looks = _looks(shown, marked)
    figure, sheet, strips = _laid_out(
        width, [name for name, _ in across], defenses, len(looks) + bool(read)
    )
    parts = ((places, looks.get("AUROC"), shown), (marked_places, looks.get("backdoors"), marked))
    for where, look, frame in parts:
        if look is not None:
            _ground(sheet, where, defenses)
            for row in frame.iter_rows(named=True):
                _cell(sheet, where[row["attack"]], row, look)
    of_reading = mpl.cm.ScalarMappable(Normalize(0, 1), "cividis_r")
    if read:
        _ground(sheet, read_places, defenses)
    for one in read:
        _read_cell(sheet, read_places[one.attack], one, of_reading)
    for (attack, defense), text in without.items():
        place = marked_places[attack] if attack in marked_places else places[attack]
        _not_defined(sheet, place, defense, text)
    _frame_controls(sheet, places, (marked_places, read_places), defenses)
    adaptive = set(cells.filter(pl.col("adaptive"))["attack"])
    _label(sheet, across, adaptive, width)
    upright: Any = "vertical" if width == PAGE else "horizontal"
    _strips(figure, strips, looks, upright)
    if read:
        _read_strip(figure, strips[-1], of_reading, {one.metric for one in read}, upright)
    return figure


def _side_by_side(*groups: Sequence[str]) -> list[dict[str, float]]:
    """The place of each name of a group, with a gap between groups."""
    found = list[dict[str, float]]()
    start = 0.0
    for names in groups:
        found.append({name: start + place for place, name in enumerate(names)})
        start += len(names) + (GAP if names else 0)
    return found


def _strips(
    figure: Figure, strips: Sequence[Axes], looks: Mapping[str, _Look], upright: Any
) -> None:
    """The scales of what attacks spoil and hide."""
    titles = {
        "AUROC": "AUROC on all test patients",
        "backdoors": "Backdoors: success beyond\nfalse triggers, in points",
    }
    for strip, (name, look) in zip(strips, looks.items(), strict=False):
        title = titles[name] if upright == "vertical" else titles[name].replace("\n", " ")
        bar = figure.colorbar(look.scale, cax=strip, orientation=upright, label=title)
        bar.outline.set_visible(False)


def _laid_out(
    width: Width, attacks: Sequence[str], defenses: Sequence[str], n_strips: int
) -> tuple[Figure, _Sheet, Sequence[Axes]]:
    """A figure with the sheet for all cells, and its scales, on the right or below."""
    usual = width.size
    n_attacks = len(attacks)
    if width == PAGE:
        roomy = n_attacks <= ROOMY
        figure = style.new_figure(*_size(n_attacks, len(defenses), roomy))
        ratios = (n_attacks, *[0.15 if roomy else 0.35] * n_strips)
        axes, *strips = figure.subplots(1, 1 + n_strips, width_ratios=ratios, squeeze=False)[0]
        sizes = (1.05 * usual, 0.79 * usual) if roomy else (0.79 * usual, 0.63 * usual)
        if roomy:
            beside = LETTER * (5 + max(len(words.defense(name)) for name in defenses))
            inches = (figure.get_figwidth() - beside - PER_STRIP * n_strips) / (n_attacks + GAP)
            sizes = (sizes[0], sizes[1] * min(1.0, inches / CELL))
        return figure, _Sheet([(axes, defenses)], False, roomy, sizes), strips
    roomy = width.high(2.2 + 1.0 * n_attacks) <= width.inches
    upright = not roomy and width.high(2.2 + 0.44 * n_attacks) > width.inches
    most = max(1, int((width.inches / width.high(1) - 1.5) / 0.47)) if upright else len(defenses)
    parts = batches(defenses, most)
    line = 0.62 if roomy else 0.36
    lines = [n_attacks] * len(parts) if upright else [len(defenses)]
    above = defenses if upright else attacks
    longest = min(LONGEST_ABOVE, max(len(words.attack(name)) for name in above))
    head = 0.5 if roomy and n_attacks <= FLAT else 0.4 + 0.06 * longest  # slanted names
    heights = [line * n + head for n in lines]
    high = sum(heights) + 0.62 * n_strips
    figure = style.new_figure(width.inches, width.high(high))
    ratios = (*heights, *[0.12] * n_strips)
    axes_of = list(figure.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0])
    panels = list(zip(axes_of, parts, strict=False))
    sizes = (1.0 * usual, 0.8 * usual) if roomy else (0.82 * usual, 0.72 * usual)
    return figure, _Sheet(panels, upright, roomy, sizes), axes_of[len(parts) :]


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


def _ground(sheet: _Sheet, places: Mapping[str, float], defenses: Sequence[str]) -> None:
    """Hatch the places of all cells, which those that were run will cover."""
    look: dict[str, Any] = {"facecolor": "#F4F4F4", "edgecolor": style.FAINT, "hatch": "///"}
    sheet.box(min(places.values()), len(places), defenses, 0.0, **look)


def _cell(sheet: _Sheet, place: float, row: TableRow, look: _Look) -> None:
    value = row[look.mean]
    face = (1.0, 1.0, 1.0)
    if value is not None:
        known = look.scale.to_rgba(value if look.low_is_bad else 100 * max(0.0, value))
        face = (float(known[0]), float(known[1]), float(known[2]))
    spot = sheet.spot(place, row["defense"])
    lines = _lines(row, look) if sheet.roomy else _few_lines(row, look)
    drawn = _written(sheet, spot, face, lines)
    drawn += _frame_verdict(spot, row, 2.2 if sheet.roomy else 1.5)
    style.mark(drawn, row["attack"], row["defense"])


def _read_cell(sheet: _Sheet, place: float, leak: Leak, scale: mpl.cm.ScalarMappable) -> None:
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
    if sheet.roomy:
        null = [] if leak.null is None else [f"{beside} {form(leak.null)}"]
        lines = [value, "one seed" if alone else f"{above} {most}", *null]
    else:
        shown = [most, value] if recovered else [most.removeprefix("0"), value.removeprefix("0")]
        worst = "" if alone else f"\N{UPWARDS ARROW}{shown[0].removesuffix(' %')}"
        lines = [shown[1], worst]
    drawn = _written(sheet, sheet.spot(place, leak.defense), face, lines)
    style.mark(drawn, leak.attack, leak.defense)


def _read_strip(
    figure: Figure,
    strip: Axes,
    scale: mpl.cm.ScalarMappable,
    metrics: set[Metric],
    upright: Any,
) -> None:
    """The scale of what attacks read, with the figures of each kind that there is."""
    levels = (0.0, 0.25, 0.5, 0.75, 1.0) if upright == "vertical" else (0.0, 0.5, 1.0)
    names: dict[Metric, str] = {
        "reconstruction_rate": "share of records recovered",
        "membership_auc": "AUC of membership",
    }
    texts: dict[Metric, list[str]] = {
        "reconstruction_rate": [f"{100 * level:.0f} %" for level in levels],
        "membership_auc": [f"{GUESSING + (1 - GUESSING) * level:g}" for level in levels],
    }
    present = [metric for metric in names if metric in metrics]
    between = "\nor " if upright == "vertical" else " or "
    label = "Read: " + between.join(names[metric] for metric in present)
    bar = figure.colorbar(scale, cax=strip, orientation=upright, label=label, ticks=levels)
    columns = [texts[metric] for metric in present]
    bar.set_ticklabels(["\n".join(each) for each in zip(*columns, strict=True)])
    bar.outline.set_visible(False)


def _written(
    sheet: _Sheet, spot: tuple[Axes, float, float], face: Color, lines: Sequence[str]
) -> list[Artist]:
    """Fill a cell with a color and up to three lines of text, the first one bold."""
    axes, x, y = spot
    ink = style.ink_on(face)
    edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 1.5 if sheet.roomy else 0.8}
    drawn: list[Artist] = [
        axes.add_artist(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, **edge))
    ]
    heights = (-0.24, 0.06, 0.29) if len(lines) == 3 else (-0.14, 0.22)
    for place, (height, text) in enumerate(zip(heights, lines, strict=True)):
        weight = "bold" if place == 0 else "normal"
        look: dict[str, Any] = {
            "fontsize": sheet.sizes[place > 0],
            "weight": weight,
            "color": ink,
        }
        drawn.append(axes.text(x, y + height, text, ha="center", va="center", **look))
        drawn[-1].set_in_layout(False)  # it stands inside its cell
    return drawn


def _not_defined(sheet: _Sheet, place: float, defense: str, text: str) -> None:
    """Write into a hatched cell that no run can fill."""
    axes, x, y = sheet.spot(place, defense)
    shown = text.replace(": ", ":\n") if sheet.roomy else "n. d."
    box = {"facecolor": "#F4F4F4", "edgecolor": "none", "pad": 1.5}
    axes.text(
        x,
        y,
        shown,
        ha="center",
        va="center",
        fontsize=0.74 * sheet.sizes[0] if sheet.roomy else sheet.sizes[1],
        bbox=box,
    )


def _frame_verdict(spot: tuple[Axes, float, float], row: TableRow, width: float) -> list[Artist]:
    """Frame a cell, inside it: red where harm is shown, dashed where only some seed shows it."""
    kinds = {HARMED: "-", UNDECIDED: (0, (3, 2))}
    some = any(row.get(name) for name in ("n_lost", "n_undefined", "n_worked"))
    if row["verdict"] not in kinds or (row["verdict"] == UNDECIDED and not some):
        return []
    look: dict[str, Any] = {
        "fill": False,
        "edgecolor": style.VERMILION,
        "linewidth": width,
        "linestyle": kinds[row["verdict"]],
    }
    axes, x, y = spot
    return [axes.add_artist(Rectangle((x - 0.45, y - 0.44), 0.9, 0.88, zorder=4, **look))]


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
    sheet: _Sheet,
    places: Mapping[str, float],
    others: Sequence[Mapping[str, float]],
    defenses: Sequence[str],
) -> None:
    look: dict[str, Any] = {"fill": False, "edgecolor": "black", "linewidth": 1.4, "zorder": 5}
    if "none" in places:
        sheet.box(0.0, 1, defenses, 0.01, **look)
    for where in (places, *others):
        if "none" in defenses and where:
            sheet.box(min(where.values()), len(where), ["none"], 0.01, **look)


def _label(
    sheet: _Sheet, across: Sequence[tuple[str, float]], adaptive: Container[str], width: Width
) -> None:
    """Name attacks and defenses on the left and above."""
    places = [place for _, place in across]
    ends = (-0.52, max(places) + 0.52)
    attacks = [words.attack(name) for name, _ in across]
    stars = [" *" * (name in adaptive) for name, _ in across]
    for number, (axes, defenses) in enumerate(sheet.panels):
        lines = range(len(defenses))
        names = [words.defense(name) for name in defenses]
        slant: dict[str, Any] = {"rotation_mode": "anchor", "ha": "left"}
        last = len(defenses) - 0.48
        if sheet.upright:
            slant["rotation"] = 40
            axes.set_xticks(lines, labels.shortened(names, LONGEST_ABOVE), **slant)
            axes.set_yticks(places, list(map(add, width.shortened(attacks), stars)))
            axes.set(xlim=(-0.52, last), ylim=ends[::-1])
            if number == 0:
                axes.set(xlabel="Defense", ylabel="Attack")
        else:
            slant["rotation"] = 20 if sheet.roomy else 55
            flat = sheet.roomy and len(attacks) <= FLAT
            shown = list(map(add, attacks, stars))
            if width != PAGE and flat:
                shown = [labels.wrapped(name, 14) for name in shown]
            elif width != PAGE:
                shown = list(map(add, labels.shortened(attacks, LONGEST_ABOVE), stars))
            axes.set_xticks(places, shown, **({} if flat else slant))
            axes.set_yticks(lines, width.shortened(names))
            axes.set(xlim=ends, ylim=(last, -0.52), xlabel="Attack", ylabel="Defense")
        ours = (axes.get_yticklabels(), axes.get_xticklabels())
        of_attacks, of_defenses = ours if sheet.upright else ours[::-1]
        for label, (name, _) in zip(of_attacks, across, strict=True):
            style.mark(label, attack=name)
        for label, name in zip(of_defenses, defenses, strict=True):
            style.mark(label, defense=name)
        axes.xaxis.set_label_position("top")
        axes.xaxis.labelpad = 10
        axes.xaxis.tick_top()
        style.without_ticks(axes)
        axes.spines[:].set_visible(False)
