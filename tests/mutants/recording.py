"""Which test runs which line, and how long each test takes: recorded once, by coverage.

Processes that a test starts are recorded if they inherit its environment. The workers of a
comparison are not: they are forked from a server that outlives tests. So a test that reaches a
line in a worker only is not known to run it, and the share of mutants killed can be stated too low,
never too high. Tests that fail while they are recorded are left out.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from coverage import CoverageData

from tests.mutants import plugin
from tests.mutants.changes import Mutant
from tests.mutants.forking import Forker
from tests.mutants.imports import PACKAGES, imported, parsed

READERS = (  # tests that look at code or at what was built of it, and run none
    "tests/whole/test_frozen.py",
    "tests/whole/test_seams.py",
    "tests/whole/test_every_plugin.py::test_the_year_of_the_paper",
    "tests/whole/test_every_plugin.py::test_yaml_states",
)
ELSEWHERE = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")  # where compiled code would go
COVERAGE = "COVERAGE_PROCESS_START"  # coverage's own variable: a file with its settings
AT_ONCE = 4  # files of tests that one process records
RC = """\
[run]
source_pkgs = {packages}
parallel = true
data_file = {data}
context = ${{{context}-}}
relative_files = true
"""


def copy(root: Path, to: Path) -> None:
    """A copy of the working tree: the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)


def words(*more: str) -> list[str]:
    """Arguments of a pytest that has this package's plug-in."""
    return ["-q", "-p", "tests.mutants.plugin", *more]


def environment(tree: Path, **more: str) -> dict[str, str]:
    """The environment of a pytest that runs in a copy of the tree, on one core. What it compiled
    stays beside the code, whatever the caller's environment: else each would compile all of it.
    """
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    others = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {**others, **one_core, "PYTHONPATH": str(tree), **more}


def record(trees: Sequence[Path], folder: Path, tests: Sequence[str] = ("tests",)) -> None:
    """Run tests in the trees, copies of one, each the next few files when it is free, and leave
    the records beside those that the folder has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rc = folder / "settings.ini"
    packages = ",".join(PACKAGES)
    rc.write_text(RC.format(packages=packages, data=folder / "coverage", context=plugin.CONTEXT))
    files = list(_test_files(trees[0], tests))
    parts = enumerate(files[i : i + AT_ONCE] for i in range(0, len(files), AT_ONCE))

    def one(tree: Path) -> None:
        with contextlib.closing(Forker(tree, environment(tree))) as forker:
            for i, part in iter(lambda: next(parts, None), None):
                name = f"{os.getpid()}-{i}"  # also where two calls record at once
                more = {COVERAGE: str(rc), plugin.RECORD: str(folder / f"tests{name}.json")}
                forker.run(words("--tb=line", *part), more, folder / f"log{name}.txt")

    with ThreadPoolExecutor(len(trees)) as pool:
        for _ in pool.map(one, trees):
            pass


def _test_files(tree: Path, paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        is_file = (tree / path).is_file()
        found = [tree / path] if is_file else sorted((tree / path).rglob("test_*.py"))
        yield from (str(file.relative_to(tree)) for file in found)


@dataclass(frozen=True)
class Recording:
    """What ``record`` left: seconds of each test, and the tests of each line.

    ``shared``: seconds of each file's longest setup, which may be a fixture that its tests share;
    ``longest``: of its longest test, which may compute what another then finds computed.
    """

    seconds: dict[str, float]
    shared: dict[str, float]
    longest: dict[str, float]
    data: CoverageData
    root: Path

    @classmethod
    def read(cls, folder: Path, root: Path) -> Recording:
        """The records in a folder, made of the code in ``root``."""
        data = CoverageData(no_disk=True)
        for path in sorted(folder.glob("coverage.*")):
            other = CoverageData(str(path))
            other.read()
            data.update(other)
        seconds: dict[str, float] = {}
        shared: dict[str, float] = {}
        longest: dict[str, float] = {}
        for path in sorted(folder.glob("tests*.json")):
            for name, (setup, rest) in json.loads(path.read_text()).items():
                seconds[name] = setup + rest
                shared[file_of(name)] = max(shared.get(file_of(name), 0.0), setup)
                longest[file_of(name)] = max(longest.get(file_of(name), 0.0), setup + rest)
        return cls(seconds, shared, longest, data, root)

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that could notice a mutant, those that run its statement first, the fastest
        first; then those of the same files, which may look at what another test computed. Of a
        statement that runs at import those come before that read code or data sheets.
        """
        first, last, at_import = _statement(mutant)
        lines = self.data.contexts_by_lineno(mutant.path)
        running = {name for i in range(first, last + 1) for name in lines.get(i, ())}
        nearest = running & self.seconds.keys()
        if at_import:
            for path in (mutant.path, *self._importers.get(mutant.path, ())):
                running |= self._of_file(path)
        running &= self.seconds.keys()
        files = {file_of(name) for name in running}
        beside = {name for name in self.seconds if file_of(name) in files} - running
        readers = {name for name in self.seconds if at_import and name.startswith(READERS)}
        parts = (nearest, readers - nearest, running - nearest - readers, beside - readers)
        return [name for part in parts for name in self._ordered(part)]

    def _ordered(self, names: set[str]) -> list[str]:
        return sorted(names, key=lambda name: (self.seconds[name], name))

    def _of_file(self, path: str) -> set[str]:
        found = self.data.contexts_by_lineno(path).values()
        return {name for names in found for name in names}

    @cached_property
    def _importers(self) -> dict[str, list[str]]:
        """The files that import each file, or a package that it stands in."""
        found = defaultdict(list)
        for importer, tree in parsed(self.root):
            for name in set(imported(ast.walk(tree))):
                stem = name.replace(".", "/")
                for one in (f"{stem}.py", f"{stem}/__init__.py"):
                    if (self.root / one).is_file():
                        found[one].append(importer)
        return dict(found)


def file_of(name: str) -> str:
    """The file of a test."""
    return name.partition("::")[0]


def _statement(mutant: Mutant) -> tuple[int, int, bool]:
    """First and last line of the mutant's statement, and whether it runs when it is imported."""
    best = (1, mutant.source.count("\n") + 1, True)

    def visit(node: ast.AST, at_import: bool) -> None:
        nonlocal best
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                first, last = _span(child)
                if first <= mutant.line <= last and last - first <= best[1] - best[0]:
                    best = (first, last, at_import)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            visit(child, at_import and not inside)

    visit(ast.parse(mutant.source), True)
    return best


def _span(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> tuple[int, int]:
    """The lines of a statement; of one with a body only its head, or all if it is decorated."""
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, node.body[0].lineno - 1
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(one.lineno for one in decorators)])
    body = getattr(node, "body", None)
    is_decorated = decorators and isinstance(node, ast.FunctionDef)  # its calls tell most
    last = max(node.lineno, body[0].lineno - 1) if body and not is_decorated else node.end_lineno
    assert last is not None
    return first, last
