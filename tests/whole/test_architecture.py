"""The walk of one update in docs/architecture.md: each place exists, and a run passes them in this
order.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from sim import evidence
from sim.federation.driver import Parties
from sim.study.run import FederatedRun, run
from tests import ROOT
from tests.federation import experiment

PAGE = ROOT / "docs/architecture.md"


class Step(NamedTuple):
    """A line of the walk."""

    party: str
    file: str
    function: str


def walk() -> list[Step]:
    text = PAGE.read_text().partition("<!-- walk -->")[2].partition("<!-- end -->")[0]
    lines = text.strip().splitlines()
    found = [re.fullmatch(r"(\d+)\. (\w+): `([\w/]+\.py):([\w.]+)` .+", line) for line in lines]
    assert [int(match[1]) for match in found if match] == list(range(1, len(lines) + 1))
    return [Step(match[2], match[3], match[4]) for match in found if match]


def functions(file: str) -> Iterator[str]:
    """Qualified names of the functions of a file and of the methods of its classes."""
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)
            )


@pytest.mark.parametrize("step", walk(), ids=lambda step: f"{step.file}:{step.function}")
def test_each_place_of_the_walk_exists(step: Step) -> None:
    assert step.function in set(functions(step.file))


def test_no_place_and_no_party_is_returned_to() -> None:
    steps = walk()
    assert len(set(steps)) == len(steps)
    parties = [party for party, _ in groupby(steps, key=lambda step: step.party)]
    assert parties == ["hospital", "engine", "adversary", "aggregator", "observers", "evidence"]


ONE_ROUND = ("consortium=heart4", "training.rounds=1", "model=logistic")


def passed(folder: Path, *words: str, events: tuple[str, ...] = ("call", "return")) -> list[Step]:
    """The places of the walk that a run of one round passes, but for those of the adversary's
    grant, which may ask back.
    """
    places = {(str(ROOT / step.file), step.function): step for step in walk()}
    found = list[Step]()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        step = places.get((code.co_filename, code.co_qualname))
        if event in events and step is not None and not is_for_the_grant(frame):
            found.append(step)

    design = experiment(*ONE_ROUND, *words)
    sys.setprofile(note)
    try:
        evidence.append(folder, run(design))
    finally:
        sys.setprofile(None)
    return found


def is_for_the_grant(frame: FrameType) -> bool:
    """Whether a place is passed because the driver makes the grant of a round."""
    outer = frame.f_back
    while outer is not None:
        if outer.f_code.co_qualname == "Parties.between":
            return frame.f_code.co_qualname == "Arrived.report"
        outer = outer.f_back
    return False


def test_a_run_passes_the_places_in_this_order(tmp_path: Path) -> None:
    places = passed(tmp_path, "attack=[sign_flip]")
    at = 0
    for step in walk():
        assert step in places[at:], (
            f"{step.file}:{step.function} is not passed after the place before it"
        )
        at += places[at:].index(step)


@pytest.mark.parametrize(
    ("words", "between"),
    [((), ()), (("attack=[alie]", "adversary.knowledge=updates_and_rule"), ("adversary",))],
    ids=["attack-free", "attacked"],
)
def test_what_a_party_has_handed_on_does_not_come_back_to_it(
    words: tuple[str, ...], between: tuple[str, ...], tmp_path: Path
) -> None:
    """Once the hospitals have trained, each party is through before the next one begins."""
    places = passed(tmp_path, *words, events=("return",))
    parties = [party for party, _ in groupby(places, key=lambda step: step.party)]
    trained = parties[parties.index("hospital") :]
    assert trained == ["hospital", "engine", *between, "aggregator", "observers", "evidence"]


def test_the_adversary_holds_nothing_that_leads_to_the_aggregator() -> None:
    one = experiment("consortium=heart4", "attack=[sign_flip]", "training.rounds=1")
    parties: Parties = FederatedRun(one)
    held = list(vars(parties.adversary).values())
    assert parties.aggregator not in held
    assert not any(isinstance(value, Parties) or value is parties.plan for value in held)


def test_the_four_values_of_the_table_are_those_of_the_code() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert named == ["FederationPlan", "Site", "AttackPlan", "GroundTruth"]
    files = (ROOT / "sim/design").glob("*.py")
    classes = {
        node.name
        for file in files
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    assert set(named) <= classes
