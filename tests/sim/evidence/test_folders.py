"""What a command writes is whole or not there, and a folder is never left worse than it was."""

from __future__ import annotations

import ast
import csv
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from benchmarks.kills import stored, table
from sim import evidence, files, interrupts
from sim.cli.command import main
from sim.errors import InputError
from sim.evidence import manifest, study
from tests import ROOT
from tests.commands import KILLABLE
from tests.forked import Program
from tests.records import addressed, make_record

pytestmark = pytest.mark.usefixtures("undrawn")

FAST = ("consortium=heart4", "training.rounds=1", "model=logistic")
COMPARE = (
    "compare",
    *FAST,
    "attacks=[sign_flip]",
    "defenses=[median,norm_bounding]",
    "seeds=1",
    "workers=1",
)


@pytest.fixture(autouse=True)
def _no_hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    GlobalHydra.instance().clear()
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.page.drawings", lambda *_, **__: iter(()))
        assert main([*COMPARE, f"hydra.run.dir={folder}"]) == 0
    return folder


OTHER_STUDIES = {
    "attack.sign_flip.scale=9": "attack.sign_flip.scale",
    "adversary.n_hostile=1 attack.sign_flip.scale=9": "attack.sign_flip.scale",
    "steps.clip.max_norm=0.125": "steps.clip.max_norm",
    "training.rounds=2": "training.rounds",
    "adversary.placement=largest": "adversary.placement",
    "consortium.test_fraction=0.4": "consortium.test_fraction",
    "server.weight_cap=2": "server.weight_cap",
    "model.hidden=[3]": "model",
}


@pytest.mark.parametrize(("words", "key"), OTHER_STUDIES.items(), ids=OTHER_STUDIES.keys())
def test_a_command_of_another_study_is_refused_before_anything_is_run_or_written(
    words: str,
    key: str,
    filled: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim.study.run.advance", None)  # nothing runs
    before, times = content(filled), {path: path.stat().st_mtime_ns for path in filled.rglob("*")}
    model = ["model=mlp"] if key == "model" else []
    assert main([*COMPARE, *model, *words.split(), f"hydra.run.dir={filled}"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"wardround: hydra.run.dir={filled}: holds runs with another {key}")
    assert line.endswith("expected a new folder")
    assert content(filled) == before
    assert {path: path.stat().st_mtime_ns for path in filled.rglob("*")} == times


def config(**changes: Any) -> dict[str, Any]:
    base = {
        "consortium": {"name": "a"}, "training": {"rounds": 3},
        "adversary": {"n_hostile": 2, "placement": "random"}, "seed": 0,
        "attack": [["alie", {"z": 1.5}]], "label": "krum", "aggregator": {"n_hostile": 2, "m": 1},
        "steps": [["clip", {"radius": 1}]], "dp": None, "engine": {"name": "local"},
        "device": "cpu", "report": {"material_drop": 0.05},
    }  # fmt: skip
    return base | changes


SAME_STUDY: dict[str, dict[str, Any]] = {
    "another seed": {"seed": 5},
    "another attack": {"attack": [["ipm", {"z": 9}]]},
    "one attack more": {"attack": [["alie", {"z": 1.5}], ["ipm", {}]]},
    "another defense": {"label": "other", "aggregator": {"m": 7}, "steps": []},
    "another number of hostile hospitals": {
        "adversary": {"n_hostile": 3, "placement": "random"},
        "aggregator": {"n_hostile": 3, "m": 1},
    },
    "another report": {"report": {"material_drop": 0.5}},
    "another engine": {"engine": {"name": "ray"}},
    "another device": {"device": "cuda"},
}
ANOTHER_STUDY: dict[str, dict[str, Any]] = {
    "attack.alie.z": {"attack": [["alie", {"z": 2.0}]]},
    "attack.alie.w": {"attack": [["ipm", {}], ["alie", {"z": 1.5, "w": 1}]], "seed": 3},
    "aggregator.m": {"aggregator": {"n_hostile": 2, "m": 2}},
    "aggregator.n_hostile": {"aggregator": {"n_hostile": 1, "m": 1}},
    "steps.clip.radius": {"steps": [["clip", {"radius": 1.0}]]},
    "steps.nnm": {"steps": [["clip", {"radius": 1}], ["nnm", 1]]},
    "dp": {"dp": {"epsilon": 8}},
    "adversary.placement": {"adversary": {"n_hostile": 2, "placement": "largest"}},
    "consortium.name": {"consortium": {"name": "b"}},
    "training.rounds": {"training": {"rounds": 4}},
}


@pytest.mark.parametrize("changes", SAME_STUDY.values(), ids=SAME_STUDY.keys())
def test_more_of_the_same_study_may_join(changes: dict[str, Any]) -> None:
    assert study.difference([config()], [config(**changes)]) is None


@pytest.mark.parametrize(("key", "changes"), ANOTHER_STUDY.items(), ids=ANOTHER_STUDY.keys())
def test_the_key_that_makes_it_another_study_is_named(key: str, changes: dict[str, Any]) -> None:
    found = study.difference([config()], [config(), config(**changes)])
    assert found is not None
    assert found[0] == key


def test_two_commands_cannot_write_in_one_folder(
    filled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = content(filled)
    with files.alone(filled):
        assert main([*COMPARE, f"hydra.run.dir={filled}"]) == 2
    line = (
        f"wardround: hydra.run.dir={filled}: expected a folder that no other command is"
        " writing in\n"
    )
    assert capfd.readouterr().err == line
    assert content(filled) == before
    with files.alone(filled):  # free again
        pass


# --- disks that are full, folders that cannot be written


def faulty(real: Callable[..., Any], at: int, code: int, calls: list[int]) -> Callable[..., Any]:
    """The same function, which fails at its call number ``at`` and at all that follow; a write
    takes half first.
    """

    def fails(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) < at:
            return real(*arguments, **named)
        if len(calls) == at and real is os.write and len(arguments[1]) > 1:
            return real(arguments[0], arguments[1][: len(arguments[1]) // 2])
        raise OSError(code, os.strerror(code))

    return fails


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_file_is_whole_or_as_it_was_at_every_failure(
    step: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (addressed(make_record(seed=seed)) for seed in range(2))
    evidence.append(tmp_path, one)
    files.replace(tmp_path / "config.yaml", b"old: 1\n")
    before = content(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, faulty(getattr(os, step), 1, code, []))
        for act in (
            lambda: files.replace(tmp_path / "config.yaml", b"new: 2\n" * 99),
            lambda: evidence.append(tmp_path, two),
        ):
            if step == "replace" and "append" in act.__code__.co_names:
                continue
            with pytest.raises(InputError) as error:
                act()
            assert str(tmp_path) in str(error.value)
            assert os.strerror(code) in str(error.value)
            assert len(str(error.value).splitlines()) == 1
    assert content(tmp_path) == before
    evidence.append(tmp_path, two)
    assert evidence.read(tmp_path) == [one, two]


def test_every_write_of_a_command_may_fail_and_the_same_command_then_completes_it(
    filled: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = list[str]()
    for at in range(1, 99):
        folder, calls = tmp_path / str(at), list[int]()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", faulty(os.write, at, errno.ENOSPC, calls))
            code = main([*COMPARE, f"hydra.run.dir={folder}"])
        error = capfd.readouterr().err
        if len(calls) < at:
            break
        assert code == 2
        assert error.count("\n") == 1
        assert str(folder) in error
        failed.append(error.partition("(")[2].partition(":")[0])
        assert "No space left on device" in error
        assert not [path for path in folder.rglob("*") if path.name.endswith(files.PART)]
        whole = content(folder)
        assert whole.get(evidence.EVIDENCE, b"")[-1:] in (b"", b"\n")
        assert {name for name in whole if name != evidence.EVIDENCE} <= content(filled).keys()
        assert whole.get("config.yaml", b"") in (b"", (filled / "config.yaml").read_bytes())
    assert code == 0
    made = [
        "config.yaml",
        "evidence.jsonl",
        "results.csv",
        "rounds.parquet",
        "manifest.json",
        "index.html",
    ]
    assert list(dict.fromkeys(failed)) == made
    interrupted = tmp_path / "4"  # where two runs are evidence
    assert main([*COMPARE, f"hydra.run.dir={interrupted}"]) == 0
    assert [row | {"seconds": ""} for row in rows(interrupted)] == [
        row | {"seconds": ""} for row in rows(filled)
    ]


def test_what_a_killed_command_left_half_written_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".config.yaml.abc.part").write_text("half")
    (tmp_path / "mine.part").write_text("mine")
    files.leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.part"]


# --- interrupts


def test_an_interrupt_waits_for_a_file_that_is_being_written_and_a_second_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = list[str]()
    monkeypatch.setattr(interrupts, "_STATE", interrupts._State(end=lambda: ended.append("ended")))
    with interrupts.finishing():
        with interrupts.finishing():
            interrupts._handle()
        assert ended == []
    assert ended == ["ended"]
    with interrupts.finishing():
        interrupts._handle()
        assert ended == ["ended"] * 2
    interrupts._handle()
    assert len(ended) >= 3


SWALLOWED = {  # places in which an exception is lost that a signal's handler raises there
    "an exception's handler": "while True:\n try: time.sleep(60)\n except BaseException: pass",
    "the end of an object": "class A:\n def __del__(self): time.sleep(60)\nwhile True: A()",
    "a weak reference's callback": (
        "class A: pass\nwhile True:\n a = A(); r = weakref.ref(a, lambda _: time.sleep(60)); del a"
    ),
    "the search for cycles": (
        "gc.callbacks.append(lambda *_: time.sleep(60))\nwhile True: gc.collect()"
    ),
    "a thread to wait for": (
        "t = threading.Thread(target=time.sleep, args=(60,)); t.start()\nwhile True: t.join(60)"
    ),
}


@pytest.mark.parametrize("code", SWALLOWED.values(), ids=SWALLOWED.keys())
def test_an_interrupt_is_not_lost_where_an_exception_would_be(code: str) -> None:
    first = (
        "import gc, sys, threading, time, weakref\n"
        "from sim import interrupts\n"
        "interrupts.end_with('ended', lambda: None)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{first}print(flush=True)\n{code}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == "ended\n"
    assert process.returncode == interrupts.EXIT


def test_where_interrupts_are_ignored_they_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    monkeypatch.setattr(signal, "signal", None)
    interrupts.end_with("ended", lambda: None)


# --- kills


def test_a_comparison_killed_later_has_stored_more_and_ends_with_the_same_tables(
    tmp_path: Path,
) -> None:
    words = [
        "compare",
        "consortium=heart4",
        "model=logistic",
        "training.rounds=200",
        "attacks=[none]",
        "defenses=[none]",
        "seeds=2",
    ]
    words += ["workers=1"]
    held = [0]
    for _ in range(2):  # in one folder, so that each goes on from where the last one was killed
        program = Program(KILLABLE, [*words, f"hydra.run.dir={tmp_path / 'out'}"], tmp_path)
        deadline = time.monotonic() + 60
        while (
            stored(tmp_path / "out") < held[-1] + 60
            and program.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        code, error = program.ended(signal.SIGKILL)
        assert code == -signal.SIGKILL, error
        held.append(stored(tmp_path / "out"))
    assert held[0] < held[1] < held[2] < 400
    assert main([*words, f"hydra.run.dir={tmp_path / 'out'}"]) == 0
    assert main([*words, f"hydra.run.dir={tmp_path / 'whole' / 'out'}"]) == 0
    assert table(tmp_path) == table(tmp_path / "whole")
    assert not (tmp_path / "out" / ".progress").exists()


# --- code


def test_the_code_of_a_run_covers_every_library_that_it_computes_with() -> None:
    """Libraries that the folders of ``manifest.CODE`` import, but for those that only show or write
    it, or count threads.
    """
    shows = {"rich", "PyYAML", "threadpoolctl", "matplotlib"}
    extras = {"art"}  # which need not be there; pyproject.toml allows a single release of it
    known, found = packages_distributions(), set[str]()
    for package in manifest.CODE:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found |= {name.partition(".")[0] for name in names}
    ours = {
        *manifest.CODE,
        "threats",
        "reports",
        "conf",
        "hydra_plugins",
        "__future__",
        "",
    } | extras
    outside = {known[name][0] for name in found - ours - set(sys.stdlib_module_names)}
    assert outside - shows == set(manifest.COMPUTE)
