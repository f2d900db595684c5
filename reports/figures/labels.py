"""Text in figures, whoever wrote it: shown sign by sign, never as mathematics, never too long."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

FAMILY = "DejaVu Sans"  # comes with matplotlib
LONGEST = 80  # characters of a line
USUAL = 70  # characters of a line for which there is room in every figure
SHORTER = (64, 48, 32, 24, 12)  # tried in turn where there is no room for longer ones
MOST_LINES = 4
NO_ROOM = "constrained_layout not applied"


def plain(figure: Figure) -> None:
    """Replace every text of a figure, also labels that its axes will write, as ``shown`` states.

    Where lines are so long that nothing is left of the axes, all are cut shorter.
    """
    texts = [text.get_text() for text in _set(figure, LONGEST)]
    if all(len(line) <= USUAL for text in texts for line in text.split("\n")):
        return
    for longest in SHORTER:
        if _has_room(figure):
            return
        _set(figure, longest)


def shown(text: str, longest: int = LONGEST) -> str:
    """The text with each character that the font lacks, or that acts on others, as ``U+`` number.

    A line of more than ``longest`` characters is cut in the middle, a text of more than
    ``MOST_LINES`` lines at its end.
    """
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text
    lines = [_cut(_spelled(_cut(line, longest)), longest) for line in text.split("\n", MOST_LINES)]
    return "\n".join([*lines[: MOST_LINES - 1], "..."] if len(lines) > MOST_LINES else lines)


def wrapped(text: str, longest: int) -> str:
    """The text in lines of at most so many characters; a word that is longer is broken.

    >>> wrapped("trimmed_mean+dp_record", 14).splitlines()
    ['trimmed_mean+', 'dp_record']
    """
    lines = [""]
    for word in re.findall(r"[^ +_\n]*[ +_\n]?", text):
        if lines[-1] and len((lines[-1] + word).rstrip()) > longest:
            lines.append("")
        lines[-1] += word
        while len(lines[-1].rstrip()) > longest:
            lines[-1:] = [lines[-1][:longest], lines[-1][longest:]]
        if word.endswith("\n"):
            lines.append("")
    return "\n".join(line.strip() for line in lines).rstrip("\n")


def _cut(line: str, longest: int) -> str:
    """The start and the end of a line, and its length between them where there is room for it."""
    if len(line) <= longest:
        return line
    counted = f"... ({len(line)} characters) ..."
    between = counted if len(counted) <= longest // 2 else "..."
    room = longest - len(between)
    return line[: room - room // 3] + between + line[len(line) - room // 3 :]


def _spelled(line: str) -> str:
    return "".join(
        sign if sign.isprintable() and ord(sign) in _glyphs() else f"U+{ord(sign):04X}"
        for sign in line
    )


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=[FAMILY]))).get_charmap())


def _has_room(figure: Figure) -> bool:
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    return not any(NO_ROOM in str(one.message) for one in noted)


def _set(figure: Figure, longest: int) -> list[Text]:
    """The texts of the figure, each line cut to so many characters."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    for text in texts:
        text.set_parse_math(False)
        if (wanted := shown(text.get_text(), longest)) != text.get_text():
            text.set_text(wanted)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _set_ticks(axis, longest)
    return texts


def _set_ticks(axis: Axis, longest: int) -> None:
    """Have the labels that somebody gave for places on an axis cut whenever it is drawn."""
    formatter = axis.get_major_formatter()
    if type(formatter) is FuncFormatter:
        axis.set_major_formatter(FuncFormatter(partial(_label, formatter.func, longest)))


def _label(label: Callable[..., str], longest: int, value: float, place: Any = None) -> str:
    return shown(label(value, place), longest)
