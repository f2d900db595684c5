"""The reference is what the code states: its pages are as new as the code, and whole."""

from __future__ import annotations

import re
from functools import cache

import pytest

from docs.reference import make
from reports import page
from sim.config.choices import options
from sim.evidence.metrics import METRICS
from tests.reports.reading import everything
from threats.catalog import load

FOLDER = make.HERE


@cache
def pages() -> dict[str, str]:
    return make.pages()


@pytest.mark.parametrize("name", make.PAGES)
def test_every_page_is_as_new_as_the_code(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == pages()[name], "python -m docs.reference.make"


def test_every_figure_of_a_page_is_listed() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", pages()["figures.md"], re.MULTILINE))
    drawn = {name.rstrip("_0123456789") for name, _ in page.drawings(everything())}
    assert drawn <= listed
    assert {"leakage", "reconstruction", "risk_matrix", "audit_bounds", "sweep"} <= listed


def test_no_page_is_left_over() -> None:
    found = {path.name for path in FOLDER.glob("*.md")}
    assert found == {*make.PAGES, "index.md"}


def test_every_choice_has_its_part() -> None:
    text = "".join(pages().values())
    for group in ("attack", *make.PARTS, "consortium", "model"):
        for name in set(options(group)) - {"none"}:
            assert f"\n### {name}\n" in text, (group, name)
    assert all(f"| `{name}` |" in pages()["metrics.md"] for name in METRICS)
    assert all(f"| {threat.id} |" in pages()["threats.md"] for threat in load().threats)


@pytest.mark.parametrize("name", [name for name in make.PAGES if name != "metrics.md"])
def test_every_key_has_a_meaning(name: str) -> None:
    lines = pages()[name].splitlines()
    assert [line for line in lines if line.startswith("|") and line.endswith("|  |")] == []
