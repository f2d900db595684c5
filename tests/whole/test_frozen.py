"""Values cannot be changed: each dataclass is frozen, but for those that are filled bit by bit."""

import ast
from collections.abc import Iterator

from tests import ROOT

PACKAGES = ("sim", "clients", "aggregators", "attacks", "threats", "reports")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# What a run, a round or a process keeps while it goes on.
FILLED = {
    "attacks/protocol/dropout_lie.py": {"_Liar"},
    "attacks/protocol/key_substitution.py": {"_Middle"},
    "clients/app.py": {"_Visit"},
    "clients/shadows.py": {"_Federation"},
    "sim/cli/audit.py": {"_Job"},
    "sim/cli/validate.py": {"_Job"},
    "sim/federation/adversary.py": {"Lasting"},
    "sim/federation/server.py": {"Lasting"},
    "sim/interrupts.py": {"_State"},
    "sim/observers/engagement.py": {"Moved"},
    "sim/observers/evaluation.py": {"Evaluated"},
    "sim/observers/inference.py": {"Watched"},
    "sim/observers/influence.py": {"Measured"},
    "sim/observers/isolation.py": {"Worked"},
    "sim/observers/privacy.py": {"Reported"},
    "sim/observers/quantizing.py": {"Counts"},
    "sim/observers/reconstruction.py": {"Inversions"},
    "sim/observers/screening.py": {"Log"},
    "sim/observers/selection.py": {"Shares"},
    "sim/study/compare.py": {"_Worker"},
}


def not_frozen(source: str) -> Iterator[str]:
    """Names of the dataclasses of a module that are not frozen."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            made = [one for one in map(ast.unparse, node.decorator_list) if "dataclass" in one]
            if made and "frozen=True" not in made[0]:
                yield node.name


def test_dataclasses_are_frozen() -> None:
    found = {str(path.relative_to(ROOT)): set(not_frozen(path.read_text())) for path in FILES}
    assert {path: names for path, names in found.items() if names} == FILLED


def test_a_dataclass_that_can_be_changed_is_found() -> None:
    source = """
@dataclass(frozen=True)
class Frozen: ...

class Plain: ...

@dataclasses.dataclass(slots=True)
class Open:
    @dataclass(frozen=False)
    class Inner: ...
"""
    assert set(not_frozen(source)) == {"Open", "Inner"}
