"""Draw the figure of docs/rules.md from a folder of evidence: ``python docs/images/draw_changes.py
FOLDER OUT.png``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from reports.analysis import tables
from reports.figures.style import RC, WIDTH, ink_on, new_figure, png
from reports.text import words
from sim.evidence import RunRecord, read
from sim.evidence.intervals import UNDECIDED

DARKEST = 0.5  # loss of AUROC with the darkest color


def changes(records: Sequence[RunRecord]) -> Figure:
    """Change of the AUROC in hundredths by each attack under each defense, bold where its 95 %
    interval does not hold 0.

    A question mark states that harm is not decided. Cells without a figure are left white.
    The attack with the largest mean loss over defenses is on the left, the defense with the
    smallest on top.
    """
    cells = (
        tables.cells(tables.one_study(records))
        .filter(~pl.col("reads_only"), pl.col("attack") != "none")
        .drop_nulls("harm")
    )
    attacks, defenses = _by_mean(cells, "attack"), _by_mean(cells, "defense")[::-1]
    figure = new_figure(WIDTH, 2.0 + 0.2 * len(defenses))
    axes = figure.add_subplot()
    shade = mpl.cm.ScalarMappable(Normalize(0, DARKEST), "cividis_r")
    for row in cells.iter_rows(named=True):
        x, y, loss = (
            attacks.index(row["attack"]),
            defenses.index(row["defense"]),
            max(0.0, -row["harm"]),
        )
        red, green, blue, _ = map(float, shade.to_rgba(loss))
        face = (red, green, blue)
        edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.6}
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, **edge))
        bounds = row["harm_low"], row["harm_high"]  # None with one seed
        decided = None not in bounds and (bounds[1] < 0 or bounds[0] > 0)
        unsure = "?" if row["verdict"] == UNDECIDED else ""
        look: dict[str, Any] = {
            "color": ink_on(face),
            "weight": "bold" if decided else "normal",
        }
        text = (
            f"{round(100 * row['harm']):+d}".replace("-", "\N{MINUS SIGN}").replace("+0", "0")
            + unsure
        )
        axes.text(x, y, text, ha="center", va="center_baseline", fontsize=6.5, **look)
    axes.set_xticks(
        range(len(attacks)), attacks, rotation=55, ha="left", rotation_mode="anchor", fontsize=8
    )
    axes.set_yticks(range(len(defenses)), [words.defense(name) for name in defenses], fontsize=8)
    axes.set(xlim=(-0.5, len(attacks) - 0.5), ylim=(len(defenses) - 0.5, -0.5))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _by_mean(cells: pl.DataFrame, name: str) -> list[str]:
    """Names in order of their mean change, the worst first."""
    means = cells.group_by(name, maintain_order=True).agg(pl.col("harm").mean())
    return list(means.sort("harm", maintain_order=True)[name])


def main(folder: str, out: str) -> None:
    """Draw the figure from the evidence in ``folder``."""
    with mpl.rc_context(RC):
        figure = Image.open(BytesIO(png(changes(read(Path(folder))))))
    figure.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
