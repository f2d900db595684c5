"""Progress where standard error is no terminal: few lines, and nothing on standard output."""

from __future__ import annotations

import pytest

from sim.cli import progress


def lines(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    step: float,
    total: int,
    n: int | None = None,
) -> list[str]:
    """What ``n`` steps of ``step`` seconds each print; ``n``: all of them."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress("Comparing", total, "runs") as advance:
        for _ in range(total if n is None else n):
            now[0] += step
            advance()
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_what_is_quick_is_silent(capsys, monkeypatch) -> None:
    assert lines(capsys, monkeypatch, 0.01, 100) == []


def test_there_is_one_line_every_few_seconds_and_one_for_the_end(capsys, monkeypatch) -> None:
    found = lines(capsys, monkeypatch, 1.0, 12)
    assert found == [
        "Comparing: 5 of 12 runs, 5 s",
        "Comparing: 10 of 12 runs, 10 s",
        "Comparing: 12 of 12 runs, 12 s",
    ]


def test_many_quick_steps_print_no_more_lines_than_time_has_room_for(capsys, monkeypatch) -> None:
    found = lines(capsys, monkeypatch, 0.01, 2000)
    assert 3 <= len(found) <= 2000 * 0.01 / progress.EVERY + 1
    assert found[-1].startswith("Comparing: 2000 of 2000 runs")


def test_an_interrupted_command_has_stated_how_far_it_came(capsys, monkeypatch) -> None:
    assert lines(capsys, monkeypatch, 3.0, 10, n=3) == ["Comparing: 2 of 10 runs, 6 s"]
