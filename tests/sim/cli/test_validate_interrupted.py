"""``wardround validate`` that is interrupted or killed goes on from what is stored, to the same
verdict.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim import interrupts
from tests import designs
from tests.commands import wardround
from tests.designs import criterion
from tests.forked import Program
from threats import changes

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("validate interrupted")

FEW = ("none", "median")  # presets that the search tries in place of all
MOST = 3  # changes that it tries of all
PROGRAM = (
    "import sys; from sim.cli import command; from sim.study import search\n"
    "from reports import page, validation; from threats import changes\n"
    "page.write_report = validation.write_validation = lambda folder, *_, **__: folder / 'none'\n"
    "known = changes.options; changes.FACTORS = ()\n"
    f"changes.options = lambda group: {FEW} if group == 'defense' else known(group)\n"
    "every = search.changes\n"
    f"search.changes = lambda *given: every(*given)[:{MOST}]\n"
    "sys.exit(command.main())"
)
OF_A_LINE = ("line", "hash", "bytes")  # which differ, for a line has its seconds


def midway(folder: Path) -> bool:
    """Whether some of the runs are stored, and no verdict."""
    path = folder / "evidence.jsonl"
    return path.exists() and path.stat().st_size > 0 and not (folder / "verdict.json").exists()


def searching(folder: Path) -> bool:
    """Whether some of the runs of the search are stored, and not what it found."""
    found = any(path.stat().st_size for path in folder.glob("search/*/evidence.jsonl"))
    return found and not (folder / "search.json").exists()


def ended(
    words: tuple[str, ...], when: Callable[[], bool], by: signal.Signals, folder: Path
) -> tuple[int, str]:
    """The exit code and standard error of a command that gets a signal once ``when`` is true.

    ``folder``: of a file of the latter.
    """
    program, end = Program(PROGRAM, words, folder), time.monotonic() + 120
    try:
        while not when():
            assert program.poll() is None
            assert time.monotonic() < end
            time.sleep(0.002)
    finally:
        code, error = program.ended(by)
    return code, error


def judged(folder: Path) -> Any:
    """The verdict and what the search found, without what differs in each line of evidence."""
    texts = [(folder / name).read_text() for name in ("verdict.json", "search.json")]
    return [_without(json.loads(re.sub("[0-9a-f]{64}", "a hash", text))) for text in texts]


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(part) for key, part in value.items() if key not in OF_A_LINE}
    return [_without(part) for part in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, ...], Any]:
    """The words of a command, and what it leaves where nobody interrupts it."""
    folder = tmp_path_factory.mktemp("whole")
    asked = [criterion(), criterion(id="best", at_least=0.9999)]
    path = designs.write(folder, acceptance=asked, federation={"training": {"rounds": 15}})
    words = ("validate", f"consortium={path}", "workers=1", "search.minutes=9")
    with pytest.MonkeyPatch.context() as patch:
        few(patch)
        assert wardround(*words, f"hydra.run.dir={folder / 'out'}") == 1
    return words, judged(folder / "out")


def few(patch: pytest.MonkeyPatch) -> None:
    """Few changes to try, and no pages, of which nothing is compared."""
    known = changes.options
    patch.setattr(changes, "options", lambda group: FEW if group == "defense" else known(group))
    patch.setattr(changes, "FACTORS", ())
    every = changes.changes
    patch.setattr("sim.study.search.changes", lambda *given: every(*given)[:MOST])
    for page in ("reports.page.write_report", "reports.validation.write_validation"):
        patch.setattr(page, lambda folder, *_, **__: Path(folder) / "none")


@pytest.mark.parametrize("when", [midway, searching], ids=["in its runs", "in its search"])
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_goes_on_to_the_same_verdict(
    by: signal.Signals,
    when: Callable[[Path], bool],
    whole: tuple[tuple[str, ...], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, expected = whole
    folder = tmp_path / "out"
    words = (*words, f"hydra.run.dir={folder}")
    code, err = ended(words, lambda: when(folder), by, tmp_path)
    if by == signal.SIGINT:
        assert code == interrupts.EXIT
        assert err.splitlines()[-1].endswith("the same command in the same folder goes on from it.")
    else:
        assert code == -signal.SIGKILL
    assert not (folder / "search.json").exists()
    before = (folder / "evidence.jsonl").read_bytes()
    few(monkeypatch)
    assert wardround(*words) == 1
    assert (folder / "evidence.jsonl").read_bytes().startswith(before)
    assert judged(folder) == expected
    assert list(folder.rglob("*.part")) == []
