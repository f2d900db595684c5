"""A command that is killed keeps what it has reached, and the same command goes on from there to
the same tables.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context

from sim.study import checkpoints
from sim.study.run import FederatedRun
from tests.commands import KILLABLE, LOCKSTEP, results, wardround
from tests.forked import Program


@pytest.fixture(autouse=True)
def _without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands make no page of what they leave, which takes longer than short runs."""
    monkeypatch.setattr("sim.cli.tasks.page", lambda folder, *_, **__: folder)


ROUNDS = 90
STORED = 25  # rounds of which the progress is stored when a command is killed
LONG = ("consortium=heart4", "model=logistic", "attack=[alie]", f"training.rounds={ROUNDS}")
COMMANDS = {  # words, and where the folder is named
    "one run": (("run",), "hydra.run.dir"),
    "a sweep one by one": (("run", "-m", "training.lr=0.02,0.1"), "hydra.sweep.dir"),
    "a sweep in lockstep": (("run", "-m", "training.lr=0.02,0.1", *LOCKSTEP), "hydra.sweep.dir"),
    "a sweep of comparisons": (
        (
            "compare",
            "-m",
            "attacks=[none]",
            "defenses=[none]",
            "workers=1",
            "seeds=1",
            "training.lr=0.02,0.1",
        ),
        "hydra.sweep.dir",
    ),
}


def rounds_stored(folder: Path) -> int:
    """Rounds of all runs of which a file of progress below ``folder`` holds the state."""
    folders = {path.parent for path in folder.rglob(checkpoints.FILE)}
    return sum(state["round"] for place in folders for state in checkpoints.states(place).values())


def killed(words: Sequence[str], folder: Path) -> None:
    """Start the command and end it with SIGKILL once it has stored progress of some rounds."""
    program, end = Program(KILLABLE, words, folder.parent), time.monotonic() + 120
    try:
        while rounds_stored(folder) < STORED:
            assert program.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        code, error = program.ended(signal.SIGKILL)
    assert code == -signal.SIGKILL, error


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The round that each restored run goes on from."""
    rounds, original = list[int](), checkpoints._restore

    def restore(run: FederatedRun, contexts: Sequence[Context], state: dict[str, Any]) -> None:
        rounds.append(state["round"])
        original(run, contexts, state)

    monkeypatch.setattr(checkpoints, "_restore", restore)
    return rounds


@pytest.mark.parametrize(("words", "key"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_killed_command_goes_on_from_what_was_stored_to_the_same_tables(
    words: tuple[str, ...], key: str, tmp_path: Path, resumed: list[int]
) -> None:
    given = LONG if words[0] == "run" else [word for word in LONG if not word.startswith("attack=")]
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    assert wardround(*words, *given, f"{key}={whole}") == 0
    assert resumed == []
    killed([*words, *given, f"{key}={folder}"], folder)
    assert not (folder / "results.csv").exists()
    assert wardround(*words, *given, f"{key}={folder}") == 0
    assert sum(resumed) >= STORED
    assert max(resumed) <= ROUNDS
    tables = sorted(path.relative_to(whole) for path in whole.rglob("results.csv"))
    assert tables
    for path in tables:
        assert results((folder / path).parent) == results((whole / path).parent)
    assert sorted(folder.rglob(checkpoints.FOLDER)) == []


def test_jobs_of_a_sweep_that_are_done_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "run",
        "-m",
        *LOCKSTEP,
        "consortium=heart4",
        "model=logistic",
        "training.rounds=1",
        f"hydra.sweep.dir={tmp_path}",
    )
    together, groups = import_module("sim.study.run").advance, list[int]()

    def spy(group: Sequence[Any], *rest: Any) -> Any:
        groups.append(len(group))
        return together(group, *rest)

    monkeypatch.setattr("sim.study.run.advance", spy)
    assert wardround(*words, "seed=0,1") == 0
    ran = sum(groups)
    assert wardround(*words, "seed=0,1") == 0
    assert sum(groups) == ran == 2
    assert wardround(*words, "seed=0,1,2") == 0
    assert sum(groups) == 3
    assert [row["seed"] for row in results(tmp_path)] == ["0", "1", "2"]


@pytest.mark.parametrize("launcher", [(), LOCKSTEP], ids=["one by one", "in lockstep"])
def test_a_sweep_into_folders_of_another_study_is_refused_before_anything_runs(
    launcher: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (
        "consortium=heart4",
        "model=logistic",
        "training.rounds=1",
        f"hydra.sweep.dir={tmp_path}",
    )
    assert wardround("run", f"hydra.run.dir={tmp_path}/1", *words[:3], "training.lr=0.5") == 0
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    assert wardround("run", "-m", *launcher, *words, "seed=0,1") == 2
    err = capfd.readouterr().err
    assert err.startswith(
        f"wardround: hydra.run.dir={tmp_path}/1: holds runs with another training.lr "
    )
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sweep_into_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = (
        "consortium=heart4",
        "model=logistic",
        "training.rounds=1",
        f"hydra.sweep.dir={tmp_path}/file/x",
    )
    assert wardround("run", "-m", *LOCKSTEP, *words, "seed=0,1") == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert f"{tmp_path}/file/x: expected a folder that can be written" in err
