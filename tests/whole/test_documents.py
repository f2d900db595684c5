"""The documents are true: their example runs, and their commands, files and names are there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sim import plugins
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.kinds import KINDS
from sim.study.run import ATTACK_FREE, STANDARD, run
from tests import ROOT
from tests.documented import PAGES, files, of_program, written
from tests.federation import experiment

# one process makes what all tests of this file look at
pytestmark = pytest.mark.xdist_group("documents")

GUIDE = ROOT / "CONTRIBUTING.md"
SMALL = ("consortium=heart12", "model=logistic", "training.rounds=2")
CODE = ("sim", "clients", "aggregators", "attacks", "threats", "reports", "benchmarks")
NUMBERS = {10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen"}
FOLDERS = tuple(f"{name}/" for name in (*CODE, "conf", "tests", "docs", ".ci"))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


PROGRAM = """
import json, sys
from reports import page
from sim.cli.command import main
page.drawings = lambda *_, **__: iter(())  # which no test looks at
print(json.dumps([main(words) for words in json.loads(sys.argv[1])]), file=sys.stderr)
"""


@dataclass(frozen=True)
class Called:
    """A process that has ended in the folder of the guide's example: what it printed, and the exit
    codes of its commands.
    """

    folder: Path
    out: str
    err: str
    codes: list[int]


def called(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python, called with these words as a reader of the guide calls it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([".", str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the guide's example, as its reader has it."""
    made = tmp_path_factory.mktemp("reader")
    for path, text in files(GUIDE).items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def commanded(folder: Path) -> Called:
    """The commands of the guide's example on a small design, one after the other, and its run with
    the default adversary.
    """
    lines = [line for line in of_program(GUIDE) if "plugins=[my_package]" in line]
    assert [line[0] for line in lines] == ["explain", "run", "compare"]
    more = {
        "explain": (),
        "run": ("hydra.run.dir=ran",),
        "compare": ("hydra.run.dir=compared", "seeds=1", "workers=1"),
    }
    asked = [[*line, *SMALL, *more[line[0]]] for line in lines]
    default = [
        *(word for word in lines[1] if "n_hostile" not in word),
        *SMALL,
        "hydra.run.dir=refused",
    ]
    done = called(folder, "-c", PROGRAM, json.dumps([*asked, default]))
    *err, codes = done.stderr.splitlines()
    return Called(folder, done.stdout, "\n".join(err), json.loads(codes))


# --- the example of the guide


def test_the_example_is_a_plugin_its_configuration_and_its_test() -> None:
    assert set(files(GUIDE)) == {
        "my_package/__init__.py",
        "my_package/trimean.py",
        "mine/aggregator/trimean.yaml",
        "mine/defense/trimean.yaml",
        "test_trimean.py",
    }


def test_the_tests_of_the_example_pass(folder: Path) -> None:
    done = called(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_trimean.py")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_the_commands_of_the_example_run_it(commanded: Called) -> None:
    assert commanded.codes[:3] == [0, 0, 0], commanded.err
    record = json.loads((commanded.folder / "ran/evidence.jsonl").read_text())
    assert record["defense"] == "trimean"
    assert record["config"]["aggregator"] == {
        "_target_": "my_package.trimean.Trimean",
        "n_hostile": 2,
    }
    assert re.fullmatch("[0-9a-f]{16}", record["config"]["plugins"]["my_package"])
    lines = (commanded.folder / "compared/evidence.jsonl").read_text().splitlines()
    assert {json.loads(line)["defense"] for line in lines} == {"none", "median", "trimean"}


def test_the_rule_of_the_example_is_refused_where_the_guide_states_it(commanded: Called) -> None:
    assert commanded.codes[3] == 2
    (line,) = [line for line in commanded.err.splitlines() if line.startswith("wardround: ")]
    assert "n_rows=12, n_hostile=3: Trimean needs n_rows >= 4*n_hostile + 1 = 13" in line
    assert not (commanded.folder / "refused").exists()


class Seen:
    """An observer of what the aggregator saw and made of it."""

    rounds: list[Round] = []  # noqa: RUF012  of the one run, for the test

    def __init__(self, subject: Subject) -> None:
        self.state = subject

    def start(self, weights: Weights) -> None:
        self.rounds.clear()

    def round(self, seen: Round) -> None:
        self.rounds.append(seen)

    def findings(self, ended: Ended) -> Findings:
        return Findings()


def test_the_aggregates_of_the_example_are_those_of_numpy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(plugins.CHOSEN, "my_package")
    plugins.source_hash.cache_clear()
    node = (
        "aggregator._target_=my_package.trimean.Trimean",
        "~aggregator.weighting",
        "+aggregator.n_hostile=2",
    )
    run(experiment(*SMALL, "plugins=[my_package]", *node, "attack=[sign_flip]"), observers=[Seen])
    assert [seen.number for seen in Seen.rounds] == [1, 2]
    for seen in Seen.rounds:
        view, aggregate = seen.aggregated.view, seen.aggregated.aggregate
        assert view is not None
        assert aggregate is not None
        low, high = (
            np.quantile(view.rows.astype(np.float64), share, axis=0) for share in (0.25, 0.75)
        )
        np.testing.assert_allclose(
            aggregate, (low + 2 * np.median(view.rows, axis=0) + high) / 4, rtol=1e-6, atol=1e-9
        )
    plugins.source_hash.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


# --- names, files and commands of all pages


def tokens(page: Path) -> list[str]:
    """What a page shows as code within its lines."""
    prose = re.sub(r"(?m)^    .*$", "", page.read_text(encoding="utf-8"))
    return re.findall(r"`([^`\n]+)`", prose)


@each_page
def test_every_file_and_folder_that_a_page_names_is_there(page: Path) -> None:
    shown = [token.partition(":")[0] for token in tokens(page)]
    named = [path for path in shown if re.fullmatch(r"[\w./-]+", path) and path.startswith(FOLDERS)]
    named += [path for path in shown if re.fullmatch(r"[\w-]+\.(md|toml)|constraints\.txt", path)]
    fixed = [re.sub(r"/(NAME|KIND)\b.*", "", path) for path in named]
    own = written(page)
    assert [path for path in fixed if path not in own and not (ROOT / path).exists()] == []


@each_page
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_listed_once_by_the_index_of_the_site_or_of_a_folder() -> None:
    listed = Counter[Path]()
    for index in (ROOT / "docs").rglob("index.md"):
        links = re.findall(r"(?m)^- \[[^\]]+\]\(([^)#]+\.md)\)", index.read_text(encoding="utf-8"))
        listed.update((index.parent / link).resolve() for link in links)
    pages = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    assert listed == Counter(pages - {ROOT / "README.md", ROOT / "docs/index.md"})


@each_page
def test_every_object_that_a_page_names_is_there(page: Path) -> None:
    dotted = [token.removeprefix("python -m ") for token in tokens(page)]
    named = [name for name in dotted if re.fullmatch(rf"({'|'.join(CODE)})(\.\w+)+", name)]
    assert [name for name in named if not _is_there(name)] == []


@each_page
def test_every_target_of_make_is_there(page: Path) -> None:
    known = re.findall(r"(?m)^(\w+):.*##", (ROOT / "Makefile").read_text())
    lines = re.findall(
        r"(?m)^    (?:\w+=\S+ )?make ([a-z ]+?)(?:  .*)?$", page.read_text(encoding="utf-8")
    )
    words = [word for line in lines for word in line.split()]
    words += re.findall(r"`make (\w+)`", page.read_text(encoding="utf-8"))
    assert set(words) <= set(known)


def test_the_guide_names_every_folder_of_the_simulator_and_every_kind_of_attack() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    table, _, needs = text.partition("## What a plug-in's class needs")
    folders = [path.parent.name for path in (ROOT / "sim").glob("*/__init__.py")]
    assert [name for name in folders if f"`sim/{name}/`" not in table] == []
    kinds = {kind.folder for kind in KINDS if kind.group == "attack"}
    assert {
        name for name in kinds if f"`{name}/`" not in table or f"`{name}`" not in needs
    } == set()


def test_the_guide_states_which_forms_have_a_data_sheet() -> None:
    without = {kind.name for kind in KINDS if "about" not in _members(kind.form)}
    assert without == {"data set", "model", "tracking"}
    assert "`about` is part of all forms but those of data sets, models and tracking" in (
        GUIDE.read_text(encoding="utf-8")
    )


def test_the_page_names_every_observer_of_a_run() -> None:
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    text = page.partition("## Observers")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", text))
    assert {kind.__name__ for kind in (*STANDARD, *ATTACK_FREE)} <= named
    assert f"Every run has {NUMBERS[len(STANDARD)]}:" in text


def _members(form: type) -> set[str]:
    return {name for part in form.__mro__ for name in vars(part).get("__annotations__", {})}


def _is_there(name: str) -> bool:
    """Whether a module, or an object in one, has this dotted name."""
    holder, _, attribute = name.rpartition(".")
    if find_spec(holder) is None:
        return False
    module = import_module(holder)
    return hasattr(module, attribute) or (
        hasattr(module, "__path__") and find_spec(name) is not None
    )
