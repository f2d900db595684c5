"""One look for every figure: colors for color-blind readers, and files equal byte for byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO, StringIO
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import labels
from sim import files

# Okabe and Ito (2008), black for the undefended control; yellow is left out, it is too light for
# lines on white.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
INK = "#222222"
SOFT = "#6B6B6B"
FAINT = "#DDDDDD"
WIDTH = 9.6  # inches; one inch is 96 pixels on the page
DPI = 200  # dots an inch of PNG files

RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "hatch.linewidth": 0.5,
}

Dashes = Literal["-", "--", ":", "-."]
Look = tuple[str, Dashes]  # color, line style


def looks(defenses: Sequence[str]) -> dict[str, Look]:
    """A color and line style for each defense, the same for the same defenses in the same order."""
    others = [name for name in defenses if name != "none"]
    kinds: tuple[Dashes, ...] = ("-", "--", ":", "-.")
    styles = (kind for kind in cycle(kinds) for _ in COLORS)
    chosen = zip(cycle(COLORS), styles, strict=False)
    control: dict[str, Look] = {"none": (BLACK, "-")}
    return control | dict(zip(others, chosen, strict=False))


def new_figure(width: float, height: float) -> Figure:
    """A figure of the given size in inches that lays itself out; belongs to no global state."""
    return Figure(figsize=(width, height), layout="constrained")


def guide(axes: Axes, axis: Literal["x", "y", "both"] = "both") -> None:
    """Faint grid lines behind the data along ``axis``."""
    axes.set_axisbelow(True)
    axes.grid(True, axis=axis)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """``places`` moved apart until neighbors are ``gap`` apart, in the order given.

    Where places crowd, their mean stays.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[tuple[float, list[int]]] = []  # touching labels: their center, and who they are
    for i in order:
        blocks.append((places[i], [i]))
        while (
            len(blocks) > 1
            and blocks[-1][0] - blocks[-2][0] < gap * (len(blocks[-1][1]) + len(blocks[-2][1])) / 2
        ):
            right, later = blocks.pop()
            left, earlier = blocks.pop()
            both = earlier + later
            blocks.append(((left * len(earlier) + right * len(later)) / len(both), both))
    moved = [0.0] * len(places)
    for center, members in blocks:
        for rank, i in enumerate(members):
            moved[i] = center + gap * (rank - (len(members) - 1) / 2)
    return moved


def finish(figure: Figure) -> None:
    """Set the texts and the layout of a figure of ``new_figure``, once for all its files."""
    if (layout := figure.get_layout_engine()) is not None:
        labels.plain(figure)
        figure.set_dpi(DPI)
        with mpl.rc_context(RC):
            layout.execute(figure)
        figure.set_layout_engine(None)


def svg(figure: Figure, name: str) -> str:
    """The figure of ``new_figure`` as an ``<svg>`` element whose ids all start with ``name``.

    It has no dates, links or namespaces.
    """
    out = StringIO()
    finish(figure)
    with mpl.rc_context(RC | {"svg.hashsalt": name}):
        figure.savefig(
            out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)


def png(figure: Figure) -> bytes:
    """The figure of ``new_figure`` as a PNG file, without date or program name."""
    out = BytesIO()
    finish(figure)
    quick = {"compress_level": 1}  # of 9: two thirds of the time, a seventh more bytes
    with mpl.rc_context(RC):
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=quick)
    return out.getvalue()


def written(figure: Figure, path: Path) -> str:
    """The figure as ``svg`` gives it under the name of ``path``, a PNG file that is written too.

    Raises ``InputError`` if the file cannot be written.
    """
    files.replace(path, png(figure))
    return svg(figure, path.stem)
