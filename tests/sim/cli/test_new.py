"""``wardround new`` writes a plug-in that works, with a test that passes, or nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli import new
from tests import ROOT
from tests.commands import wardround

FILES = {
    "rule": {
        "own_mine/__init__.py",
        "own_mine/mine.py",
        "conf/aggregator/mine.yaml",
        "conf/defense/mine.yaml",
        "test_mine.py",
    },
    "attack": {
        "own_mine/__init__.py",
        "own_mine/byzantine/__init__.py",
        "own_mine/byzantine/mine.py",
        "conf/attack/mine.yaml",
        "test_mine.py",
    },
}
CHOSEN = {"rule": "defense=mine", "attack": "attack=[mine]"}
HOSTILE = (
    "../mine", "a/b", "mine.py", "import os", "${name}", "$name", "__init__", "mine\n", "mine;x",
    "\u043cine", "m\u0131ne", "mine\u202e", "9lives", "a" * 41, "lambda", "os\0",
)  # fmt: skip
NAMED = {
    "rule": "The rule averages, in every coordinate, the values between the quartiles.",
    "attack": "Each hostile hospital sends the mean of their honest updates turned around",
}
AMBIGUOUS = ("true", "null", "nan", "on", "view", "about")
SMALL = ("consortium=heart12", "training.rounds=1", "model=logistic", "adversary.n_hostile=2")

# a run of these words, and the report of a copy of its folder, which has no page
PROGRAM = """
import shutil, sys
from sim.cli.command import main

codes = [main(["run", *sys.argv[1:], "hydra.run.dir=out"])]
shutil.copytree("out", "again", ignore=shutil.ignore_patterns("report"))
codes.append(main(["report", "again"]))
print(codes)
"""


def called(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python, called in the folder as its reader calls it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([".", str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("kind", FILES)
def test_what_it_writes_passes_its_test_runs_and_is_clean(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wardround("new", kind, "mine", str(tmp_path)) == 0
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert made == FILES[kind]
    printed = capsys.readouterr().out
    assert all(str(tmp_path / name) in printed for name in FILES[kind])
    tested = called(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py")
    assert "3 passed" in tested.stdout, tested.stdout
    words = ("plugins=[own_mine]", "--config-dir", "conf", CHOSEN[kind], *SMALL)
    ran = called(tmp_path, "-c", PROGRAM, *words)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[0, 0]", ran.stderr
    for folder in ("out", "again"):
        page = (tmp_path / folder / "report" / "index.html").read_text(encoding="utf-8")
        assert NAMED[kind] in page
    for check in (("check", "--select=E,F,I,B,UP"), ("format", "--check")):
        linted = called(
            tmp_path, "-m", "ruff", *check, "--no-cache", "--isolated", "--line-length=100"
        )
        assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("kind", FILES)
def test_nothing_is_written_where_a_file_of_its_own_is_there(kind: str, tmp_path: Path) -> None:
    taken = tmp_path / "test_mine.py"
    taken.write_text("mine")
    assert wardround("new", kind, "mine", str(tmp_path)) == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [taken]
    assert taken.read_text() == "mine"


def test_no_folder_is_left_where_a_file_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("no folder")
    assert wardround("new", "rule", "mine", str(tmp_path)) == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["conf"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "expected rule|attack, a name, DIR"),
        (["step", "mine", "x"], "expected one of rule, attack"),
        (["rule", "Mine", "x"], "expected small letters"),
        (["rule", "mine__", "x"], "expected small letters"),
        (["attack", "class", "x"], "expected small letters"),
        *(([kind, name, "x"], "expected small letters") for kind in FILES for name in HOSTILE),
        (["rule", "-mine", "x"], "expected rule|attack, a name, DIR"),
        *((["rule", name, "x"], "expected a name without another") for name in AMBIGUOUS),
        (["rule", "median", "x"], "expected a name that no rule of this project has"),
        (["attack", "alie", "x"], "expected a name that no attack of this project has"),
    ],
)
def test_wrong_words_are_refused(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert wardround("new", *words) == 2
    assert expected in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_its_help_names_its_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert wardround("new", "--help") == 0
    printed = capsys.readouterr().out
    assert all(f"wardround new {kind} NAME DIR" in printed for kind in new.FILES)


def test_the_commands_that_it_prints_do_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = f"{tmp_path}/it's; touch $(id) x"
    assert wardround("new", "rule", "mine", folder) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("  cd ")]
    assert shlex.split(line) == ["cd", folder]
