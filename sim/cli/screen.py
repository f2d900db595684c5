"""The one place where a command's text meets the terminal: values are shown as they are, uncut.

No text is markup: ``[`` and ``:smile:`` in a name are characters like others. Characters that would
act on the terminal are shown as ``?``. A table that does not fit becomes a list with a line for
each cell.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

NARROWEST = 20  # columns: below, lines are this long and the terminal breaks them
WIDEST = 10_000


class Screen(Console):
    """A console that takes names, paths and messages of anybody."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        asked = _asked()
        self.width = max(NARROWEST, asked or self.width)
        if self.is_dumb_terminal:  # for which rich takes a width only together with a height
            self.height = 25

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of ``renderable``, without characters that act on the terminal."""
        if isinstance(renderable, Table):
            renderable = _fitted(renderable, (options or self.options).max_width)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)


def plain_table(title: str, columns: Sequence[str]) -> Table:
    """An empty table in the form that all tables of names have: no lines, a bold title."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _fitted(table: Table, width: int) -> Table | Text:
    """The table with columns in which no word is broken, nor a line of a column that may not wrap.

    A list where ``width`` has no room for such columns.
    """
    between = table.padding[1] + table.padding[3]
    edges = (len(table.columns) + 1 if table.box else 0) - (0 if table.pad_edge else between)
    room = width - edges - between * len(table.columns)
    widths = [_widths(column, header=table.show_header) for column in table.columns]
    least, most = zip(*widths, strict=True)
    if sum(most) <= room:
        return table
    if sum(least) > room:
        return _listed(table)
    for column, share in zip(table.columns, _shared(list(least), list(most), room), strict=True):
        column.width = share
    return table


def _widths(column: Column, *, header: bool) -> tuple[int, int]:
    """The smallest and the largest width that a column has a use for."""
    cells = [column.header, *column.cells] if header else column.cells
    lines = [line for cell in cells for line in str(cell).splitlines()]
    parts = lines if column.no_wrap else [word for line in lines for word in line.split()]
    return max(map(cell_len, parts), default=0), max(map(cell_len, lines), default=0)


def _shared(widths: list[int], most: list[int], room: int) -> list[int]:
    """The widths, grown to ``room`` in steps of one, each for the column that lacks most."""
    for _ in range(room - sum(widths)):
        lacking = max(range(len(widths)), key=lambda place: most[place] - widths[place])
        widths[lacking] += 1
    return widths


def shown(text: str) -> str:
    """The text with ``?`` for each character that acts on a terminal.

    These are control characters, changes of the direction of writing, and separators of lines.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\N{NO-BREAK SPACE}" else "?" for sign in text
    )


def _asked() -> int:
    """The width that COLUMNS asks for; 0 where it asks for none, and rich finds it out."""
    asked = os.environ.get("COLUMNS", "")
    return min(int(asked), WIDEST) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0


def _listed(table: Table) -> Text:
    """A table as a list: each row's first cell, then a line with header and cell for each other."""
    headers = [
        " ".join(str(column.header).split()) if table.show_header else ""
        for column in table.columns
    ]
    lines = [str(table.title)] if table.title else []
    for row in zip(*(column.cells for column in table.columns), strict=True):
        first, *others = (" ".join(str(cell).split()) for cell in row)
        lines.append(first)
        lines += [
            f"  {header}: {cell}" if header else f"  {cell}"
            for header, cell in zip(headers[1:], others, strict=True)
            if cell
        ]
    return Text("\n".join(lines))
