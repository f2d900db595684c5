"""``--json``: the result alone on standard output, with the keys that docs/json.md sketches."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.sim.cli.test_cli import Call, call

pytestmark = pytest.mark.usefixtures("undrawn")

__all__ = ["call"]  # a fixture

SMALL = (
    "consortium=synthetic", "consortium.n_hospitals=3", "consortium.n_records=20",
    "training.rounds=1", "adversary.n_hostile=1", "workers=1",
)  # fmt: skip
SKETCHES = Path(__file__).parents[3] / "docs" / "json.md"


def printed(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one object on standard output."""
    found = json.loads(capfd.readouterr().out)
    assert isinstance(found, dict)
    return found


def sketched(title: str) -> set[str]:
    """The keys of the first level of a sketch of the documentation."""
    text = SKETCHES.read_text(encoding="utf-8")
    block = re.search(rf"## {re.escape(title)}.*?```text\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return set(re.findall(r'^  "(\w+)":', block[1], re.MULTILINE))


def test_a_comparison_and_its_report_print_the_same_result(
    call: Call, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = tmp_path / "made"
    words = ["attacks=[sign_flip,alie]", "defenses=[krum,median]", "seeds=1"]
    assert call("compare", *SMALL, *words, f"hydra.run.dir={where}", "--json") == 0
    found = printed(capfd)
    assert found.keys() == sketched("run, compare, report")
    assert len(found["answer"]) == 5
    assert {row["attack"] for row in found["runs"]} == {"none", "sign_flip", "alie"}
    assert "ask what sign flipping and hidden shift" in found["answer"][0]
    assert [one["defense"] for one in found["refused"]] == ["krum"] * 3
    assert "--json" not in found["command"]
    assert Path(found["report"]).is_file()
    assert call("report", str(where), "--json") == 0
    assert printed(capfd) == found


def test_one_run_prints_its_row(call: Call, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", *SMALL[:-1], "attack=[sign_flip]", "--json") == 0
    found = printed(capfd)
    assert [(row["attack"], row["seed"]) for row in found["runs"]] == [("sign_flip", 0)]
    assert found["next"][0]["command"].startswith("wardround compare consortium=synthetic")


def test_an_explanation_and_a_list_are_objects_too(
    call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["attacks=[sign_flip]", "defenses=[median,dp_record]", "seeds=2"]
    assert call("explain", "consortium=heart4", *words, "--json") == 0
    found = printed(capfd)
    assert found.keys() == sketched("explain")
    assert (found["n_runs"], found["provenance"]) == (12, "published")
    assert [one["defense"] for one in found["designs"]] == ["none", "median", "dp_record"]
    assert found["designs"][2]["statements"][0]["unit"] == "record"
    assert call("list", "threats", "krum", "--json") == 0
    found = printed(capfd)
    assert found.keys() == sketched("list")
    assert found["groups"]["threats"]["THR-SC"]["attacks"] == []
    assert found["groups"]["defense"]["krum"] == {"stands for": "aggregator=krum"}
    assert call("list", "--json") == 0
    assert {"attack", "consortium", "threats"} <= printed(capfd)["groups"].keys()


def test_a_sweep_prints_no_object(call: Call, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("run", "-m", "seed=0,1", "--json") == 2
    assert capfd.readouterr().err == "wardround: flags=--json -m: expected one of the two\n"
