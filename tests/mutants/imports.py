"""Which modules each file of the project imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

PACKAGES = ("aggregators", "attacks", "clients", "reports", "sim", "threats")


def parsed(root: Path, packages: Sequence[str] = PACKAGES) -> Iterator[tuple[str, ast.Module]]:
    """Each file's path in ``root`` and its code."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            yield str(path.relative_to(root)), ast.parse(path.read_text())


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The full names of what these statements import: modules, and perhaps names in them."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
