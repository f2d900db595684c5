"""All mutants of the code, and a fixed sample of them.

Cosmic Ray finds and makes the changes. A place in the code where it knows several changes counts
once, so that an operator with eleven replacements is no likelier in the sample than a number. The
sample is the places of least hash of their text, not of their line: it stays what it is while other
code changes.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# Changes that somebody could have written by mistake. Others of Cosmic Ray's, as `a << b` for
# `a - b`, fail on the first call and show nothing about tests.
NEAR = re.compile(
    r"""core/(
      ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|FloorDiv_Mul|Mod_FloorDiv|
        Pow_Mul|BitOr_BitAnd|BitAnd_BitOr|BitXor_BitOr|LShift_RShift|RShift_LShift)
      | ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|
        GtE_Gt|GtE_Lt|Is_IsNot|IsNot_Is)
      | ReplaceUnaryOperator_Delete_(USub|Not|Invert)
      | ReplaceTrueWithFalse | ReplaceFalseWithTrue | ReplaceAndWithOr | ReplaceOrWithAnd
      | ReplaceBreakWithContinue | ReplaceContinueWithBreak
      | AddNot | ExceptionReplacer | NumberReplacer | RemoveDecorator | ZeroIterationForLoop
    )""",
    re.VERBOSE,
)
Position = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Place:
    """A place of the code that can be changed: where it is, and what it is, free of its line."""

    path: str
    position: Position
    what: str


@dataclass(frozen=True)
class Mutant:
    """The code of one file with one change."""

    path: str
    line: int
    operator: str
    source: str
    mutated: str

    @cached_property
    def change(self) -> str:
        """The lines before and after, without their common start and end."""
        before, after = self.source.split("\n"), self.mutated.split("\n")
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return f"`{_joined(before)}` → `{_joined(after)}`"


def _joined(lines: Iterable[str]) -> str:
    """The lines as one, without the space that Cosmic Ray puts before a number."""
    return re.sub(r"(?<=[(\[{ ]) +", "", " ".join(line.strip() for line in lines))


class _Nodes(Visitor):
    """All nodes, in the order in which Cosmic Ray asks an operator for its places in each."""

    def __init__(self) -> None:
        self.found: list[object] = []

    def visit(self, node: object) -> object:
        self.found.append(node)
        return node


def places(path: str, source: str) -> dict[Place, list[tuple[str, int]]]:
    """Each place of a file, with the changes known there: (operator, its occurrence)."""
    unseen = list(_never_run(ast.parse(source)))
    lines = source.split("\n")
    nth: Counter[str] = Counter()
    nodes = _Nodes()
    nodes.walk(get_ast(source))
    at: dict[Position, list[tuple[str, int]]] = {}
    for name in operator_names():
        if NEAR.fullmatch(name):
            places_in = get_operator(name)().mutation_positions
            positions = chain.from_iterable(map(places_in, nodes.found))
            for occurrence, position in enumerate(positions):
                if not any(start <= position[0] < end for start, end in unseen):
                    at.setdefault(position, []).append((name, occurrence))
    found = {}
    for position, changes in sorted(at.items()):
        (row, column), (last, end) = position
        text = lines[row - 1].strip()
        token = lines[row - 1][column : end if last == row else None]
        what = f"{path}|{text}|{token}"
        nth[what] += 1
        found[Place(path, position, f"{what}|{nth[what]}")] = changes
    return found


def _never_run(tree: ast.AST) -> Iterator[Position]:
    """Annotations and imports for type checkers: code that no run evaluates."""
    for node in ast.walk(tree):
        parts: list[ast.expr | ast.stmt | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [node.returns]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            parts = [node]
        for part in parts:
            if part is not None:
                assert part.end_lineno is not None
                assert part.end_col_offset is not None
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def sample(root: Path, packages: Iterable[str], size: int, seed: int) -> tuple[list[Mutant], int]:
    """A sample of ``size`` mutants, each package with its share, and how many places there are."""
    sources = {
        str(path.relative_to(root)): path.read_text()
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    }
    known = {path: places(path, source) for path, source in sources.items()}
    strata: dict[str, list[Place]] = {package: [] for package in packages}
    for path, found in known.items():
        (package,) = (one for one in packages if path.startswith(f"{one}/"))
        strata[package].extend(found)
    total = sum(map(len, strata.values()))
    drawn = []
    for package, share in _shares({name: len(of) for name, of in strata.items()}, size).items():
        ranked = sorted(strata[package], key=lambda place: _hash(seed, place.what))
        mutants: list[Mutant] = []
        for place in ranked:
            if len(mutants) == share:
                break
            mutant = _mutant(place, sources[place.path], known[place.path][place], seed)
            if mutant is not None:
                mutants.append(mutant)
        drawn.extend(mutants)
    return drawn, total


def _mutant(place: Place, source: str, changes: list[tuple[str, int]], seed: int) -> Mutant | None:
    """The place's change of least hash, of those that Python can read."""
    for name, occurrence in sorted(changes, key=lambda c: _hash(seed, f"{place.what}|{c[0]}|{c}")):
        mutated = mutate_code(source, get_operator(name)(), occurrence)
        if mutated is not None and _differs(source, mutated):
            return Mutant(place.path, place.position[0][0], name, source, mutated)
    return None


def _differs(source: str, mutated: str) -> bool:
    try:
        return ast.dump(ast.parse(source)) != ast.dump(ast.parse(mutated))
    except SyntaxError:
        return False


def _shares(sizes: dict[str, int], size: int) -> dict[str, int]:
    """How many of ``size`` each stratum gets: by its size, the largest remainders rounded up."""
    total = sum(sizes.values())
    exact = {name: size * n / total for name, n in sizes.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: size - sum(shares.values())]:
        shares[name] += 1
    return shares


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}|{text}".encode()).hexdigest()
