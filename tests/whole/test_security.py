"""``SECURITY.md`` promises only what a test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)
SECTIONS = ("Configurations of others", "Data", "Evidence of others", "Hospitals", "The aggregator")


def test_every_test_that_security_names_exists() -> None:
    assert len(NAMED) >= 30
    assert len(NAMED) == TEXT.count("::")
    defined = {file: _tests(ROOT / file) for file, _ in NAMED}
    assert [f"{file}::{name}" for file, name in NAMED if name not in defined[file]] == []


def test_every_line_of_what_is_not_trusted_and_of_plug_ins_names_a_test() -> None:
    without = [line for line in _lines() if "tests/" not in line]
    assert len(_lines()) >= 20
    assert without == []
    assert all(f"### {section}" in TEXT for section in SECTIONS)


def test_the_search_for_lines_without_a_test_finds_one() -> None:
    assert [
        line
        for line in _lines("- nobody\n  is trusted\n- all (`tests/a.py::b`)\n")
        if "tests/" not in line
    ] == ["nobody is trusted"]


def _lines(text: str = TEXT) -> list[str]:
    """The items of all lists, each on one line."""
    items = re.findall(r"^- (.*(?:\n  .*)*)", text, flags=re.MULTILINE)
    return [" ".join(item.split()) for item in items]


def _tests(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
