"""Design files, which somebody else may have written: a file becomes a design, or one line that
names file, line, key, value and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import JsonValue

from sim import files
from sim.errors import InputError, cut
from sim.near import choice
from sim.plugins import CONF
from sim.untrusted import printable
from threats import catalog, plain_yaml, problems, references
from threats.consistency import Place
from threats.problems import Problem
from threats.system import Design

NAMED: Final = CONF / "design"  # the project's own designs
SUFFIXES: Final = (".yaml", ".yml")
MOST_BYTES: Final = 256_000
MOST_OF_A_PATH: Final = 4_000
LONGEST_PATH: Final = 60  # characters of a path in a message


ELSEWHERE: Final = (
    "expected a path below the design's folder; any other stands on the command line:"
    " consortium.path=PATH"
)


@dataclass(frozen=True)
class DesignFile:
    """A design and the file that it was read from. ``lines``: the line of each value, from 1."""

    path: Path
    design: Design
    lines: Mapping[Place, int]

    def refusal(self, place: Place, value: object, expected: str) -> InputError:
        """The error of something that turns out to be wrong later, with the file and its line."""
        return _refusal(self.path, self.lines, Problem(place, value, expected))

    def data(self) -> Path | None:
        """The place of the owner's records; None where the design names none.

        Raises ``InputError`` for what is not there, and for what a link leads to outside the
        design's folder.
        """
        chosen = self.design.federation.consortium
        stated = chosen.values.get("path")
        if not isinstance(stated, str):
            return None
        place: Place = ("federation", "consortium", chosen.name, "path")
        folder = self.path.parent.resolve()
        found = folder / stated
        if not found.exists():
            raise self.refusal(place, stated, "expected a file or folder that is there")
        for path in (found, *(found.rglob("*") if found.is_dir() else ())):
            if not _resolved(path).is_relative_to(folder):
                raise self.refusal(place, stated, f"a link leads elsewhere; {ELSEWHERE}")
        return found


def named() -> list[str]:
    """Names of the project's own designs."""
    return sorted(path.stem for path in NAMED.glob("*.yaml"))


def find(word: str) -> Path:
    """The file of a design that is given by name or path. Raises ``InputError`` for other words."""
    if word in named():
        return NAMED / f"{word}.yaml"
    if word.endswith(SUFFIXES):
        return Path(word)
    expected = f"a design: a file that ends in .yaml, or {choice(word, named())}"
    raise InputError("consortium", word, f"expected {expected}")


def read(path: Path) -> DesignFile:
    """The design of a file. Raises ``InputError`` for the first thing that is wrong with it."""
    values, lines = _parsed(path, _text(path))
    found = problems.read(values)
    if isinstance(found, Design):
        wrong = references.problem(found, catalog.load()) or _outside(found)
        if wrong is None:
            return DesignFile(path, found, lines)
        found = wrong
    raise _refusal(path, lines, found)


def _resolved(path: Path) -> Path:
    """Where a path leads; itself where its links lead in a circle, which nobody can open."""
    try:
        return path.resolve()
    except (RuntimeError, OSError):
        return path


def _outside(design: Design) -> Problem | None:
    """The path of the owner's records, if it leads outside the design's folder."""
    chosen = design.federation.consortium
    stated = chosen.values.get("path")
    place = ("federation", "consortium", chosen.name, "path")
    if stated is None:
        return None
    if not isinstance(stated, str) or not stated:
        return Problem(place, stated, "expected the path of a file or folder")
    path = PurePosixPath(stated)
    if path.is_absolute() or ".." in path.parts or "\\" in stated:
        return Problem(place, stated, ELSEWHERE)
    return None


def _text(path: Path) -> str:
    """The text of a regular file of at most ``MOST_BYTES``: nothing else is read."""
    try:
        with open(files.opened(path), "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            "design", _shown(path), f"expected a regular file that can be read ({reason})"
        ) from error
    if len(content) > MOST_BYTES:
        raise InputError("design", _shown(path), f"expected at most {MOST_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"design {_shown(path)}:{line}"
        byte = f"byte 0x{content[error.start]:02x}"
        raise InputError(where, byte, "expected a text in UTF-8") from error


def _parsed(path: Path, text: str) -> tuple[JsonValue, dict[Place, int]]:
    """The values of a YAML text, and the line of each."""
    try:
        return plain_yaml.parse(text)
    except plain_yaml.PlainError as error:
        raise _refusal(path, {error.problem.place: error.line}, error.problem) from error


def _refusal(path: Path, lines: Mapping[Place, int], problem: Problem) -> InputError:
    """The error of a problem, with the line of the value, or of the nearest part that it is in."""
    place = problem.place
    while place not in lines and place:
        place = place[:-1]
    where = f"{_shown(path)}:{lines.get(place, 1)}"
    value = printable(problem.value) if isinstance(problem.value, str) else problem.value
    return InputError(f"{where}: {printable(cut(problem.key))}", value, problem.expected)


def _shown(path: Path) -> str:
    """The path, or its end where it is long."""
    text = printable(str(path), MOST_OF_A_PATH)
    return text if len(text) <= LONGEST_PATH else f"...{text[-LONGEST_PATH:]}"
