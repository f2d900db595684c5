"""``sim.api``: the numbers of the command, frames like its tables, and a session left as it was."""

from __future__ import annotations

import csv
import doctest
import gc
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure
from omegaconf import OmegaConf

import sim.api
from sim import evidence
from sim.api import Results, Validated, compare, read, run, together, validate
from sim.errors import InputError
from sim.evidence.tables import RESULT_COLUMNS
from tests import ROOT, designs
from tests.commands import ALONE, FAST, results, wardround
from tests.described import undescribed
from tests.own_data import LINES

CELLS = {"attacks": ["sign_flip"], "defenses": ["median"], "seeds": 1}
SEEDS = 3  # the fewest that decide a mean


def rows(found: Results) -> list[dict[str, str]]:
    """The frame of results as ``results.csv`` has it, times aside."""
    table = [{**row, "seconds": None} for row in found.results.iter_rows(named=True)]
    shown = [{k: "" if v is None else str(v) for k, v in row.items()} for row in table]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in shown]


def global_state() -> dict[str, Any]:
    return {
        "hydra": GlobalHydra.instance().hydra,
        "job": HydraConfig.instance().cfg,
        "store": json.dumps(sorted(ConfigStore.instance().repo)),
        "resolvers": [OmegaConf.has_resolver(name) for name in ("now", "hydra", "mine")],
        "words": list(sys.argv),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "handlers": (list(logging.getLogger().handlers), logging.getLogger().level),
        "threads": torch.get_num_threads(),
        "search": (gc.isenabled(), gc.get_threshold()),
        "random": torch.get_rng_state().tolist(),
    }


def left(folder: Path) -> set[Path]:
    """What is in a folder and below it."""
    return {path.relative_to(folder) for path in folder.rglob("*")}


def test_the_examples_of_the_module_hold() -> None:
    found = doctest.testmod(sim.api)
    assert found.failed == 0
    assert found.attempted >= 5


def test_the_page_on_notebooks_holds() -> None:
    found = doctest.testfile(
        str(ROOT / "docs/notebook.md"), module_relative=False, optionflags=doctest.ELLIPSIS
    )
    assert found.failed == 0
    assert found.attempted >= 8


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_gives_the_numbers_of_the_command(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    found = compare(*FAST, ALONE, folder=ours, **CELLS)
    words = ["attacks=[sign_flip]", "defenses=[median]", "seeds=1"]
    assert wardround("compare", *FAST, ALONE, *words, f"hydra.run.dir={tmp_path / 'its'}") == 0
    assert rows(found) == results(tmp_path / "its") == results(ours)
    assert found.results.columns == list(RESULT_COLUMNS)
    with (ours / "results.csv").open(encoding="utf-8") as file:
        assert found.results.columns == next(csv.reader(file))
    assert left(ours) == left(tmp_path / "its")
    commands = [json.loads((tmp_path / name / "manifest.json").read_text())["command"]
                for name in ("ours", "its")]  # fmt: skip
    assert commands[0] == commands[1]


def test_a_run_gives_the_numbers_of_the_command_and_is_read_back(tmp_path: Path) -> None:
    found = run(*FAST, attack=["alie"], folder=tmp_path / "ours", seed=2)
    where = f"hydra.run.dir={tmp_path / 'its'}"
    assert wardround("run", *FAST, "attack=[alie]", "seed=2", where) == 0
    assert rows(found) == rows(read(tmp_path / "its"))
    rounds = read(tmp_path / "its").rounds
    assert found.rounds.equals(rounds)
    assert rounds.columns == ["run", "round", "hospital", "metric", "value"]
    figures = found.figures()
    assert figures
    assert all(isinstance(figure, Figure) for figure in figures.values())


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_over_rates_and_rules_is_one_frame(tmp_path: Path) -> None:
    rates = (0.01, 0.1)
    found = [
        compare(*FAST, ALONE, {"training.lr": rate}, attacks=["none"],
                defenses=["median", "trimmed_mean"], seeds=2, folder=tmp_path / str(rate))
        for rate in rates
    ]  # fmt: skip
    swept = together(*found)
    runs = swept.frame()
    assert runs.columns[: len(RESULT_COLUMNS[:8])] == list(RESULT_COLUMNS[:8])
    assert runs.columns[8:11] == ["aggregator", "aggregator.n_hostile", "training.lr"]
    assert runs.columns[11:] == list(RESULT_COLUMNS[8:])
    assert runs.schema["training.lr"] == pl.Float64
    assert runs.schema["aggregator.n_hostile"] == pl.Int64
    cells = runs.select("aggregator", "training.lr", "seed").unique().rows()
    rules = ("Mean", "Median", "TrimmedMean")
    assert sorted(cells) == [(a, r, s) for a in rules for r in rates for s in (0, 1)]
    assert runs.filter(aggregator="Mean")["aggregator.n_hostile"].is_null().all()
    assert runs.select(swept.results.columns).equals(swept.results)
    rounds = swept.frame("rounds")
    assert rounds.height == swept.rounds.height
    assert rounds.select(swept.rounds.columns).equals(swept.rounds)
    assert rounds.filter(metric="auroc")["training.lr"].unique().sort().to_list() == list(rates)
    measured = swept.frame("outcomes").filter(metric="auroc", scope="consortium")
    assert measured["value"].to_list() == runs["auroc"].to_list()
    assert read(tmp_path).frame().sort("run").equals(runs.sort("run"))
    assert list(swept.figures()) == ["sweep"]
    assert "differ in training.lr and defense" in str(swept)


def test_every_value_of_a_configuration_has_a_column_of_one_name() -> None:
    found = run(*FAST, attack=["alie"], defense="clip+median")
    assert found.frame().columns == found.results.columns
    whole = found.frame(all=True)
    assert len(set(whole.columns)) == len(whole.columns)
    assert whole["training.rounds"].to_list() == [1]
    assert whole["model"].to_list() == ["Logistic"]
    assert whole["consortium.kind"].to_list() == ["HeartDisease"]
    with pytest.raises(InputError, match="expected one of runs, rounds, outcomes"):
        found.frame("lines")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no runs"):
        together()


def test_without_a_folder_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = run(*FAST)
    assert found.folder is None
    assert len(found.records) == 1
    assert repr(found) == (
        "<Results: 1 runs, attacks=['none'], defenses=['none'], seeds=[0], folder=None>"
    )
    assert "One run: no attack, no defense, seed 0" in found._repr_html_()
    assert list(tmp_path.iterdir()) == []


def test_the_same_call_goes_on_from_its_folder(tmp_path: Path) -> None:
    one = run(*FAST, folder=tmp_path)
    before = (tmp_path / "evidence.jsonl").read_bytes()
    assert run(*FAST, folder=str(tmp_path)).records == one.records
    assert (tmp_path / "evidence.jsonl").read_bytes() == before
    with pytest.raises(InputError, match="holds runs with another"):
        run(*FAST, {"training.lr": 0.3}, folder=tmp_path)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: run({"training.rounds": 0}), ("run", "training.rounds=0")),
        (lambda: run(consortium="heart5"), ("run", "consortium=heart5")),
        (lambda: run("trainin.lr=1"), ("run", "trainin.lr=1")),
        (lambda: run({"training.lr": "fast"}), ("run", "training.lr=fast")),
        (lambda: compare(workers=0), ("compare", "workers=0")),
        (lambda: compare(attacks=["sign"]), ("compare", "attacks=[sign]")),
        (lambda: run(attack=["${oc.env:HOME}"]), ("run", "attack=['${oc.env:HOME}']")),
        (lambda: validate("no/design.yaml"), ("validate", "consortium=no/design.yaml")),
        (lambda: validate("heart4_open", "dp=record"),
         ("validate", "consortium=heart4_open", "dp=record")),
        (lambda: read("no/such/folder"), ("report", str(Path("no/such/folder").absolute()))),
    ],
)  # fmt: skip
def test_wrong_input_raises_the_line_of_the_command(
    call: Callable[[], object], words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as raised:
        call()
    assert capfd.readouterr() == ("", "")
    assert wardround(*words) == 2
    assert capfd.readouterr().err == f"wardround: {raised.value}\n"


@pytest.mark.parametrize(
    ("overrides", "values"),
    [
        (("-m",), {}),
        (("hydra.run.dir=x",), {}),
        ((7,), {}),
        ((), {"seed": object()}),
        (({1: 2},), {}),
        (({"training.lr": float("nan")},), {}),
    ],
)
def test_what_no_word_can_be_is_refused(overrides: Any, values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        run(*overrides, **values)


@pytest.mark.parametrize(
    "value", ["a b", "null", "", "it's", "1e3", "true", 3, 0.5, True, None, ["a", 1], {"k": "v w"}]
)
def test_a_value_is_read_back_as_it_was_given(value: Any) -> None:
    given = sim.api._words(({"key": value},), {})
    with initialize_config_module("conf", version_base="1.3"):
        from hydra.core.override_parser.overrides_parser import OverridesParser

        (one,) = OverridesParser.create().parse_overrides(given)
    assert json.loads(json.dumps(one.value(), default=str)) == value


@pytest.fixture
def _two_threads() -> Iterator[None]:
    """Torch has another number of threads than in a run."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
def test_nothing_global_is_changed_by_a_call_that_ends_or_fails() -> None:
    run(*FAST)  # loads what is loaded once
    with initialize_config_module("conf", version_base="1.3"):
        OmegaConf.register_new_resolver("mine", lambda: 1, replace=True)
        before = global_state()
        compare(*FAST, "defenses=[secagg+clip]", "attacks=[none]", ALONE, seeds=1)
        assert global_state() == before
        with pytest.raises(InputError):
            run("plugins=[no_such_package]")
        with pytest.raises(InputError):
            run(defense="clip+nothing")
        assert global_state() == before
    OmegaConf.clear_resolver("mine")


def test_a_call_reads_data_anew(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    read_as = {"label": "sick", "positive": 1, "partition": "equal", "n_hospitals": 3}
    own = {f"consortium.{key}": value for key, value in read_as.items()}
    own |= {"consortium.path": path, "training.rounds": 1}
    path.write_text(LINES, encoding="utf-8")
    first = run("consortium=csv", "model=logistic", own)
    path.write_text(LINES.replace("20.5", "70.5", 1), encoding="utf-8")
    second = run("consortium=csv", "model=logistic", own)
    assert first.records[0].data_hash != second.records[0].data_hash


def test_calls_of_several_threads_wait_for_one_another() -> None:
    found = dict[int, Results]()

    def call(seed: int) -> None:
        found[seed] = run(*FAST, seed=seed)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed].records[0].seed for seed in range(2)] == [0, 1]
    assert rows(found[1]) == rows(run(*FAST, seed=1))


@pytest.mark.usefixtures("undrawn")
def test_a_design_is_validated_as_by_the_command(tmp_path: Path) -> None:
    path = designs.write(
        tmp_path, trial={"seeds": SEEDS}, acceptance=[designs.criterion(at_least=0.05)]
    )
    found = validate(path, ALONE, folder=tmp_path / "ours")
    assert isinstance(found, Validated)
    code = wardround("validate", f"consortium={path}", ALONE, f"hydra.run.dir={tmp_path / 'its'}")
    its = read(tmp_path / "its")
    assert isinstance(its, Validated)
    assert code == (0 if found.outcome == "met" else 1)
    assert found.outcome == its.outcome == "met"
    assert left(tmp_path / "ours") == left(tmp_path / "its")
    assert Path("report/runs.html") in left(tmp_path / "ours")
    assert undescribed(tmp_path / "its") == []
    assert found.criteria.equals(its.criteria)
    assert found.summary[0] in " ".join(str(found).split())
    assert "<td" in found._repr_html_()
    assert found.criteria["outcome"].to_list() == ["met"]
    assert rows(found) == rows(its)
    with (tmp_path / "its" / "register.csv").open(encoding="utf-8") as file:
        assert found.register.columns == next(csv.reader(file))
    assert found.register["id"].to_list() == its.register["id"].to_list()
    assert found.summary[0] in (tmp_path / "ours" / "verdict.json").read_text(encoding="utf-8")


def test_evidence_that_does_not_hold_is_not_read(tmp_path: Path) -> None:
    run(*FAST, folder=tmp_path)
    path = tmp_path / evidence.EVIDENCE
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1', 1))
    with pytest.raises(InputError, match="the chain does not hold"):
        read(tmp_path)


GUARDED = """
import sys
from pathlib import Path
import torch
from sim.api import compare
slow = {"reports", "matplotlib", "mlflow"} & set(sys.modules)
def main():
    found = compare("consortium=heart4", {"training.rounds": 1}, model="logistic",
                    attacks=["none"], defenses=["median"], seeds=2, workers=2)
    print(found.results.height, sorted(slow))
"""


@pytest.mark.parametrize(
    ("end", "code", "shown"),
    [
        ('if __name__ == "__main__":\n    main()\n', 0, "4 []"),
        ("main()\n", 1, 'expected the call below if __name__ == "__main__"'),
    ],
)
def test_a_script_shares_its_runs_below_the_usual_line(
    tmp_path: Path, end: str, code: int, shown: str
) -> None:
    path = tmp_path / "script.py"
    path.write_text(GUARDED + end, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert shown in done.stdout + done.stderr
