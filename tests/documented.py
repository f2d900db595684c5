"""The commands of the documents: what their blocks of code hold, line by line."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from textwrap import dedent

from markdown_it import MarkdownIt

from sim.cli.new import FILES
from tests import ROOT

# Pages with a script beside them are made by running it; see tests/whole/test_examples.py.
PAGES = [
    path
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    if not path.with_suffix(".py").exists()
]
# the words that a line of a block of commands starts with
PROGRAMS = (
    "wardround", "make", "python", "git", "cd", "export", "pip", "pipx", "docker", "source",
    "eval", "mlflow",
)  # fmt: skip
FOLDER = ".venv/bin/"  # where the program of a clone is
A_FILE = re.compile(r"# [\w/.-]+\.(py|yaml)\n")  # the first line of a file that a page shows


@dataclass(frozen=True)
class Block:
    """A block of code of a page: where it starts, what is in it, and its language if any."""

    page: Path
    line: int
    text: str
    language: str

    @property
    def kind(self) -> str:
        """What the block holds: commands, a dialog with Python, a file, Python, or a picture in
        characters; empty if it is nothing of these.
        """
        if self.language == "text":
            return "shown"
        first = self.text.split(maxsplit=1)[0] if self.text.strip() else ""
        if first.removeprefix(FOLDER) in PROGRAMS:
            return "commands"
        if first == ">>>":
            return "dialog"
        if A_FILE.match(self.text):
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
            yield Block(page, token.map[0] + 1, token.content, token.info)


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


def files(page: Path) -> dict[str, str]:
    """Path -> text of the files that a page shows, each in an indented block after a comment with
    its path, and of the empty ones that make packages.
    """
    found = re.findall(
        r"(?m)^    # ([\w/]+\.(?:py|yaml))\n((?:    (?!# [\w/]+\.\w+$).*\n|\n)+)",
        page.read_text(encoding="utf-8"),
    )
    shown = {path: dedent(text).rstrip("\n") + "\n" for path, text in found}
    packages = {Path(path).parent for path in shown if "/" in path and path.endswith(".py")}
    return {str(package / "__init__.py"): "" for package in packages} | shown


def written(page: Path) -> set[str]:
    """The paths of the files that a page shows, and of those that its ``wardround new`` writes."""
    new = [words for words in of_program(page) if words[0] == "new"]
    return {*files(page)} | {
        Template(path).substitute(name=name, package=f"own_{name}")
        for _, kind, name, _ in new
        for path in FILES[kind].values()
    }


def _is_python(text: str) -> bool:
    """Whether a text is Python that does something: no single name, sum or comparison."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    idle = (ast.Name, ast.BinOp, ast.Compare, ast.Constant)
    return any(not (isinstance(one, ast.Expr) and isinstance(one.value, idle)) for one in body)
