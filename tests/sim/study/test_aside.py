"""Calls that two processes share are each done once, answered in order, and fail as done here."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sim.errors import InputError, RefusedError
from sim.study import processes
from sim.study.aside import aside


def note(path: Path, line: str) -> str:
    with path.open("a") as file:
        file.write(f"{line} {os.getpid()}\n")
    if line == "wrong":
        raise InputError("a key", line, "expected another line")
    if line == "gone":
        os._exit(1)
    while line == "waits" and len(path.read_text().splitlines()) < 2:
        time.sleep(0.01)
    return line.upper()


def lines(path: Path) -> dict[str, bool]:
    """Whether this process wrote each line."""
    found = [line.split() for line in path.read_text().splitlines()]
    assert len({line for line, _ in found}) == len(found)
    return {line: int(number) == os.getpid() for line, number in found}


@pytest.fixture(scope="module")
def lent() -> Iterator[None]:
    with processes.lent():
        yield


@pytest.fixture
def warm(lent: None) -> None:  # noqa: ARG001
    processes.warm_up()


@pytest.mark.usefixtures("warm")
def test_another_process_begins_with_the_first_call_and_this_one_with_the_last(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lines"
    with aside(note) as noted:
        noted.ask(path, "waits")
        noted.ask(path, line="last")
        assert noted.answers() == ["WAITS", "LAST"]
    assert lines(path) == {"waits": False, "last": True}
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("warm")
def test_the_other_process_is_prepared_before_its_first_call(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with aside(note, partial(note, path, "prepared")) as noted:
        noted.ask(path, "waits")  # for a second line
        assert noted.answers() == ["WAITS"]
    assert lines(path) == {"prepared": False, "waits": False}


@pytest.mark.usefixtures("warm")
def test_every_call_is_done_once_and_answered_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    words = [f"call{i}" for i in range(30)]
    with aside(note) as noted:
        for word in words:
            noted.ask(path, word)
        assert noted.answers() == [word.upper() for word in words]
    assert lines(path).keys() == {*words}


def test_without_a_process_to_fork_from_the_calls_are_done_here(tmp_path: Path) -> None:
    processes.stop()
    with aside(note) as noted:
        noted.ask(tmp_path / "lines", "first")
        assert noted.answers() == ["FIRST"]
    assert lines(tmp_path / "lines") == {"first": True}


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("words", [("wrong", "last"), ("waits", "wrong")])
def test_what_a_call_raises_is_raised_whoever_does_it(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    def block() -> None:
        with aside(note) as noted:
            for word in words:
                noted.ask(tmp_path / "lines", word)
            noted.answers()

    with pytest.raises(InputError, match="a key=wrong: expected another line"):
        block()
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("warm")
def test_a_process_that_is_ended_from_outside_is_reported(tmp_path: Path) -> None:
    with aside(note) as noted:
        noted.ask(tmp_path / "lines", "gone")
        with pytest.raises(RefusedError, match="ended from outside"):
            noted.answers()
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("warm")
def test_what_the_block_raises_is_raised_and_ends_the_process(tmp_path: Path) -> None:
    def block() -> None:
        with aside(note) as noted:
            noted.ask(tmp_path / "lines", "first")
            raise EOFError("of the block")

    with pytest.raises(EOFError, match="of the block"):
        block()
    assert multiprocessing.active_children() == []
