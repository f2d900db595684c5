"""Text in figures, whoever wrote it: shown sign by sign, never as mathematics, never too long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from reports.figures.layout import Sheet
from sim.titles import BESIDE

FAMILY = "DejaVu Sans"  # comes with matplotlib
LONGEST = 80  # characters of a line
SHORTER = (64, 48, 32, 24, 12)  # tried in turn where there is no room for longer ones
MOST_LINES = 4
DOTS = "..."  # in the place of what is left out
_WORD = re.compile(r"[^ +_]*[ +_]+|[^ +_]+")  # with what divides it from the next one


def fit(sheet: Sheet) -> None:
    """Arrange a figure with its texts as ``plain`` replaces them.

    Where lines are so long that nothing is left of the panels, all are cut shorter.
    """
    for longest in (LONGEST, *SHORTER):
        plain(sheet, longest)
        if sheet.arrange():
            return


def plain(figure: Figure, longest: int = LONGEST) -> None:
    """Replace every text of a figure, also labels that its axes will write, as ``shown`` states."""
    for text in _texts(figure):
        text.set_parse_math(False)
        if (wanted := shown(text.get_text(), longest)) != text.get_text():
            text.set_text(wanted)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _set_ticks(axis, longest)


def shown(text: str, longest: int = LONGEST) -> str:
    """The text with each character that the font lacks, or that acts on others, as ``U+`` number.

    A line of more than ``longest`` characters is cut in the middle, a text of more than
    ``MOST_LINES`` lines at its end.
    """
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text
    lines = [_cut(_spelled(_cut(line, longest)), longest) for line in text.split("\n", MOST_LINES)]
    return "\n".join([*lines[: MOST_LINES - 1], "..."] if len(lines) > MOST_LINES else lines)


def shortened(names: Sequence[str], longest: int) -> list[str]:
    """Names of at most so many characters each as ``shown`` has them; different ones stay so.

    >>> shortened(["sign flipping + label flipping", "Krum"], 20)
    ['sign... + label...', 'Krum']
    >>> shortened([f"a rule of many words with {n} in its very middle" for n in (1, 2)], 20)
    ['...with 1 in...', '...with 2 in...']
    """
    found = {name: shown(name, longest) for name in names}
    for short in {*found.values()}:
        alike = [name for name, one in found.items() if one == short]
        if len(alike) > 1:
            found |= zip(alike, _apart(alike, longest), strict=True)
    return [found[name] for name in names]


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
    """The start and the end of a line, and its length between them where there is room for it.

    Where there is none, it is cut between words, and each of several names together by itself.
    """
    if len(line) <= longest:
        return line
    counted = f"... ({len(line)} characters) ..."
    if len(counted) > longest // 2 and (made := _between_words(line, longest)) is not None:
        return made
    between = counted if len(counted) <= longest // 2 else DOTS
    room = longest - len(between)
    return line[: room - room // 3] + between + line[len(line) - room // 3 :]


def _between_words(line: str, longest: int) -> str | None:
    """A line without some of its words; None where less than half of the room would be used."""
    if BESIDE in line and (made := _of_parts(line.split(BESIDE), longest)) is not None:
        return made
    pieces = _WORD.findall(line)
    n = len(pieces)
    found = [
        f"{''.join(pieces[:first]).rstrip(' +')}{DOTS}{''.join(pieces[n - last :] if last else [])}"
        for first in range(1, n)
        for last in range(n - first)
    ]
    best = max((one for one in found if len(one) <= longest), key=len, default="")
    return best if len(best) > longest // 2 else None


def _of_parts(parts: Sequence[str], longest: int) -> str | None:
    """Several names together, of which each has as much room as the others leave it."""
    room = longest - len(BESIDE) * (len(parts) - 1)
    made = dict[int, str | None]()
    for place in sorted(range(len(parts)), key=lambda one: len(parts[one])):
        share = max(0, room // (len(parts) - len(made)))
        short = parts[place] if len(parts[place]) <= share else _between_words(parts[place], share)
        room -= len(short or "")
        made[place] = short
    left = [one for _, one in sorted(made.items()) if one is not None]
    return BESIDE.join(left) if len(left) == len(parts) else None


def _apart(names: Sequence[str], longest: int) -> list[str]:
    """Different names that are cut alike: the words that distinguish them, or else a number."""
    words = [_WORD.findall(name) for name in names]
    fewest = min(map(len, words))
    before = next((n for n in range(fewest) if len({one[n] for one in words}) > 1), fewest)
    rest = fewest - before
    behind = next((n for n in range(rest) if len({one[-1 - n] for one in words}) > 1), rest)
    for around in (2, 1, 0):
        found = [_middle(one, before - around, len(one) - behind + around) for one in words]
        if len({*found}) == len(names) and max(map(len, found)) <= longest:
            return list(map(_spelled, found))
    numbers = [f" ({number})" for number in range(1, len(names) + 1)]
    return [shown(one, longest - len(end)) + end for one, end in zip(names, numbers, strict=True)]


def _middle(words: Sequence[str], first: int, last: int) -> str:
    """The words from one place to another, with dots for those before and behind them."""
    left = "".join(words[max(0, first) : last]).rstrip(" +")
    return f"{DOTS * (first > 0)}{left}{DOTS * (last < len(words))}"


def _spelled(line: str) -> str:
    return "".join(
        sign if sign.isprintable() and ord(sign) in _glyphs() else f"U+{ord(sign):04X}"
        for sign in line
    )


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=[FAMILY]))).get_charmap())


def _texts(figure: Figure) -> Iterator[Text]:
    """The texts of a figure but for those of ticks, which to ask for makes many more ticks."""
    yield from figure.texts
    for legend in figure.legends:
        yield from (*legend.get_texts(), legend.get_title())
    for axes in figure.axes:
        yield from (one for one in axes.get_children() if isinstance(one, Text))
        yield from (axes.xaxis.label, axes.yaxis.label)
        if (legend_ := axes.get_legend()) is not None:
            yield from (*legend_.get_texts(), legend_.get_title())


def _set_ticks(axis: Axis, longest: int) -> None:
    """Have the labels that somebody gave for places on an axis cut whenever it is drawn."""
    formatter = axis.get_major_formatter()
    if type(formatter) is FuncFormatter:
        axis.set_major_formatter(FuncFormatter(partial(_label, formatter.func, longest)))


def _label(label: Callable[..., str], longest: int, value: float, place: Any = None) -> str:
    return shown(label(value, place), longest)
