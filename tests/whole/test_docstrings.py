"""The form of docstrings: each begins with the thing that it describes, no part of a form that
plug-ins have to have is left without a word, and examples give what they state.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import ROOT

PACKAGES = ("sim", "clients", "aggregators", "attacks", "threats", "reports")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# words that stand for a noun, or for a sentence that is not there
PRONOUNS = re.compile(
    r"(what|which|who|whose|why|how|where|when|it|its|they|these|this|those|that)\b", re.IGNORECASE
)
MARKED = re.compile(r"``(\w+)[`(]")
FOREIGN = {  # forms of other libraries, whose own documentation describes their members
    "clients.accounting.Losses",
    "reports.tracked.Experiment",
    "reports.tracked.Info",
    "reports.tracked.Run",
    "reports.tracked.Store",
}


class Described(NamedTuple):
    """A public thing of a module: its name, its class or None, and its docstring or None."""

    name: str
    owner: ast.ClassDef | None
    text: str | None


def described(tree: ast.Module) -> Iterator[Described]:
    """Module, public classes, functions and methods, but for overloads."""
    yield Described("", None, ast.get_docstring(tree))
    yield from _inside(tree.body, None)


def _inside(body: list[ast.stmt], owner: ast.ClassDef | None) -> Iterator[Described]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _inside([*node.body, *node.orelse], owner)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", [])]
            if "overload" not in marks:
                yield Described(node.name, owner, ast.get_docstring(node))
            if isinstance(node, ast.ClassDef):
                yield from _inside(node.body, node)


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


THINGS = [
    (module(path), one)
    for path in FILES
    for one in described(ast.parse(path.read_text(encoding="utf-8")))
]


# but for that of sim.api, whose examples train: see tests/sim/test_api.py
WITH_EXAMPLES = sorted({where for where, one in THINGS if ">>> " in (one.text or "")} - {"sim.api"})


def begins_with_a_pronoun(text: str) -> bool:
    return PRONOUNS.match(text) is not None


def test_a_docstring_begins_with_the_thing_that_it_describes() -> None:
    assert len(THINGS) > 2000
    found = [
        f"{where}.{one.name}: {one.text.splitlines()[0]}"
        for where, one in THINGS
        if one.text is not None and begins_with_a_pronoun(one.text)
    ]
    assert found == []


def test_whatever_has_no_docstring_is_described_where_its_form_is() -> None:
    """A method without a docstring is a member of a form, and the form describes it by name."""
    explained = {one.name for _, one in THINGS if one.owner is not None and one.text is not None}
    for _, one in THINGS:
        if isinstance(one.owner, type(None)) and one.text is not None:
            explained |= set(MARKED.findall(one.text))
    foreign = {name.rpartition(".")[2] for name in FOREIGN}
    found = [
        f"{where}.{one.owner.name if one.owner else ''}.{one.name}"
        for where, one in THINGS
        if one.text is None
        and one.name not in explained
        and not (one.owner is not None and one.owner.name in foreign)
    ]
    assert found == []


def test_each_foreign_form_is_there() -> None:
    names = {f"{where}.{one.name}" for where, one in THINGS}
    assert names >= FOREIGN


@pytest.mark.parametrize("text", ["What is left.", "It is.", "How many.", "Those of a run."])
def test_a_pronoun_is_found(text: str) -> None:
    assert begins_with_a_pronoun(text)


@pytest.mark.parametrize("text", ["Whether a run.", "The run.", "Items.", "Thesis.", "Whole runs."])
def test_a_noun_is_none(text: str) -> None:
    assert not begins_with_a_pronoun(text)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_state(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
