"""Figures as files for a paper: in every format asked for, at the widths of a journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.style import Make, Width
from sim import files
from sim.errors import InputError

FORMATS: Final[Mapping[str, Callable[[Figure], bytes]]] = {
    "pdf": style.pdf,
    "svg": style.svg_file,
    "png": style.paper_png,
}
WIDTHS: Final[tuple[Width, ...]] = (style.COLUMN, style.FULL)


def formats(text: str) -> tuple[str, ...]:
    """The formats that a text names, each once. Raises ``InputError`` for one that is none.

    >>> formats("pdf,svg,pdf")
    ('pdf', 'svg')
    """
    found = tuple(dict.fromkeys(text.split(",")))
    for name in found:
        if name not in FORMATS:
            expected = f"expected {', '.join(FORMATS)}, or several by comma"
            raise InputError("--figures", name, expected)
    return found


def write(folder: Path, makers: Iterable[tuple[str, Make]], wanted: Sequence[str]) -> list[Path]:
    """The paths of the figures of a folder's report, each written in the formats ``wanted``.

    They are ``report/figures/NAME_WIDTH.FORMAT``. A figure is drawn once for each width, and saved
    once in each format. Raises ``InputError`` if a file cannot be written.
    """
    return into(folder / "report" / "figures", makers, wanted)


def into(place: Path, makers: Iterable[tuple[str, Make]], wanted: Sequence[str]) -> list[Path]:
    """The same for files of any folder."""
    written = list[Path]()
    for name, make in makers:
        for width in WIDTHS:
            figure = make(width)
            for format_ in wanted:
                target = place / f"{name}_{width.name}.{format_}"
                files.replace(target, FORMATS[format_](figure))
                written.append(target)
    return written
