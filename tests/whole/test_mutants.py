"""The mutation tool: a fixed sample, a fair choice of tests, and an honest count."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

try:
    from tests.mutants import __main__ as command
    from tests.mutants import changes, forking, recording
except ModuleNotFoundError as error:
    if error.name not in ("cosmic_ray", "coverage"):
        raise
    pytest.skip("Cosmic Ray is not installed: make mutants", allow_module_level=True)

ROOT = Path(__file__).parents[2]
CODE = '''"""A package of one function for each thing that can become of a mutant."""

from __future__ import annotations

LIMIT = 3


def checked(a: int | None, b: int) -> int:
    return (a or 0) + b


def only_run(a: int, b: int) -> int:
    return a * b


def counted(n: int) -> int:
    i = 0
    while i < n:
        i += 1
    return i


def never_run(a: int) -> bool:
    return not a


def below_the_limit(a: int) -> bool:
    return a < LIMIT
'''
TESTS = """import time

import pytest

from aggregators import small


@pytest.fixture(scope="module")
def both():
    return small.checked(1, 1), small.counted(3)


def test_shares_what_a_fixture_computed(both):
    pass


def test_sees_what_a_fixture_computed(both):
    time.sleep(0.05)
    assert both == (2, 3)


def test_only_runs():
    small.only_run(1, 1)


def test_fails_without_any_mutant():
    assert small.checked(1, 1) == small.never_run(2)


def test_fails_so_too():
    assert small.checked(1, 1) == 3


def test_is_below_the_limit():
    assert not small.below_the_limit(3)
"""
CONFTEST = """
def pytest_collection_modifyitems(items):
    items.reverse()
"""
LONG = """import os
import time
from pathlib import Path


def test_long():
    Path(os.environ["STARTED"]).write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project in the layout of ours."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "aggregators").mkdir()
    (folder / "aggregators" / "__init__.py").touch()
    (folder / "aggregators" / "small.py").write_text(CODE)
    shutil.copytree(ROOT / "tests" / "mutants", folder / "tests" / "mutants")
    (folder / "tests" / "__init__.py").touch()
    (folder / "tests" / "test_small.py").write_text(TESTS)
    (folder / "tests" / "conftest.py").write_text(CONFTEST)
    return folder


@pytest.fixture(scope="module")
def recorded(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> recording.Recording:
    folder = tmp_path_factory.mktemp("records")
    recording.record([tree], folder)
    return recording.Recording.read(folder, tree)


def mutant(operator: str, before: str, after: str) -> changes.Mutant:
    """The one mutant of the small project with this change."""
    found = [
        changes.Mutant("aggregators/small.py", place.position[0][0], name, CODE, mutated)
        for place, known in changes.places("aggregators/small.py", CODE).items()
        for name, occurrence in known
        if name == f"core/{operator}"
        for mutated in [changes.mutate_code(CODE, changes.get_operator(name)(), occurrence)]
    ]
    (one,) = (m for m in found if m.change == f"`{before}` → `{after}`")
    return one


def test_the_sample_is_the_same_each_time_and_has_every_packages_share() -> None:
    packages = ("threats", "sim/evidence")
    first, n_places = changes.sample(ROOT, packages, 12, 0)
    again, _ = changes.sample(ROOT, packages, 12, 0)
    other, _ = changes.sample(ROOT, packages, 12, 1)
    assert [(m.path, m.line, m.mutated) for m in first] == [
        (m.path, m.line, m.mutated) for m in again
    ]
    assert [m.change for m in first] != [m.change for m in other]
    counts = [
        sum(
            len(changes.places(str(path), path.read_text()))
            for path in (ROOT / package).rglob("*.py")
        )
        for package in packages
    ]
    assert sum(counts) == n_places
    n_threats = sum(m.path.startswith("threats/") for m in first)
    assert n_threats == pytest.approx(12 * counts[0] / n_places, abs=0.5)


def test_other_lines_of_a_file_do_not_change_the_sample() -> None:
    def whats(source: str) -> list[str]:
        return [place.what for place in changes.places("aggregators/small.py", source)]

    assert whats(CODE.replace("LIMIT", "# more\n\nLIMIT", 1)) == whats(CODE)


def test_code_that_no_run_evaluates_is_not_changed() -> None:
    texts = [place.what for place in changes.places("aggregators/small.py", CODE)]
    assert any("return (a or 0) + b" in text for text in texts)
    assert not any("def checked" in text for text in texts)


def test_every_mutant_of_the_sample_is_python_and_differs_in_one_place() -> None:
    for one in changes.sample(ROOT, ("threats",), 20, 0)[0]:
        compile(one.mutated, one.path, "exec")
        before, after = one.source.split("\n"), one.mutated.split("\n")
        same = sum(line in after for line in before)
        assert len(before) - 3 <= same < len(before) + 1
        assert one.mutated != one.source


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (("NumberReplacer", "LIMIT = 3", "LIMIT = 4"), "killed"),
        (("ReplaceBinaryOperator_Add_Sub", "return (a or 0) + b", "return (a or 0) - b"), "killed"),
        (("ReplaceBinaryOperator_Mul_Div", "return a * b", "return a / b"), "survived"),
        (("ReplaceUnaryOperator_Delete_Not", "return not a", "return a"), "no tests"),
        (("NumberReplacer", "i += 1", "i += 0"), "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_mutant_gets_what_the_tests_make_of_it(
    change: tuple[str, str, str],
    outcome: str,
    tree: Path,
    recorded: recording.Recording,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "PATIENCE", (15.0, 8.0))
    (tried,) = command.try_all([mutant(*change)], recorded, [tree], budget=10)
    assert tried.outcome == outcome
    assert (tree / "aggregators" / "small.py").read_text() == CODE


@pytest.fixture
def forker(tree: Path) -> Iterator[forking.Forker]:
    with closing(forking.Forker(tree, recording.environment(tree))) as one:
        yield one


def test_a_mutant_none_of_whose_recorded_tests_is_left_is_not_killed(
    forker: forking.Forker, recorded: recording.Recording
) -> None:
    outcome, _ = command.run(forker, ["tests/test_small.py::test_of_an_earlier_day"], recorded)
    assert outcome == "no tests"


def test_tests_are_recorded_and_tried_in_the_order_given_whatever_a_conftest_does(
    forker: forking.Forker, recorded: recording.Recording
) -> None:
    in_file = [f"tests/test_small.py::{name}" for name in re.findall(r"def (test_\w+)", TESTS)]
    assert list(recorded.seconds) == [name for name in in_file if "test_fails" not in name]
    fail = [name for name in in_file if "test_fails" in name]
    assert command.run(forker, fail, recorded) == ("killed", fail[0])
    assert command.run(forker, fail[::-1], recorded) == ("killed", fail[1])


@pytest.mark.parametrize("outcome", ["survived", "no tests"])
def test_a_test_that_fails_on_the_unchanged_code_too_has_noticed_nothing(
    outcome: str,
    forker: forking.Forker,
    recorded: recording.Recording,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fails = "tests/test_small.py::test_fails_without_any_mutant"
    others = ["tests/test_small.py::test_only_runs"] if outcome == "survived" else []
    given = replace(recorded, seconds=recorded.seconds | {fails: 0.0})
    monkeypatch.setattr(recording.Recording, "tests", lambda *_: [fails, *others])
    one = mutant("ReplaceBinaryOperator_Mul_Div", "return a * b", "return a / b")
    assert command.attempt(one, given, forker, budget=10).outcome == outcome
    assert f"fails without a mutant: {fails}\n" in capsys.readouterr().out


def test_a_pytest_is_forked_with_libraries_but_without_the_project_and_without_threads(
    tmp_path: Path,
) -> None:
    """Polars, which starts threads, is imported by each of them."""
    words = ["-q", "-p", "tests.mutants.plugin", "--version"]
    with closing(forking.Forker(ROOT, recording.environment(ROOT))) as one:
        assert one.run(words, {}, tmp_path / "output.txt") == 0
        tasks = list(Path(f"/proc/{one.process.pid}/task").iterdir())
        mapped = Path(f"/proc/{one.process.pid}/maps").read_text()
    assert len(tasks) == 1
    assert "libtorch" in mapped


def test_a_pytest_ends_with_the_process_that_asked_for_it(
    tree: Path, forker: forking.Forker, tmp_path: Path
) -> None:
    (tree / "tests" / "test_long.py").write_text(LONG)
    started = tmp_path / "started"
    words, more = ["tests/test_long.py"], {"STARTED": str(started)}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(forker.run, words, more, tmp_path / "output")
        while not started.exists() or not started.read_text():
            time.sleep(0.05)
        forker.close()
        with pytest.raises(RuntimeError, match="the process that forks pytest ended: 0"):
            asked.result()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_tests_are_recorded_in_addition_to_those_that_are(tree: Path, tmp_path: Path) -> None:
    part = tree / "tests" / "part"
    part.mkdir()
    (part / "test_one.py").write_text("def test_one(): pass\n")
    (part / "test_two.py").write_text("def test_two(): pass\n")
    recording.record([tree], tmp_path, ["tests/part/test_one.py"])
    assert list(recording.Recording.read(tmp_path, tree).seconds) == [
        "tests/part/test_one.py::test_one"
    ]
    recording.record([tree], tmp_path, ["tests/part"])
    shutil.rmtree(part)
    assert sorted(recording.Recording.read(tmp_path, tree).seconds) == [
        "tests/part/test_one.py::test_one",
        "tests/part/test_two.py::test_two",
    ]


def test_an_attempt_is_found_again_by_the_changed_code_and_the_last_one_counts(
    tmp_path: Path,
) -> None:
    one = mutant("ReplaceBinaryOperator_Mul_Div", "return a * b", "return a / b")
    other = mutant("ReplaceUnaryOperator_Delete_Not", "return not a", "return a")
    survived = command.Tried(one, "survived", 1.0, "")
    killed = command.Tried(one, "killed", 2.0, "FAILED tests/test_small.py::test_it")
    path = tmp_path / "tried.jsonl"
    assert command.earlier(path, [one]) == {}
    path.write_text(survived.line() + killed.line())
    assert list(command.earlier(path, [other, one]).values()) == [killed]
    assert command.earlier(path, [other]) == {}


def test_a_test_that_fails_without_a_mutant_kills_none(recorded: recording.Recording) -> None:
    assert not any("test_fails" in name for name in recorded.seconds)
    assert len(recorded.seconds) == 4


def test_the_work_is_done_in_parts_and_again_only_where_no_test_killed(
    tree: Path,
    recorded: recording.Recording,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def try_all(mutants: list[changes.Mutant], *_: object) -> Iterator[command.Tried]:
        for one in mutants:
            asked.append(one.change)
            outcome = {2: "survived", 3: "timeout"}.get(len(asked), "killed")
            yield command.Tried(one, outcome, 1.0, "")

    monkeypatch.setattr(command, "ROOT", tree)
    monkeypatch.setattr(command, "MUTATED", ("aggregators",))
    monkeypatch.setattr(command, "LISTED", tmp_path / "mutants.md")
    monkeypatch.setattr(command, "copy", shutil.copytree)
    monkeypatch.setattr(command, "record", lambda *_: None)
    monkeypatch.setattr(command.Recording, "read", lambda *_: recorded)
    monkeypatch.setattr(command, "try_all", try_all)
    words = ["--jobs=1", f"--recording={tmp_path}", "--size"]
    assert command.main([*words, "2"]) == 1
    assert "1 of 2 killed" in capsys.readouterr().out
    assert command.main([*words, "3"]) == 1
    assert len(set(asked)) == len(asked) == 3
    assert "2 of 3 killed" in capsys.readouterr().out
    assert command.main([*words, "3", "--again"]) == 0
    assert asked[3:] == [asked[1]]
    assert "3 of 3 killed" in capsys.readouterr().out


def test_the_tests_that_run_the_statement_come_first_and_then_those_beside_them(
    recorded: recording.Recording,
) -> None:
    one = mutant("NumberReplacer", "return (a or 0) + b", "return (a or 1) + b")
    names = [name.partition("::")[2] for name in recorded.tests(one)]
    assert names[0] == "test_shares_what_a_fixture_computed"
    assert "test_sees_what_a_fixture_computed" in names[1:]


def test_the_chosen_tests_keep_to_the_budget_which_a_shared_fixture_counts_in(
    recorded: recording.Recording,
) -> None:
    seconds = {"a::1": 1.0, "a::2": 4.5, "b::1": 0.1, "c::1": 8.0, "d::1": 100.0}
    given = recording.Recording(
        seconds, {"a": 0.0, "b": 9.0, "c": 0.0, "d": 0.0}, {}, recorded.data, recorded.root
    )
    assert command.chosen(list(seconds), given, budget=30) == (["a::1"], ["a::2", "b::1", "c::1"])
    assert command.chosen(["d::1"], given, budget=30) == ([], ["d::1"])


def test_a_listed_survivor_is_marked_and_still_counts_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = mutant("ReplaceBinaryOperator_Mul_Div", "return a * b", "return a / b")
    survived = command.Tried(one, "survived", 1.0, "")
    killed = command.Tried(one, "killed", 1.0, "FAILED tests/test_small.py::test_it")
    page = tmp_path / "mutants.md"
    monkeypatch.setattr(command, "LISTED", page)
    assert command.show([*[killed] * 9, survived]) == 1
    assert "NOT LISTED  line 13: `aggregators/small.py` `return a * b`" in capsys.readouterr().out
    page.write_text(f"- {survived.text}: equivalent.\n")
    assert command.show([*[killed] * 9, survived]) == 0
    assert "9 of 10 killed: 90.0%." in capsys.readouterr().out
    assert command.show([*[killed] * 8, survived]) == 1
