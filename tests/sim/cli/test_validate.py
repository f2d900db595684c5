"""``wardround validate``: exit codes for pipelines, a folder like that of compare, and a search."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.cli.main import VALIDATE_USAGE
from tests import designs
from tests.commands import ALONE, wardround
from tests.designs import criterion
from threats import changes

Made = dict[str, Any]
Validated = Callable[..., int]
PRIVATE = {"dp.max_grad_norm": 1.0}


@pytest.fixture
def validated(tmp_path: Path) -> Validated:
    """The exit code of the command for a small design with these changes, in the folder ``out``."""

    def run(*words: str, **changed: Any) -> int:
        path = designs.write(tmp_path, **changed)
        where = f"hydra.run.dir={tmp_path / 'out'}"
        return wardround("validate", f"consortium={path}", ALONE, where, *words)

    return run


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of the runs is not written, which takes longer than the runs."""

    def written(folder: Path, *_: object, **__: object) -> Path:
        return folder / "report" / "index.html"

    monkeypatch.setattr("reports.page.write_report", written)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of the verdict has no figures."""
    monkeypatch.setattr("reports.validation.makers", lambda _: iter(()))


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "out" / name).read_text(encoding="utf-8"))


def test_a_design_that_meets_its_criteria_exits_with_0_and_leaves_all_files(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert validated() == 0
    out = capfd.readouterr().out
    assert "meets its criteria" in " ".join(out.split())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "claims.jsonl", "config.yaml", "design.json", "evidence.jsonl", "exports", "manifest.json",
        "register.csv", "register.json", "report", "results.csv", "rounds.parquet", "verdict.json",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "out" / "exports").iterdir()} == {
        "assessment-results.oscal.json", "bom.cdx.json", "results.sarif",
    }  # fmt: skip
    assert read(tmp_path, "verdict.json")["outcome"] == "met"
    assert read(tmp_path, "manifest.json")["command"].startswith("wardround validate consortium=")
    evidence = (tmp_path / "out" / "evidence.jsonl").read_text().splitlines()
    assert len(evidence) == 12  # label_flip and none, on two stacks, with three seeds


@pytest.mark.usefixtures("no_page", "no_figures")
def test_a_criterion_that_is_not_met_exits_with_1(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [criterion(), criterion(id="best", at_least=0.9999)]
    assert validated(acceptance=asked) == 1
    assert read(tmp_path, "verdict.json")["outcome"] == "not_met"
    out = " ".join(capfd.readouterr().out.split())
    assert "best not met" in out
    assert "search.minutes=5 looks for" in out
    order = ("The answer 1. ", "does not meet its criteria", "Why ", "Next ", "Report: ")
    assert [out.index(title) for title in order] == sorted(map(out.index, order))


def test_a_metric_that_no_run_has_is_not_decided_and_has_no_figure(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [criterion(), criterion(id="spent", metric="epsilon", at_least=None, at_most=1)]
    assert validated(acceptance=asked) == 1
    (one,) = [one for one in read(tmp_path, "verdict.json")["criteria"] if one["id"] == "spent"]
    assert one["outcome"] == "inconclusive"
    (tried,) = one["tried"]
    assert (tried["figure"], tried["upper"]) == (None, None)
    assert "no seed has a figure of privacy spent" in tried["text"]
    assert "0 seeds with a figure, 3 needed" in " ".join(capfd.readouterr().out.split())
    page = (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
    assert "inf" not in re.findall(r"[a-z]+", page.split("<body")[1])
    assert wardround("report", str(tmp_path / "out")) == 0


@pytest.mark.usefixtures("no_page", "no_figures")
def test_what_is_not_decided_exits_with_1(validated: Validated, tmp_path: Path) -> None:
    assert validated("seeds=1", acceptance=[criterion(min_seeds=5)]) == 1
    assert read(tmp_path, "verdict.json")["outcome"] == "inconclusive"


def test_a_stack_that_contradicts_itself_exits_with_2_and_names_what_would_work(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stacks = [{"id": "robust", "defense": "secagg+krum"}]
    assert validated(stacks=stacks) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "what would work: krum without secagg or secagg without krum" in err
    assert not (tmp_path / "out").exists()


def test_a_criterion_beyond_the_powers_is_refused_before_anything_runs(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert validated(acceptance=[criterion(threat="THR-BYZ")]) == 2
    err = capfd.readouterr().err
    assert "acceptance[0].adversary=hostile: " in err
    assert "design.yaml:" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_page", "no_figures")
def test_a_repeated_command_runs_nothing_again(validated: Validated, tmp_path: Path) -> None:
    assert validated() == 0
    evidence = (tmp_path / "out" / "evidence.jsonl").read_bytes()
    verdict = (tmp_path / "out" / "verdict.json").read_bytes()
    assert validated() == 0
    assert (tmp_path / "out" / "evidence.jsonl").read_bytes() == evidence
    assert (tmp_path / "out" / "verdict.json").read_bytes() == verdict


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("few_presets", "no_page")
def test_a_report_rebuilds_what_follows_from_a_verdict_byte_for_byte(
    validated: Validated, tmp_path: Path
) -> None:
    validated("search.minutes=5", "seeds=1")
    assert found(tmp_path)["changes"]
    before = contents(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "exports")
    shutil.rmtree(tmp_path / "out" / "report")
    for name in ("register.csv", "results.csv", "rounds.parquet"):
        (tmp_path / "out" / name).unlink()
    assert wardround("report", str(tmp_path / "out")) == 0
    assert contents(tmp_path / "out") == before


@pytest.mark.usefixtures("no_page", "no_figures")
@pytest.mark.parametrize("dropped", ["a run", "a seed"])
def test_evidence_without_a_run_or_a_seed_is_refused_and_nothing_is_rebuilt(
    dropped: str, validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    validated("seeds=2")
    path = tmp_path / "out" / "evidence.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    seeds = [json.loads(line)["seed"] for line in lines]
    out = {0} if dropped == "a run" else {n for n, seed in enumerate(seeds) if seed == 1}
    assert 0 < len(out) < len(lines)
    path.write_bytes(b"".join(line for n, line in enumerate(lines) if n not in out))
    before = contents(tmp_path / "out")
    assert wardround("report", str(tmp_path / "out")) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert (
        ("chain does not hold" in error)
        or ("lines were left out" in error)
        or ("it is another" in error)
    )
    assert contents(tmp_path / "out") == before


@pytest.mark.usefixtures("no_page", "no_figures")
def test_a_folder_of_another_design_is_refused_and_left_as_it_is(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert validated() == 0
    before = contents(tmp_path / "out")
    assert validated(acceptance=[criterion(at_least=0.4)]) == 2
    assert "holds runs of another design" in capfd.readouterr().err
    assert contents(tmp_path / "out") == before


def test_a_plan_states_runs_and_what_is_not_tested_and_writes_nothing(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert validated("--plan") == 0
    out = " ".join(capfd.readouterr().out.split())
    assert "12 runs: 1 attack and none, on undefended and robust, 3 seeds; about" in out
    assert "Not tested" in out
    assert "Does not apply" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_page", "no_figures")
@pytest.mark.parametrize(("words", "seeds"), [((), {7, 8, 9}), (("seeds=1",), {7})])
def test_seeds_begin_where_the_design_states(
    words: tuple[str, ...], seeds: set[int], validated: Validated, tmp_path: Path
) -> None:
    validated(*words, trial={"seeds": 3, "first_seed": 7})
    lines = (tmp_path / "out" / "evidence.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["seed"] for line in lines} == seeds


@pytest.mark.usefixtures("no_page", "no_figures")
def test_a_metric_that_no_run_has_is_not_decided(validated: Validated, tmp_path: Path) -> None:
    """No figure is made up, and a bound that is not there is no number."""
    spends = criterion(id="spends", metric="epsilon", at_least=None, at_most=4.0)
    rate = {"metric": "reconstruction_rate", "over": "rate", "at_least": None, "at_most": 0.1}
    asked = [spends, criterion(**rate, id="reads", min_trials=10)]
    assert validated("search.minutes=0.05", "seeds=1", acceptance=asked) == 1
    for one in read(tmp_path, "verdict.json")["criteria"]:
        assert one["outcome"] == "inconclusive"
        (tried,) = one["tried"]
        assert (tried["figure"], tried["lower"], tried["upper"]) == (None, None, None)
    assert wardround("report", str(tmp_path / "out")) == 0


@pytest.mark.usefixtures("no_page", "no_figures")
def test_a_figure_of_one_seed_has_no_bound(validated: Validated, tmp_path: Path) -> None:
    stacks = [{"id": "robust", "defense": "dp_record", "values": PRIVATE}]
    spends = criterion(metric="epsilon", at_least=None, at_most=8.0)
    assert validated("seeds=1", "training.rounds=2", stacks=stacks, acceptance=[spends]) == 1
    ((tried,),) = [one["tried"] for one in read(tmp_path, "verdict.json")["criteria"]]
    assert tried["figure"] == pytest.approx(8.0, rel=0.05)
    assert tried["upper"] is None
    assert wardround("report", str(tmp_path / "out")) == 0


@pytest.mark.usefixtures("no_page", "no_figures")
def test_json_prints_the_verdict_alone(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert validated("--json") == 0
    assert json.loads(capfd.readouterr().out) == read(tmp_path, "verdict.json")


@pytest.mark.usefixtures("no_page", "no_figures")
def test_minutes_of_the_design_end_runs_between_seeds_and_the_next_call_goes_on(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = {"trial": {"seeds": 3, "budget_minutes": 1e-9}}
    assert validated(**short) == 1
    assert "8 runs are left" in " ".join(capfd.readouterr().out.split())
    assert read(tmp_path, "verdict.json")["outcome"] == "inconclusive"
    assert validated(**short) == 1  # two of three seeds
    assert validated(**short) == 0


WRONG = {
    "validate": "consortium=nothing: expected consortium=DESIGN",
    "validate consortium=heart4": "consortium=heart4: expected a design: a file that ends in .yaml",
    "validate consortium=/nowhere/a.yaml": "design=/nowhere/a.yaml: expected a regular file",
    "validate consortium=heart4_open -m": "flags=consortium=heart4_open -m: expected no -m",
    "validate consortium=heart4_open consortium=heart4_open": "expected one consortium=DESIGN",
    "validate consortium=heart4_open defense=krum": "defense=krum: expected it in the design",
    "validate consortium=heart4_open attacks=[alie]": "attacks=[alie]: expected it in the design",
    "validate consortium=heart4_open training=default": "training=default: expected it in the",
    "validate consortium=heart4_open dp.delta=1": "dp.delta=1: expected it in the design",
    "validate consortium=heart4_open training.rounds=x": "federation.training.rounds=x: expected",
    "validate consortium=heart4_open search.minutes=x": "minutes=x: expected a number",
    "validate consortium=heart4_open search.minutes=-1": "minutes=-1: expected a number",
    "validate consortium=heart4_open search=5": "search=5: expected search.minutes=NUMBER",
    "validate consortium=heart4_open search=null": "search=None: expected search.minutes=NUMBER",
    "validate consortium=heart4_open seeds=0": "seeds=0: expected how many",
    "validate consortium=heart4_open workers=0": "workers=0: expected auto or",
    "validate consortium=heart4_open --nope": "flags=--nope: unrecognized",
    "validate consortium=heart4_open training.lr=${oc.env:HOME}": "expected no resolver",
    "validate consortium=heart4_open hydra.job.name=x": "hydra.job.name=x: not offered",
}


@pytest.mark.parametrize(("words", "line"), WRONG.items(), ids=WRONG)
def test_wrong_words_are_one_line_and_nothing_is_written(
    words: str,
    line: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert wardround(*words.split()) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert line in err
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_words_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert wardround("validate", "--help") == 0
    assert capfd.readouterr().out == VALIDATE_USAGE


def test_its_configuration_can_be_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert wardround("validate", "consortium=heart4_open", "--cfg", "job") == 0
    assert "rounds: 15" in capfd.readouterr().out


# The known smallest change: a stack of the design, one number, one rule, and none


@pytest.fixture
def few_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three presets and one factor in place of all, so that a search takes seconds."""
    known = changes.options
    few = ("none", "median", "trimmed_mean")
    monkeypatch.setattr(
        changes, "options", lambda group: few if group == "defense" else known(group)
    )
    monkeypatch.setattr(changes, "FACTORS", (0.5,))


def found(folder: Path) -> Made:
    made: Made = read(folder, "search.json")
    return made


@pytest.mark.usefixtures("few_presets", "no_page", "no_figures")
def test_a_stack_that_the_design_has_already_is_the_smallest_change(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spends = criterion(metric="epsilon", at_least=None, at_most=4.0)
    stacks = [
        {"id": id_, "defense": "dp_record", "values": PRIVATE | {"dp.target_epsilon": epsilon}}
        for id_, epsilon in (("private", 8.0), ("more-private", 2.0))
    ]
    words = ("search.minutes=5", "training.rounds=2")
    code = validated(*words, stacks=stacks, declared="private", acceptance=[spends])
    assert code == 1
    assert found(tmp_path)["smallest"] == ["declare the stack more-private"]
    assert "declare the stack more-private (nothing in code): meets" in " ".join(
        capfd.readouterr().out.split()
    )


@pytest.mark.usefixtures("few_presets", "no_page", "no_figures")
def test_a_number_is_the_smallest_change_where_epsilon_is_too_large(
    validated: Validated, tmp_path: Path
) -> None:
    spends = criterion(metric="epsilon", at_least=None, at_most=4.0)
    stacks = [
        {"id": "robust", "defense": "dp_record", "values": PRIVATE | {"dp.target_epsilon": 8.0}}
    ]
    words = ("search.minutes=5", "training.rounds=2")
    assert validated(*words, stacks=stacks, acceptance=[spends]) == 1
    made = found(tmp_path)
    assert made["complete"]
    assert made["smallest"] == ["dp.target_epsilon=4"]
    costs = {one["cost"] for one in made["changes"] if one["state"] != "untried"}
    assert costs == {"one number"}


@pytest.mark.usefixtures("few_presets", "no_page", "no_figures")
def test_a_rule_is_the_smallest_change_where_one_hospital_outweighs_all_others(
    validated: Validated, tmp_path: Path
) -> None:
    asked = [criterion(threat="THR-BYZ", at_least=None, loss_at_most=0.08)]
    powers = ["modify_update"]
    code = validated(
        "search.minutes=5", stacks=[], declared="undefended", powers=powers, acceptance=asked
    )
    assert code == 1
    assert set(found(tmp_path)["smallest"]) == {"the rule median", "the rule trimmed_mean"}


@pytest.mark.usefixtures("few_presets", "no_page", "no_figures")
def test_where_no_change_helps_none_is_found_and_the_criterion_is_named(
    validated: Validated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [criterion(), criterion(id="perfect", at_least=0.99999)]
    assert validated("search.minutes=5", acceptance=asked) == 1
    made = found(tmp_path)
    assert (made["smallest"], made["in_the_way"], made["complete"]) == ([], ["perfect"], True)
    out = " ".join(capfd.readouterr().out.split())
    assert "No change was found that meets all criteria. - In the way: perfect, which no" in out
