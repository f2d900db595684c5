"""Draw the figures of docs/attacks.md from folders of evidence: ``python docs/images/draw.py KIND
FOLDER OUT.png``.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from PIL import Image

from reports.analysis import tables
from reports.analysis.backdoors import backdoors
from reports.analysis.leaks import leaks
from reports.figures.heat_map import heat_map as drawn_heat_map
from reports.figures.style import COLORS, PAGE, RC, SOFT, Look, guide, looks, new_figure, png
from reports.text import words
from sim.evidence import RunRecord, read

WIDTH = 7.2
SEVERAL = 256  # colors that a figure keeps, so that its file stays small


def heat_map(records: Sequence[RunRecord]) -> Figure:
    """The heat map of the report, controls first."""
    ordered = tables.one_study(records)
    acting = tables.cells(ordered).filter(~pl.col("reads_only"))
    return drawn_heat_map(acting, PAGE, marked=backdoors(ordered), read=leaks(ordered))


def poison(records: Sequence[RunRecord]) -> Figure:
    """Success of each backdoor under each defense, and false triggers of the same runs without it
    (gray), with intervals.
    """
    figure = new_figure(WIDTH, 3.6)
    axes = figure.subplots()
    found = backdoors(records)
    _beside(axes, found, "false_trigger", SOFT)
    _beside(axes, found, "success")
    axes.set(ylim=(-0.02, 1.02), ylabel="patients put into the attacker's class")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.errorbar([], [], fmt="o", color=SOFT, markersize=4, label="without the attack")
    figure.legend(ncols=5, loc="outside upper center")
    return figure


def durability(records: Sequence[RunRecord]) -> Figure:
    """Success of a backdoor by round, of each seed and in the mean, and the last attacked round."""
    chosen = [record for record in records if record.backdoor is not None]
    figure, style = (
        new_figure(WIDTH, 3.2),
        looks(list(dict.fromkeys(record.defense for record in chosen))),
    )
    attacks = list(dict.fromkeys(record.attack for record in chosen))
    for axes, attack in zip(
        figure.subplots(1, len(attacks), sharey=True, squeeze=False)[0], attacks, strict=True
    ):
        for name, look in style.items():
            curves = pl.DataFrame(
                [
                    _success(record)
                    for record in chosen
                    if (record.attack, record.defense) == (attack, name)
                ]
            )
            _curves(axes, curves, look, words.defense(name))
        last = chosen[0].config["adversary"]["last_round"]
        axes.axvline(last, color=SOFT, linewidth=0.8)
        axes.text(last - 0.5, 0.02, "attack ends", color=SOFT, ha="right", fontsize=8)
        axes.set(
            title=textwrap.fill(words.attack(attack).replace("+", " + "), 32),
            xlabel="round",
            ylim=(-0.02, 1.02),
        )
        axes.title.set_size(8.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        guide(axes, "y")
    figure.axes[0].set_ylabel("patients put into\nthe attacker's class")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), ncols=len(style), loc="outside upper center"
    )
    return figure


def faults(records: Sequence[RunRecord]) -> Figure:
    """Change of the AUROC by each fault under each defense, with intervals over paired seeds."""
    figure = new_figure(WIDTH, 3.4)
    axes = figure.subplots()
    _beside(axes, tables.cells(records).filter(pl.col("attack") != "none"), "harm")
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+.2g}" if value else "0")
    )
    axes.set(ylabel="change of AUROC")
    figure.legend(ncols=4, loc="outside upper center")
    return figure


def inversion(records: Sequence[RunRecord]) -> Figure:
    """Share of records read from what the aggregator sees, by how many are summed in it, with exact
    intervals.
    """
    figure = new_figure(WIDTH, 3.0)
    axes = figure.subplots()
    by_size = sorted(
        records, key=lambda record: (record.defense, record.config["training"]["batch_size"])
    )
    for color, (defense, group) in zip(
        COLORS, groupby(by_size, key=lambda record: record.defense), strict=False
    ):
        sizes = groupby(group, key=lambda record: record.config["training"]["batch_size"])
        rows = pl.concat([tables.inversions(list(part)) for _, part in sizes])
        label = "one sum over all hospitals" if "sum" in defense else "each hospital's update"
        low, high = rows["rate"] - rows["rate_low"], rows["rate_high"] - rows["rate"]
        axes.errorbar(
            rows["summed"],
            rows["rate"],
            yerr=[low, high],
            fmt="o-",
            color=color,
            markersize=4,
            label=label,
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(
        xlabel="records summed in what the aggregator sees",
        ylabel="records recovered",
        ylim=(-0.02, 1.02),
    )
    axes.legend()
    guide(axes)
    return figure


def _beside(axes: Axes, rows: pl.DataFrame, column: str, color: str = "") -> None:
    """For each attack the means of its defenses side by side, with intervals; in one color, or in
    that of each defense.
    """
    attacks = list(rows["attack"].unique(maintain_order=True))
    style = looks(list(rows["defense"].unique(maintain_order=True)))
    for place, (name, look) in enumerate(style.items()):
        part = rows.filter(defense=name)
        at = [
            attacks.index(attack) + 0.18 * (place - (len(style) - 1) / 2)
            for attack in part["attack"]
        ]
        reach = [part[column] - part[f"{column}_low"], part[f"{column}_high"] - part[column]]
        label = None if color else words.defense(name)
        axes.errorbar(
            at,
            part[column],
            yerr=reach,
            fmt="o",
            color=color or look[0],
            markersize=4,
            elinewidth=1.2,
            label=label,
        )
    axes.set_xticks(
        range(len(attacks)),
        [textwrap.fill(words.attack(name).replace("+", " + "), 16) for name in attacks],
        fontsize=7.5,
    )
    guide(axes, "y")


def _success(record: RunRecord) -> dict[str, float]:
    """Round -> success."""
    lines = zip(*(record.curve[key] for key in ("round", "metric", "value")), strict=True)
    return {str(round_): value for round_, metric, value in lines if metric == "backdoor"}


def _curves(axes: Axes, curves: pl.DataFrame, look: Look, label: str) -> None:
    rounds, (color, dashes) = [int(name) for name in curves.columns], look
    for values in curves.iter_rows():
        axes.plot(rounds, values, color=color, linestyle=dashes, linewidth=0.6, alpha=0.35)
    axes.plot(
        rounds, curves.mean().row(0), color=color, linestyle=dashes, linewidth=1.8, label=label
    )


KINDS: dict[str, Callable[[Sequence[RunRecord]], Figure]] = {
    "heat_map": heat_map,
    "poison": poison,
    "durability": durability,
    "faults": faults,
    "inversion": inversion,
}


def main(kind: str, folder: str, out: str) -> None:
    """Draw one figure from all evidence under ``folder``."""
    records = [
        record
        for path in sorted(Path(folder).rglob("evidence.jsonl"))
        for record in read(path.parent)
    ]
    with mpl.rc_context(RC):
        figure = Image.open(BytesIO(png(KINDS[kind](records))))
    figure.convert("RGB").quantize(SEVERAL, method=Image.Quantize.MAXCOVERAGE).save(
        out, optimize=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
