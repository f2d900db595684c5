"""The pages of the examples: ``python docs/examples/run.py [NAME]`` runs the scripts beside this
file cell by cell and writes what each cell printed, its last value and its figures as Markdown.

A cell starts with ``# %%``, a text with ``# %% [markdown]``, as Jupyter and editors read them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

import polars as pl
from matplotlib.figure import Figure

from reports.figures import style

HERE: Final = Path(__file__).parent
EXAMPLES: Final = (
    "first_comparison",
    "own_data",
    "own_rule",
    "breakdown_of_the_mean",
    "privacy_and_utility",
)
CELL: Final = re.compile(r"^# %%(?P<kind> \[markdown\])?$", re.MULTILINE)
PRESET: Final = re.compile(r"^(?P<name>[A-Z_]+) = .*$", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A part of a script: text, or code."""

    is_text: bool
    source: str


@dataclass(frozen=True)
class Shown:
    """What a cell of code showed: what it printed and its last value, and a figure."""

    text: str
    figure: Figure | None


def cells(script: str) -> list[Cell]:
    """The cells of a script."""
    parts = CELL.split(script)
    return [
        Cell(kind is not None, _text(body) if kind else body.strip())
        for kind, body in zip(parts[1::2], parts[2::2], strict=True)
    ]


def run(name: str, values: Mapping[str, object] | None = None) -> list[tuple[Cell, Shown | None]]:
    """The cells of an example with what each showed.

    ``values``: others for its constants, whose names are in capitals.
    """
    script = (HERE / f"{name}.py").read_text(encoding="utf-8")
    scope: dict[str, Any] = {"__name__": "__main__"}
    with pl.Config(tbl_rows=-1, tbl_width_chars=100, tbl_hide_dataframe_shape=True):
        return [
            (
                cell,
                None
                if cell.is_text
                else _shown(with_values(cell.source, values or {}), name, scope),
            )
            for cell in cells(script)
        ]


def page(name: str, found: Sequence[tuple[Cell, Shown | None]]) -> tuple[str, dict[str, Figure]]:
    """The page of an example as Markdown, and its figures by the names of their files."""
    parts = list[str]()
    figures = dict[str, Figure]()
    for cell, shown in found:
        parts.append(cell.source if cell.is_text else block("python", cell.source))
        if shown is not None and shown.text:
            parts.append(f"Output:\n\n{block('text', shown.text)}")
        if shown is not None and shown.figure is not None:
            file = f"{name}_{len(figures) + 1}.png"
            figures[file] = shown.figure
            parts.append(f"![Figure {len(figures)} of this example](images/{file})")
    made = f"Made by `python docs/examples/run.py {name}` from [{name}.py]({name}.py)."
    return "\n\n".join([*parts, made]) + "\n", figures


def main(names: Sequence[str]) -> None:
    """Write the pages of examples."""
    for name in names or EXAMPLES:
        text, figures = page(name, run(name))
        (HERE / f"{name}.md").write_text(text, encoding="utf-8")
        for file, figure in figures.items():
            (HERE / "images").mkdir(exist_ok=True)
            (HERE / "images" / file).write_bytes(style.png(figure))


def _text(body: str) -> str:
    return "\n".join(re.sub(r"^# ?", "", line) for line in body.strip().splitlines())


def with_values(source: str, values: Mapping[str, object]) -> str:
    """The source with other values for its constants."""

    def preset(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{name} = {values[name]!r}" if name in values else match[0]

    return PRESET.sub(preset, source)


def _shown(source: str, name: str, scope: dict[str, Any]) -> Shown:
    tree = ast.parse(source)
    last = tree.body[-1]
    shown = last.value if isinstance(last, ast.Expr) else ast.Constant(None, lineno=1, col_offset=0)
    if isinstance(last, ast.Expr):
        tree.body.pop()
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, name, "exec"), scope)
        value = eval(compile(ast.Expression(shown), name, "eval"), scope)
    if isinstance(value, Figure):
        return Shown(printed.getvalue().strip(), value)
    text = "" if value is None else str(value)
    return Shown(f"{printed.getvalue()}{text}".strip(), None)


def block(language: str, text: str) -> str:
    """The text as a fenced block of code."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```{language}\n{lines}\n```"


if __name__ == "__main__":
    main(sys.argv[1:])
