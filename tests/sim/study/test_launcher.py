"""A sweep in lockstep leaves what its runs leave one after the other."""

import csv
import gc
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from sim.cli.command import main

pytestmark = pytest.mark.usefixtures("undrawn")

FAST = ("consortium=heart4", "attack=[sign_flip]", "training.rounds=2", "model=logistic")
SWEEP = ("-m", "hydra/launcher=lockstep", "hydra.launcher.workers=1")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    monkeypatch.setattr(sys, "argv", ["wardround"])
    GlobalHydra.instance().clear()
    yield lambda *words: main(words)
    GlobalHydra.instance().clear()


def rows(folder: Path) -> list[dict[str, str]]:
    """What ``results.csv`` states, times aside."""
    table = list(csv.DictReader((folder / "results.csv").open()))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table]


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_a_sweep_in_lockstep_leaves_what_single_runs_leave(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, together = list[int](), import_module("sim.study.run").advance

    def spy(group: list[object], *rest: object) -> object:
        sizes.append(len(group))
        return together(group, *rest)

    for seed in (0, 1):
        assert call("run", *FAST, f"seed={seed}", f"hydra.run.dir={tmp_path}/alone/{seed}") == 0
    monkeypatch.setattr("sim.study.run.advance", spy)  # every record comes from the launcher
    monkeypatch.setattr("sim.study.sharing.LARGEST_GROUP", 24)
    assert (
        call(
            "run",
            *SWEEP,
            *FAST,
            "seed=0,1",
            "report.material_drop=0.05",
            f"hydra.sweep.dir={tmp_path}/sweep",
        )
        == 0
    )
    for seed in (0, 1):
        alone, swept = tmp_path / "alone" / str(seed), tmp_path / "sweep" / str(seed)
        assert rows(swept) == rows(alone)
        assert files(swept) == files(alone)
        assert f"seed: {seed}\n" in (swept / "config.yaml").read_text()
    assert sum(sizes) == 2


@pytest.mark.parametrize("launcher", ["basic", "lockstep"])
def test_python_searches_for_cycles_while_runs_of_a_sweep_advance(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    together = import_module("sim.study.run").advance
    searched = list[bool]()

    def spy(*given: object) -> object:
        searched.append(gc.isenabled())
        return together(*given)

    monkeypatch.setattr("sim.study.run.advance", spy)
    workers = ["hydra.launcher.workers=1"] if launcher == "lockstep" else []
    gc.disable()  # as a command of its own process begins
    try:
        words = (f"hydra/launcher={launcher}", *workers, *FAST, "seed=0,1")
        assert call("run", "-m", *words, f"hydra.sweep.dir={tmp_path}") == 0
    finally:
        gc.enable()
        gc.unfreeze()
    assert searched
    assert all(searched)


def test_a_wrong_job_of_a_sweep_is_one_line_before_anything_runs(
    call: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        call("run", *SWEEP, *FAST, "adversary.n_hostile=1,4", f"hydra.sweep.dir={tmp_path}/sweep")
        == 2
    )
    assert (
        capfd.readouterr().err
        == "wardround: adversary.n_hostile=4: expected fewer than n_hospitals=4\n"
    )
    assert not list((tmp_path / "sweep").rglob("evidence.jsonl"))
