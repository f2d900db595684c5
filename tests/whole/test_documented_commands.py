"""Every command of the documents is one: cheap ones are run, others are composed or planned, and
none is left out.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.images.draw import KINDS
from sim import plugins
from tests import ROOT, own_data
from tests.commands import wardround
from tests.documented import PAGES, Line, blocks, files, lines, written

# one process composes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("documents")

RUN = ("explain", "init", "list", "new")  # commands that compute little, and are run as they stand
COMPOSED = ("run", "compare", "audit")  # composed here, and run small by `make privacy`
SMALL = {
    "run": ("training.rounds=1",),
    "compare": ("training.rounds=1", "seeds=1", "workers=1"),
    "audit": ("training.rounds=1", "seeds=1", "audit.canaries=60"),
}
# commands of which a page states that they end with another code than 0, and why
ENDS = {
    "wardround explain consortium=heart4 defense=krum": 2,  # Krum needs five hospitals
}
# a claim may be refuted, which is no fault of the command
JUDGED = {"audit": (1,)}
# what stands for a reader's own: the commands with it are run on made-up hospitals
OWN = {
    "consortium.path=FOLDER": "consortium.path=hospitals",
    "consortium.label=COLUMN": "consortium.label=Diagnosis",
    "consortium.positive=VALUE": "consortium.positive=M",
}
# what a reader's shell does, and no program of the project
SHELL = (
    r"git clone <this repository> wardround( && cd wardround)?",
    r"cd [\w./-]+",
    r"export PYTHONPATH=\.",
    r"pipx install \. --pip-args=--constraint constraints\.txt",
    r"eval \$\(wardround completion bash\)",
    r"docker build -t wardround \.",
    r"docker run --rm --network none --user \$\(id -u\):\$\(id -g\) -v \$PWD:/work wardround .*",
)
# the flags of other modules that the documents use
FLAGS = {
    "pytest": ("-m", "slow", "-s"),
    "benchmarks": ("--quick",),
    "tests.mutants": tuple(
        re.findall(r'"(--\w+)"', (ROOT / "tests/mutants/__main__.py").read_text(encoding="utf-8"))
    ),
}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_every_block_of_code_is_of_a_kind_that_a_test_reads(page: Path) -> None:
    assert [block.line for block in blocks(page) if not block.kind] == []


def test_the_documents_have_commands() -> None:
    found = [line for page in PAGES for line in lines(page)]
    assert len(found) > 90
    assert {line.words[0] for line in found} >= {"wardround", "make", "python", "git"}


@each_page
def test_every_command_of_another_program_is_known(page: Path) -> None:
    before = list[Line]()
    for line in lines(page):
        if line.words[0] != "wardround":
            assert _is_known(line, before), str(line)
        before.append(line)


def _is_known(line: Line, before: Sequence[Line]) -> bool:
    """Whether a line's program has what it is asked for, given the lines before it."""
    program, *words = line.words
    if program == "make":
        targets = re.findall(r"(?m)^(\w+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"))
        return bool(words) and set(words) <= set(targets)
    if program == "python":
        return _is_python_command(line.page, words, before)
    return any(re.fullmatch(form, " ".join(line.words)) for form in SHELL)


def _is_python_command(page: Path, words: Sequence[str], before: Sequence[Line]) -> bool:
    if words[0] != "-m":
        script, *given = words
        kind = given[:-2]
        drawn = script == "docs/images/draw.py" and len(kind) == 1 and kind[0] in KINDS
        changes = script == "docs/images/draw_changes.py" and not kind
        return (drawn or changes) and _is_written(given[-2], before)
    module, *given = words[1:]
    if module.startswith("reports.analysis."):
        return find_spec(module) is not None and all(_is_written(one, before) for one in given)
    if module == "tests.browser.photograph":
        made = any(line.words == ("make", "demo") for line in before)
        return made and given == ["outputs/demo/report/index.html", "docs/images"]
    flags = FLAGS.get(module)
    if flags is None:
        return False
    named = [one for one in given if one not in flags]
    if module == "benchmarks":
        return all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in named)
    if module == "pytest":
        return all((ROOT / name).is_file() or name in written(page) for name in named)
    values = [name for name in named if name != "DIR" and not name.isdigit()]
    return all((ROOT / name).exists() for name in values)


def _is_written(folder: str, before: Sequence[Line]) -> bool:
    """Whether a command of the page writes its evidence into the folder."""
    given = [word for line in before for word in line.words]
    return any(
        word.startswith((f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}")) for word in given
    )


@pytest.mark.parametrize(
    "words",
    [
        "make tea",
        "make",
        "curl example.org",
        "python -m benchmarks nothing",
        "python -m tests.mutants --frobnicate",
        "python -m tests.browser.photograph outputs/nobody/report/index.html docs/images",
        "python -m pytest tests/none.py",
        "python -m reports.analysis.numbers outputs/nobody",
        "python docs/images/draw.py none outputs/x y.png",
        "python -c pass",
        "cd x && y",
    ],
)
def test_an_unknown_command_is_found(words: str) -> None:
    assert not _is_known(Line(PAGES[0], 1, tuple(shlex.split(words))), [])


@pytest.fixture
def reader(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A reader's folder, with the files that the page shows and seven hospitals of their own."""
    for path, text in files(page).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for folder in ("hospitals", "my-consortium/hospitals"):
        own_data.folder(tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plugins.CHOSEN, "")
    before = set(sys.modules)
    yield
    plugins.source_hash.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith(("my_", "own_")):
            del sys.modules[name]


@each_page
@pytest.mark.usefixtures("reader")
def test_every_command_of_a_page_is_run_or_composed(
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for place, line in enumerate(lines(page)):
        program, *words = line.words
        if program == "cd" and len(words) == 1:
            monkeypatch.chdir(words[0])
        if program == "export":
            monkeypatch.syspath_prepend(Path.cwd())
        if words[:1] == ["report"]:  # it needs evidence, which nothing here makes
            given = [word for word in words[1:] if not word.startswith("-")]
            assert all(_is_written(one, lines(page)[:place]) for one in given), str(line)
        elif program == "wardround":
            code = wardround(*_cheap(words))
            assert code == ENDS.get(shlex.join(line.words), 0), (str(line), capfd.readouterr().err)


@pytest.mark.slow
@each_page
@pytest.mark.usefixtures("reader")
def test_every_command_of_a_page_runs_small(
    page: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one round and with one seed, and the first values of a sweep."""
    for line in lines(page):
        program, *words = line.words
        if program == "cd" and len(words) == 1:
            monkeypatch.chdir(words[0])
        if program == "export":
            monkeypatch.syspath_prepend(Path.cwd())
        if program == "wardround":
            code = wardround(*_small(words))
            printed = capfd.readouterr().err
            expected = (ENDS.get(shlex.join(line.words), 0), *JUDGED.get(words[0], ()))
            without_art = "pip install 'wardround[art]'" in printed and find_spec("art") is None
            assert code in expected or without_art, (str(line), printed)


def _small(words: Sequence[str]) -> list[str]:
    """The words of a command that computes for seconds, and leaves what it leaves."""
    command, *rest = [OWN.get(word, word) for word in words]
    if command == "validate":  # tests/whole/test_newcomer.py goes on to a verdict
        return _cheap(words)
    if "-m" in rest:
        rest = _first_values(rest)
    timed = any(re.search(r"_round=|window=", word) for word in rest)  # it needs its rounds
    small = [word for word in SMALL.get(command, ()) if not (timed and "rounds" in word)]
    return [command, *rest, *small]


def _cheap(words: Sequence[str]) -> list[str]:
    """The words of a command that computes little: those that stand there, or those that compose or
    plan what they would run.
    """
    command, *rest = [OWN.get(word, word) for word in words]
    if command in RUN:
        return [command, *rest]
    if command == "validate":
        return [command, *rest, *(["--plan"] if "--plan" not in rest else [])]
    assert command in COMPOSED, f"no test runs, plans or composes wardround {command}"
    return [command, *_of_one_job(rest), "--cfg", "job"]


def _of_one_job(words: Sequence[str]) -> list[str]:
    """The words of a command, or those of the first job of a sweep."""
    if "-m" not in words:
        return list(words)
    return [word for word in _first_values(words) if word != "-m" and not word.startswith("hydra")]


def _first_values(words: Sequence[str]) -> list[str]:
    return [re.sub(r"^([^=\[]+=[^,\[]+),.*$", r"\1", word) for word in words]
