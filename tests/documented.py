"""The commands of the documents: what their blocks of code hold, line by line."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
# the words that a line of a block of commands starts with
PROGRAMS = (
    "wardround", "make", "python", "git", "cd", "export", "pip", "pipx", "docker", "source",
    "mlflow", "echo", "mkdir",
)  # fmt: skip
FOLDER = ".venv/bin/"  # where the program of a clone is
FILE = re.compile(r"# [\w/.-]+\.(py|yaml)\n")  # the first line of a file that a page shows


@dataclass(frozen=True)
class Block:
    """A block of code of a page: where it starts, and what is in it."""

    page: Path
    line: int
    text: str

    @property
    def kind(self) -> str:
        """What the block holds: commands, a dialog with Python, a file, Python, or a picture in
        characters; empty if it is nothing of these.
        """
        first = self.text.split(maxsplit=1)[0] if self.text.strip() else ""
        if first.removeprefix(FOLDER) in PROGRAMS:
            return "commands"
        if first == ">>>":
            return "dialog"
        if FILE.match(self.text):
            return "file"
        if first == "wardround:" or " -> " in self.text.splitlines()[0]:
            return "shown"
        return "python" if _is_python(self.text) else ""


@dataclass(frozen=True)
class Line:
    """A command of a page, as its words."""

    page: Path
    number: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.number}: {shlex.join(self.words)}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of code of a page, fenced or indented, as CommonMark reads them."""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("code_block", "fence"):
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.content)


def lines(page: Path) -> list[Line]:
    """The commands of a page in their order; one that goes on over several lines is one."""
    found = []
    for block in blocks(page):
        if block.kind == "commands":
            for number, line in enumerate(block.text.replace("\\\n", " ").splitlines()):
                words = shlex.split(line, comments=True)
                if words:
                    words[0] = words[0].removeprefix(FOLDER)
                    found.append(Line(page, block.line + number, tuple(words)))
    return found


def of_program(page: Path) -> list[tuple[str, ...]]:
    """The words of each call of ``wardround`` on a page."""
    return [line.words[1:] for line in lines(page) if line.words[0] == "wardround"]


def _is_python(text: str) -> bool:
    """Whether a text is Python that does something: no single name, sum or comparison."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    idle = (ast.Name, ast.BinOp, ast.Compare, ast.Constant)
    return any(not (isinstance(one, ast.Expr) and isinstance(one.value, idle)) for one in body)
