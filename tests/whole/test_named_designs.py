"""The named designs through the command, on real patients: exit codes, figures, and ways to them.

What the verdict states is worked out again by somebody who trusts none of our code.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import outsider
from tests.assessed import DESIGNS
from tests.commands import wardround

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("named designs")


def validated(name: str, folder: Path, *words: str) -> int:
    """The exit code of ``wardround validate`` for a design, in the folder ``out``."""
    where = f"hydra.run.dir={folder / 'out'}"
    return wardround("validate", f"consortium={name}", where, "workers=1", *words)


@pytest.fixture(scope="module")
def open_design(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """Exit code and folder of ``heart4_open`` with a stack that it has and does not declare.

    Declaring it is what costs least, so a search needs to look at nothing else.
    """
    place = tmp_path_factory.mktemp("heart4_open")
    values = yaml.safe_load((DESIGNS / "heart4_open.yaml").read_text(encoding="utf-8"))
    values["stacks"] = [{"id": "robust", "defense": "arc_nnm_trimmed_mean"}]
    path = place / "design.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:  # the page of the verdict has its figures
        patch.setattr("reports.page.drawings", lambda *_, **__: iter(()))
        return validated(str(path), place, "search.minutes=5"), place / "out"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_open_design_does_not_meet_its_criteria(open_design: tuple[int, Path]) -> None:
    code, folder = open_design
    verdict = read(folder / "verdict.json")
    assert code == 1
    assert {one["outcome"] for one in verdict["criteria"]} == {"not_met"}


def test_an_outsider_finds_the_same_figures_and_every_way_to_the_evidence(
    open_design: tuple[int, Path],
) -> None:
    assert outsider.complaints(open_design[1]) == []


def test_the_search_finds_the_stack_that_the_design_has_already(
    open_design: tuple[int, Path],
) -> None:
    found = read(open_design[1] / "search.json")
    assert (found["smallest"], found["complete"]) == (["declare the stack robust"], True)
    tried = [one for one in found["changes"] if one["criteria"]]
    assert [one["change"] for one in tried] == found["smallest"]
    page = (open_design[1] / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="fig-search"' in page


def changed(place: Path, name: str, old: str, new: str) -> None:
    path = place / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_an_outsider_notices_what_does_not_follow(
    open_design: tuple[int, Path], tmp_path: Path
) -> None:
    """One figure, level, outcome, link or line that is another one gives a complaint."""
    folder = open_design[1]
    tried = read(folder / "verdict.json")["criteria"][0]["tried"][0]
    made = read(folder / "register.json")["statements"][0]
    run = made["runs"][0]
    edits = [
        ("verdict.json", f'"lower": {tried["lower"]!r}', '"lower": 0.5'),
        ("verdict.json", '"outcome": "not_met"', '"outcome": "met"'),
        ("register.json", f'"upper": {made["upper"]!r}', '"upper": 0.5'),
        ("register.json", '"level": "very_high"', '"level": "low"'),
        ("register.json", '"adverse": "very_high"', '"adverse": "high"'),
        ("register.json", run["line"], "0" * 64),
        ("report/index.html", f'id="run-{run["run"]}"', 'id="run-nothing"'),
        ("evidence.jsonl", '"value": 0.8', '"value": 0.7'),
    ]
    for number, (name, old, new) in enumerate(edits):
        place = tmp_path / str(number)
        shutil.copytree(folder, place)
        changed(place, name, old, new)
        assert outsider.complaints(place), (name, old)


@pytest.mark.slow
def test_a_hardened_design_meets_its_criteria_and_one_of_them_by_stopping_a_leak(
    tmp_path: Path,
) -> None:
    """Its operator reads records of the undefended design, and none with its stack."""
    assert validated("heart12_hardened", tmp_path) == 0
    folder = tmp_path / "out"
    verdict = read(folder / "verdict.json")
    assert {one["outcome"] for one in verdict["criteria"]} == {"met"}
    made = [
        one
        for one in read(folder / "register.json")["statements"]
        if one["claim"]["threat"] == "THR-GI"
    ]
    found = {one["claim"]["stack"]: one["trials"]["successes"] for one in made}
    assert found["undefended"] >= 20
    assert found["private-and-robust"] == 0
    assert {seed for one in made for seed in one["trials"]["seeds"]} == set(range(20, 30))
    assert outsider.complaints(folder) == []


def test_a_design_that_contradicts_itself_is_refused_with_what_would_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert validated("heart12_secagg_krum", tmp_path) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "declared=summed-and-selected: its parts contradict each other" in err
    assert "what would work: krum without secagg or secagg without krum" in err
    assert not (tmp_path / "out").exists()
