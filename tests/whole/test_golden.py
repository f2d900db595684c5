"""Golden runs leave the evidence that was recorded, and a difference in it is found."""

import copy
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.golden import difference, record
from tests.golden.__main__ import RECORDED, main, of_commit
from tests.golden.cases import BY_HOSPITAL, COMMANDS

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("golden")

MACHINE, HELD = record.read(RECORDED)
EQUAL = difference.exact if record.machine() == MACHINE else difference.close


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of its own records, as the command does."""
    out = tmp_path_factory.mktemp("golden") / "runs.jsonl.gz"
    environment = {**os.environ, "PYTHONPATH": str(record.ROOT)}
    subprocess.run(
        [sys.executable, "-m", "tests.golden", "record", out],
        cwd=record.ROOT,
        env=environment,
        check=True,
    )
    return record.read(out)[1]


def test_the_same_runs_are_recorded(runs: dict[str, Any]) -> None:
    assert list(runs) == list(HELD)
    assert {name.partition("/")[0] for name in runs} == {*COMMANDS, "hospital"}
    assert [name for name in runs if name.startswith("hospital/")] == [
        f"hospital/{name}" for name in BY_HOSPITAL
    ]


@pytest.mark.parametrize("name", HELD)
def test_a_run_leaves_the_evidence_that_was_recorded(name: str, runs: dict[str, Any]) -> None:
    found = list(difference.differences({name: HELD[name]}, {name: runs[name]}, EQUAL))
    assert not found, "\n".join(map(str, found[:20]))


# --- what counts as a difference


@cache
def example() -> dict[str, Any]:
    return next(iter(HELD.values()))


def pooled(record: dict[str, Any], metric: str) -> dict[str, Any]:
    (found,) = [
        one for one in record["outcomes"] if (one["metric"], one["subject"]) == (metric, None)
    ]
    return found


def changed(change: Any) -> list[difference.Difference]:
    other = copy.deepcopy(example())
    change(other)
    return list(difference.differences({"run": example()}, {"run": other}))


def test_a_last_digit_is_a_difference() -> None:
    def change(other: dict[str, Any]) -> None:
        pooled(other, "brier")["value"] += 1e-16

    (found,) = changed(change)
    assert found.path == "outcomes[brier,None].value"


def test_a_point_of_a_curve_is_a_difference() -> None:
    def change(other: dict[str, Any]) -> None:
        other["curve"]["value"][0] += 1e-6

    (found,) = changed(change)
    assert found.path.startswith("curve.auroc[")


def test_a_field_or_a_run_on_one_side_only_is_a_difference() -> None:
    (found,) = changed(lambda other: other.update(new=1))
    assert found == ("run", "new", difference.ABSENT, 1)
    assert changed(lambda other: other["outcomes"].pop())
    (missing,) = difference.differences({"run": example()}, {})
    assert missing[2:] == ("(run)", difference.ABSENT)


def test_order_and_addresses_and_places_of_classes_are_no_difference() -> None:
    def change(other: dict[str, Any]) -> None:
        for key in reversed(list(other)):
            other[key] = other.pop(key)
        other["hospitals"].reverse()
        other["outcomes"].reverse()
        columns = other["curve"]
        for key in columns:
            columns[key] = columns[key][::-1]
        other.update(run="0" * 16, code="0" * 12, seconds=1e9)
        other["config"]["model"]["_target_"] = "elsewhere.MLP"

    assert not changed(change)


def test_a_field_goes_by_its_new_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(other: dict[str, Any]) -> None:
        other["score"] = other.pop("limit")

    assert len(changed(change)) == 2
    monkeypatch.setitem(difference.RENAMED, r"limit", "score")  # type: ignore[arg-type]
    assert not changed(change)


def test_new_fields_and_reworded_sentences_pass_only_where_they_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def change(other: dict[str, Any]) -> None:
        other["new"] = 1
        other["data_source"] = "stated otherwise"

    assert len(changed(change)) == 2
    monkeypatch.setattr(difference, "MAY_BE_MISSING", ("new",))
    monkeypatch.setattr(difference, "REWORDED", ("data_source",))
    assert not changed(change)


@pytest.mark.parametrize(
    ("path", "one", "other", "same"),
    [
        ("outcomes[brier,None].value", 0.2, 0.20001, True),
        ("outcomes[brier,None].value", 0.2, 0.2001, False),
        ("outcomes[auroc,None].value", 0.8, 0.81, True),
        ("outcomes[auroc,None].value", 0.8, 0.86, False),
        ("outcomes[influence,va].value", 0.8, 0.81, False),
        ("outcomes[auroc,None].value", 0.8, None, False),
        ("outcomes[auroc,None].n", 10, 11, False),
        ("outcomes[auroc,None].n", 1, 1.0, False),
        ("engagement.attack_engaged", True, False, False),
    ],
)
def test_how_close_unlike_processors_have_to_come(
    path: str, one: Any, other: Any, same: bool
) -> None:
    assert difference.close(path, one, other) == same


def test_the_command_tells_what_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "runs.jsonl.gz"
    other = copy.deepcopy(example())
    before, pooled(other, "brier")["value"] = pooled(other, "brier")["value"], 0.5
    monkeypatch.setattr(record, "runs", lambda _: {"one": example()})
    assert main(["record", str(file)]) == 0
    assert main(["compare", str(file)]) == 0
    assert capsys.readouterr().out == "Nothing differs.\n"
    monkeypatch.setattr(record, "runs", lambda _: {"one": other})
    assert main(["compare", str(file)]) == 1
    assert (
        capsys.readouterr().out
        == f"one: outcomes[brier,None].value: {before!r} -> 0.5\n1 fields of 1 runs differ\n"
    )


def test_a_commit_is_run_by_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = tmp_path / "tests" / "golden" / "adapter.py"
    adapter.parent.mkdir(parents=True)
    settings = "-c user.name=test -c user.email=test -c core.hooksPath=/dev/null"
    git = ["git", "-C", tmp_path, *settings.split()]
    for words, stated in (
        (["init", "-q"], 1),
        (["add", "."], 1),
        (["commit", "-q", "-m", "first"], 2),
    ):
        adapter.write_text(
            f"def by_hospital(words):\n    return {{'words': words, 'stated': {stated}}}\n",
            encoding="utf-8",
        )
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(record, "ROOT", tmp_path)
    assert of_commit("HEAD", ["hospital/plain"]) == {
        "hospital/plain": {"words": BY_HOSPITAL["plain"].split(), "stated": 1}
    }
    assert "'stated': 2" in adapter.read_text("utf-8")
