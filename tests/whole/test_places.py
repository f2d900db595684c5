"""A test stands in the folder of what it tests, and is found where a page names it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.whole.test_words import texts

TESTS = ROOT / "tests"
WHOLE = Path("whole")  # the folder for tests of more than one package
BROWSER = Path("browser")  # the folder for tests in a browser
FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
# the examples of the guides, which stand in their readers' folders
EXAMPLES = ("test_trimean.py", "test_midway.py", "test_drift.py")
NAMED = re.compile(r"((?:[\w.-]+/)*test_\w+\.py)(?:::(\w+))?")


def misplaced(file: Path) -> bool:
    """Whether no package has the folder of a test file, whose path is relative to ``tests/``."""
    return (
        file.parent not in (WHOLE, BROWSER) and not (ROOT / file.parent / "__init__.py").is_file()
    )


def missing(text: str) -> list[str]:
    """The tests that a text names by file, or by file and function, and that are not there."""
    return [match[0] for match in NAMED.finditer(text) if not _is_there(match[1], match[2])]


def test_every_test_stands_in_the_folder_of_a_package_or_in_one_of_the_two_others() -> None:
    assert len(FILES) > 80
    assert [file for file in FILES if misplaced(file)] == []


@pytest.mark.parametrize("path", ["test_a.py", "golden/test_a.py", "sim/threats/test_a.py"])
def test_a_test_in_another_folder_is_found(path: str) -> None:
    assert misplaced(Path(path))


def test_two_test_files_of_one_name_are_two_modules() -> None:
    """Without ``__init__.py`` pytest takes the second one for the first."""
    folders = {TESTS / folder for file in FILES for folder in file.parents}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_test_that_is_named_outside_the_tests_is_there() -> None:
    named = {
        name: text
        for name, text in texts().items()
        if not name.startswith("tests/") and name != "CHANGELOG.md"
    }
    assert sum(len(NAMED.findall(text)) for text in named.values()) > 80
    assert {name: lost for name, text in named.items() if (lost := missing(text))} == {}


@pytest.mark.parametrize(
    "name", ["tests/test_words.py", "tests/whole/test_words.py::test_none", "test_words.py"]
)
def test_a_test_that_is_not_there_is_found(name: str) -> None:
    assert missing(f"See `{name}`, and `tests/whole/test_words.py`.") == [name]


def _is_there(file: str, function: str) -> bool:
    if file in EXAMPLES:
        return True
    if not (ROOT / file).is_file():
        return False
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return not function or function in defined
