"""What packages exchange has a type: no ``Any`` in what is public, but where a line here states
why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.kinds import KINDS
from tests import ROOT

PACKAGES = ("sim", "clients", "aggregators", "attacks", "threats", "reports")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SPECIAL = ("__init__", "__call__")  # methods that others call by another name

# A name -> why its type is open.
OPEN = {
    "sim.types.Node": (
        "plain values of YAML and JSON, which types of Python state no better; settings and"
        " evidence check them"
    ),
    "sim.types.TableRow": "a row as polars gives it; the schema of its table has the types",
    "sim.evidence.records.RunRecord.curve": (
        "columns of different types, which sim.evidence.plausible checks"
    ),
    "reports.figures.style.RC": "matplotlib's own form of its settings",
}


def opened(tree: ast.Module) -> Iterator[str]:
    """The names of a module that have ``Any`` in what others see of them.

    These are arguments and results of public functions and methods, public fields, bases of public
    classes, and all names of types.
    """
    names = {"Any"} | {one.asname for one in _imported(tree) if one.name == "Any" and one.asname}
    yield from dict.fromkeys(
        name for name, types in _stated(tree.body, "") if any(_is_open(one, names) for one in types)
    )


def _imported(tree: ast.Module) -> Iterator[ast.alias]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("typing", "typing_extensions"):
            yield from node.names


def _stated(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, list[ast.expr]]]:
    for node in body:
        if isinstance(node, ast.If):  # as in ``if TYPE_CHECKING``
            yield from _stated([*node.body, *node.orelse], prefix)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node.name):
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            stated = [one.annotation for one in every if one is not None] + [node.returns]
            yield prefix + node.name, [one for one in stated if one is not None]
        elif isinstance(node, ast.ClassDef) and _is_public(node.name):
            yield prefix + node.name, node.bases
            yield from _stated(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            is_name = ast.unparse(node.annotation).endswith("TypeAlias")
            if _is_public(node.target.id) or is_name:
                yield (
                    prefix + node.target.id,
                    [node.annotation, *([node.value] if is_name and node.value else [])],
                )
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            # or may be one
            is_type = isinstance(node.value, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
            yield node.targets[0].id, [node.value] if is_type and not prefix else []


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name in SPECIAL


def _is_open(stated: ast.expr, names: set[str]) -> bool:
    for node in ast.walk(stated):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                inner = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                continue  # no type in quotes
            if not isinstance(inner, ast.Constant) and _is_open(inner, names):
                return True
        if (isinstance(node, ast.Name) and node.id in names) or (
            isinstance(node, ast.Attribute) and node.attr == "Any"
        ):
            return True
    return False


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_nothing_public_is_of_any_type() -> None:
    found = [
        f"{module(path)}.{name}" for path in FILES for name in opened(ast.parse(path.read_text()))
    ]
    assert sorted(found) == sorted(OPEN)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x: Any) -> int: ...",
        "def f(x: int, *more: Any) -> int: ...",
        "def f(x: int, *, key: Any = 0) -> int: ...",
        "def f() -> dict[str, Any]: ...",
        "async def f() -> 'Any': ...",
        "def f(x: 'list[Any]') -> int: ...",
        "def f(x: typing.Any) -> int: ...",
        "from typing import Any as Whatever\ndef f(x: Whatever) -> int: ...",
        "class C:\n    x: Any",
        "class C(list[Any]):\n    pass",
        "class C:\n    def __init__(self, x: Any) -> None: ...",
        "class C:\n    def __call__(self) -> Any: ...",
        "class C:\n    class D:\n        def f(self, x: Any) -> None: ...",
        "if TYPE_CHECKING:\n    Row = dict[str, Any]",
        "_Row = dict[str, Any]",
        "_Row: TypeAlias = 'dict[str, Any]'",
        "Row = int | Any",
        "x: Any = 1",
    ],
)
def test_each_way_to_leave_a_type_open_is_found(source: str) -> None:
    assert len(list(opened(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def _f(x: Any) -> Any: ...",
        "class _C:\n    x: Any",
        "def f(x: object) -> int:\n    found: Any = x\n    return found",
        "def f(x: Literal['a word', 'Anything']) -> int: ...",
        "x: int = cast(Any, 1)",
    ],
)
def test_what_others_do_not_see_may_be_open(source: str) -> None:
    assert not list(opened(ast.parse(source)))


def test_all_forms_of_plugins_stand_in_three_files() -> None:
    forms = {kind.form.__name__: kind.form.__module__ for kind in KINDS}
    assert set(forms.values()) == {"sim.types", "sim.messages", "sim.kinds"}
    assert {name for name, where in forms.items() if where == "sim.messages"} == {
        "MessageFault",
        "ProtocolAttack",
    }
    assert {name for name, where in forms.items() if where == "sim.kinds"} == {
        "Model",
        "TrainingAttack",
        "Hardening",
        "LocalPrivacy",
        "Tracking",
        "UpdatePrivacy",
    }


def test_nothing_is_found_again_by_its_address() -> None:
    """An address is given to another object once the first is gone: where one stands for an object,
    the wrong one is found.
    """
    found = [
        f"{module(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "id" and isinstance(node.ctx, ast.Load)
    ]
    assert not found
