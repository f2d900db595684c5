"""Calls that another process does are done in order, and fail as if they were done here."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.errors import InputError, RefusedError
from sim.study import processes
from sim.study.aside import aside


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line} {os.getpid()}\n")
    if line == "wrong":
        raise InputError("a key", line, "expected another line")
    if line == "gone":
        os._exit(1)


def lines(path: Path) -> list[tuple[str, bool]]:
    """Each line, and whether this process wrote it."""
    found = [line.split() for line in path.read_text().splitlines()]
    return [(line, int(number) == os.getpid()) for line, number in found]


@pytest.fixture
def warm() -> Iterator[None]:
    with processes.lent():
        processes.warm_up()
        yield


@pytest.mark.usefixtures("warm")
def test_another_process_does_the_calls_in_order_before_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with aside(note) as noted:
        noted(path, "first")
        noted(path, line="second")
    assert lines(path) == [("first", False), ("second", False)]
    assert multiprocessing.active_children() == []


def test_without_a_process_to_fork_from_the_calls_are_done_here(tmp_path: Path) -> None:
    processes.stop()
    with aside(note) as noted:
        noted(tmp_path / "lines", "first")
    assert lines(tmp_path / "lines") == [("first", True)]


@pytest.mark.usefixtures("warm")
def test_what_a_call_raises_is_raised_when_the_block_ends_and_later_calls_are_not_done(
    tmp_path: Path,
) -> None:
    def block() -> None:
        with aside(note) as noted:
            for line in ("first", "wrong", "third"):
                noted(tmp_path / "lines", line)

    with pytest.raises(InputError, match="a key=wrong: expected another line"):
        block()
    assert [line for line, _ in lines(tmp_path / "lines")] == ["first", "wrong"]


@pytest.mark.usefixtures("warm")
def test_a_process_that_is_ended_from_outside_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="ended from outside"), aside(note) as noted:
        noted(tmp_path / "lines", "gone")
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("warm")
def test_what_the_block_raises_is_raised_and_ends_the_process(tmp_path: Path) -> None:
    def block() -> None:
        with aside(note) as noted:
            noted(tmp_path / "lines", "first")
            raise EOFError("of the block")

    with pytest.raises(EOFError, match="of the block"):
        block()
    assert multiprocessing.active_children() == []
