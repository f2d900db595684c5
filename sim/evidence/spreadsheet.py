"""Text in files that spreadsheets open: what one would compute as a formula stays text.

This module imports no library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sim.types import TableRow

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # also in full width
QUOTE = "'"


def rows(table: Iterable[TableRow]) -> Iterator[TableRow]:
    """The rows with each text as ``cell`` writes it."""
    for row in table:
        yield {key: cell(value) for key, value in row.items()}


def cell(value: object) -> object:
    """The value; of a text, what no program takes for anything else.

    A text that starts like a formula has ``'`` before it (OWASP, CSV Injection), and control
    characters, line ends among them, are Python escapes. Numbers stay numbers, negative ones too.
    """
    if not isinstance(value, str):
        return value
    text = value if value.isprintable() else "".join(map(_shown, value))
    return QUOTE + text if text.startswith(FORMULA) else text


def _shown(sign: str) -> str:
    return sign if sign.isprintable() else ascii(sign)[1:-1]
