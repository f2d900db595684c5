"""Evidence survives interruption: what is whole stays, what is not is made up for, what does not
belong is refused.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from benchmarks.commands import gone, started
from sim import evidence
from sim.errors import InputError, RefusedError
from sim.evidence import RESULT_COLUMNS, RunRecord
from sim.study import compare
from sim.study import run as running
from sim.study.experiment import Experiment
from tests import ROOT
from tests.federation import plan
from tests.records import addressed, make_inversion, make_privacy, make_record, with_figures

SMALL = ["consortium=heart4", "training.rounds=2", "model=logistic"]
TIMES = ("seconds",)
Table = list[dict[str, str]]


def table(folder: Path) -> Table:
    """``results.csv`` without the columns that hold times."""
    with (folder / evidence.RESULTS).open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key not in TIMES}
            for row in csv.DictReader(file)
        ]


def small_plan(*more: str) -> list[Experiment]:
    return plan([*SMALL, *more], ["sign_flip"], ["median"], n_seeds=2)


def completed(folder: Path, experiments: Sequence[Experiment]) -> Table:
    folder.mkdir(exist_ok=True)
    evidence.write_tables(folder, compare.complete(experiments, folder, 1, lambda _: None))
    return table(folder)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    completed(folder, small_plan())
    return folder


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that ``compare`` starts from now on."""
    started: list[str] = []
    original: Callable[..., Any] = running.advance

    def advance(experiments: Sequence[Experiment], *rest: Any) -> Iterator[RunRecord]:
        started.extend(f"{e.attack}-{e.label}-{e.settings.seed}" for e in experiments)
        return original(experiments, *rest)

    monkeypatch.setattr(running, "advance", advance)
    return started


# --- reading and writing


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    records = [
        addressed(make_record(seed=1)),
        addressed(make_record(attack="analytic_inversion", inversion=make_inversion(gallery=True))),
        addressed(make_record(defense="dp", privacy=make_privacy())),
        addressed(make_record(hostile=["Krankenhaus \u00dcbersee\u2028Station\n2"])),
    ]
    for record in records:
        evidence.append(tmp_path, record)
    assert sorted(evidence.read(tmp_path), key=lambda r: r.model_dump_json()) == sorted(
        records, key=lambda r: r.model_dump_json()
    )
    assert len((tmp_path / evidence.EVIDENCE).read_bytes().splitlines()) == len(records)


def test_the_order_of_appending_does_not_matter_and_a_run_counts_once(tmp_path: Path) -> None:
    records = [
        addressed(make_record(seed=seed, attack=attack))
        for seed in range(3)
        for attack in ("none", "x")
    ]
    for name, order in (("a", records), ("b", [*records[::-1], records[0]])):
        (tmp_path / name).mkdir()
        for record in order:
            evidence.append(tmp_path / name, record)
    assert evidence.read(tmp_path / "a") == evidence.read(tmp_path / "b")


@pytest.mark.parametrize("left", [1, 100, -1])
def test_a_last_line_that_was_cut_off_is_left_out_and_mended(tmp_path: Path, left: int) -> None:
    first, second = addressed(make_record(seed=0)), addressed(make_record(seed=1))
    evidence.append(tmp_path, first)
    whole = (tmp_path / evidence.EVIDENCE).read_bytes()
    (tmp_path / evidence.EVIDENCE).write_bytes(whole + whole[:left])
    assert evidence.read(tmp_path) == [first]
    evidence.mend(tmp_path)
    assert (tmp_path / evidence.EVIDENCE).read_bytes() == whole
    evidence.append(tmp_path, second)
    assert evidence.read(tmp_path) == [first, second]


def test_mending_leaves_whole_evidence_and_empty_folders_alone(tmp_path: Path) -> None:
    evidence.mend(tmp_path)
    assert list(tmp_path.iterdir()) == []
    evidence.append(tmp_path, addressed(make_record()))
    before = (tmp_path / evidence.EVIDENCE).read_bytes()
    evidence.mend(tmp_path)
    assert (tmp_path / evidence.EVIDENCE).read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        b"{}\n",
        b"not json\n",
        b"\xff\xfe\x00broken\n",
        b"\n",
        b'{"schema_": 3}\n',
        b"null\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=["empty", "text", "bytes", "blank", "wrong type", "null", "deep"],
)
def test_a_damaged_line_is_one_error_with_its_number(tmp_path: Path, damage: bytes) -> None:
    lines = []
    for seed in range(3):
        evidence.append(tmp_path, addressed(make_record(seed=seed)))
        lines = (tmp_path / evidence.EVIDENCE).read_bytes().splitlines(keepends=True)
    lines[1] = damage
    (tmp_path / evidence.EVIDENCE).write_bytes(b"".join(lines))
    with pytest.raises(
        InputError, match=r"evidence\.jsonl:2=.*: not evidence of wardround\.evidence/3: "
    ) as error:
        evidence.read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_evidence_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^folder=.*nowhere.*: expected a folder with evidence\.jsonl"
    ):
        evidence.read(tmp_path / "nowhere")


# --- tables


def test_results_have_the_promised_columns_in_order_and_one_row_a_run(uninterrupted: Path) -> None:
    lines = (uninterrupted / evidence.RESULTS).read_text().splitlines()
    assert tuple(lines[0].split(",")) == RESULT_COLUMNS
    rows = table(uninterrupted)
    expected = {
        (a, d, s) for a in ("none", "sign_flip") for d in ("none", "median") for s in ("0", "1")
    }
    assert {(row["attack"], row["defense"], row["seed"]) for row in rows} == expected
    assert len(rows) == len(expected) == len({row["run"] for row in rows})


def test_results_state_what_the_evidence_states(uninterrupted: Path) -> None:
    records = {record.run: record for record in evidence.read(uninterrupted)}
    for row in table(uninterrupted):
        record = records[row["run"]]
        assert float(row["auroc"]) == record.value("auroc")
        assert float(row["brier"]) == record.value("brier")
        assert row["n_hostile"] == str(len(record.hostile))
        assert row["attack_engaged"] == ("" if record.attack == "none" else "True")
        assert row["epsilon"] == row["reconstruction_rate"] == row["membership_auc"] == ""


def test_rounds_hold_the_curve_of_each_run(uninterrupted: Path) -> None:
    frame = pl.read_parquet(uninterrupted / evidence.ROUNDS)
    assert frame.columns == ["run", "round", "hospital", "metric", "value"]
    last = frame.filter(
        pl.col("round") == 2, pl.col("hospital") == "all", pl.col("metric") == "auroc"
    )
    assert dict(last.select("run", "value").iter_rows()) == pytest.approx(
        {record.run: record.value("auroc") for record in evidence.read(uninterrupted)}, abs=1e-6
    )


def success(*records: RunRecord) -> list[Any]:
    return [row["attack_success"] for row in evidence.results(records)]


def attacked(auroc: float, **changes: Any) -> RunRecord:
    record = make_record(attack="x", figures={"auroc": auroc}, **changes)
    return record.model_copy(
        update={"config": {**record.config, "report": {"material_drop": 0.05}}}
    )


def test_success_of_an_attack_on_the_model_is_a_material_loss_against_its_own_control() -> None:
    control = make_record(figures={"auroc": 0.85}, n_hostile=1)
    assert success(control, attacked(0.79)) == [None, 1.0]
    assert success(control, attacked(0.81)) == [None, 0.0]
    assert success(control, attacked(0.90)) == [None, 0.0]


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"defense": "krum"}, {"n_hostile": 2}, {"consortium": "another"}]
)
def test_success_is_not_stated_without_the_control_of_the_same_seed_defense_and_design(
    other: dict[str, Any],
) -> None:
    control = make_record(**{"figures": {"auroc": 0.85}, "n_hostile": 1, **other})
    assert success(control, attacked(0.5)) == [None, None]


def test_success_of_an_inversion_is_the_share_of_records_recovered() -> None:
    record = make_record(attack="analytic_inversion", inversion=make_inversion(3, 8))
    assert success(record) == [0.375]


def test_what_success_is_a_rate_of_stands_in_its_own_column_beside_false_triggers() -> None:
    mark = (0.9, 0.25, 40)
    records = [
        make_record(),
        attacked(0.5),
        make_record(attack="backdoor", backdoor=mark),
        make_record(attack="analytic_inversion", inversion=make_inversion(3, 8)),
    ]
    found = [
        (row["attack_success"], row["attack_success_kind"], row["false_trigger"])
        for row in evidence.results(records)
    ]
    assert found == [
        (None, None, None),
        (1.0, "material_loss", None),
        (0.9, "backdoor_success", 0.25),
        (0.375, "records_recovered", None),
    ]


def test_an_attack_that_leaves_a_model_without_an_auroc_succeeds_if_there_is_a_control() -> None:
    undefined = with_figures(attacked(0.5), {"auroc": None})
    assert success(make_record(), undefined) == [None, 1.0]
    assert success(make_record(figures={"auroc": None}), undefined) == [None, None]
    assert success(undefined) == [None]


# --- resuming


def test_a_complete_folder_runs_nothing_again(uninterrupted: Path, counted: list[str]) -> None:
    before = table(uninterrupted)
    assert completed(uninterrupted, small_plan()) == before
    assert counted == []


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_run_is_value_by_value_what_is_read_back(workers: int, tmp_path: Path) -> None:
    planned = plan(
        [*SMALL, "attack.analytic_inversion.round=1"], ["analytic_inversion"], ["dp_record"]
    )
    made = compare.complete(planned, tmp_path, workers, lambda _: None)
    assert [*map(repr, evidence.ordered(made))] == [*map(repr, evidence.read(tmp_path))]


def test_only_what_is_missing_is_run_and_the_table_is_the_same(
    uninterrupted: Path, tmp_path: Path, counted: list[str]
) -> None:
    records = evidence.read(uninterrupted)
    for record in [*records[:2], *records[5:]]:
        evidence.append(tmp_path, record)
    with (tmp_path / evidence.EVIDENCE).open("ab") as file:
        file.write((uninterrupted / evidence.EVIDENCE).read_bytes()[:50])
    assert completed(tmp_path, small_plan()) == table(uninterrupted)
    assert sorted(counted) == sorted(f"{r.attack}-{r.defense}-{r.seed}" for r in records[2:5])


def test_more_cells_and_seeds_may_join_a_folder(
    uninterrupted: Path, tmp_path: Path, counted: list[str]
) -> None:
    (tmp_path / evidence.EVIDENCE).write_bytes((uninterrupted / evidence.EVIDENCE).read_bytes())
    more = plan(SMALL, ["sign_flip"], ["median", "trimmed_mean"], n_seeds=3)
    rows = completed(tmp_path, more)
    assert len(rows) == 18
    assert len(counted) == 10
    assert [row for row in rows if row in table(uninterrupted)] == table(uninterrupted)


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("training.lr=0.2", r"training\.lr \(0\.1, now 0\.2\)"),
        ("model=mlp", r"model\..*"),
        ("consortium.test_fraction=0.2", r"consortium\.test_fraction \(.*, now 0\.2\)"),
        ("adversary.placement=largest", r"adversary\.placement \(random, now largest\)"),
        ("server.weight_cap=2", r"server\.weight_cap \(3\.0, now 2\.0\)"),
        ("metrics.min_class_rows=2", r"metrics\.min_class_rows \(5, now 2\)"),
        ("attack.sign_flip.scale=9", r"attack\.sign_flip\.scale \(.*, now 9\)"),
        ("adversary.knowledge=own", r"adversary\.knowledge \(.*, now own\)"),
    ],
)
def test_a_folder_of_other_settings_is_refused(
    uninterrupted: Path, counted: list[str], word: str, part: str
) -> None:
    before = (uninterrupted / evidence.EVIDENCE).read_bytes()
    with pytest.raises(
        InputError,
        match=rf"^hydra\.run\.dir=.*: holds runs with another {part}; expected a new folder$",
    ):
        compare.complete(small_plan(word), uninterrupted, 1, lambda _: None)
    assert counted == []
    assert (uninterrupted / evidence.EVIDENCE).read_bytes() == before


def test_a_folder_of_other_code_is_refused(
    uninterrupted: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "code_version", lambda: "0" * 12)
    with pytest.raises(
        InputError,
        match=(
            r"holds runs of other code \([0-9a-f]{12}, now 000000000000\); expected a new folder$"
        ),
    ):
        compare.complete(small_plan(), uninterrupted, 1, lambda _: None)
    assert counted == []


def test_every_finished_run_is_stored_when_a_later_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = running.advance, []

    def fails_later(experiments: Sequence[Experiment], *rest: Any) -> Iterator[RunRecord]:
        calls.append(len(experiments))
        if len(calls) > 1:
            raise KeyboardInterrupt
        return original(experiments, *rest)

    monkeypatch.setattr(running, "advance", fails_later)
    with pytest.raises(KeyboardInterrupt):
        compare.complete(small_plan(), tmp_path, 1, lambda _: None)
    assert 0 < len(evidence.read(tmp_path)) == calls[0] < 8


def wait_for_a_run(folder: Path, process: subprocess.Popen[Any]) -> None:
    """Wait until the process has stored a run in the folder, or has ended."""
    path, deadline = folder / evidence.EVIDENCE, time.monotonic() + 120
    while (
        not (path.exists() and b"\n" in path.read_bytes())
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.005)


@pytest.mark.parametrize(("seconds", "everybody"), [(1.0, True), (3.0, False), (None, True)])
def test_ctrl_c_ends_a_comparison_with_one_line_while_it_imports_plans_or_trains(
    seconds: float | None, everybody: bool, tmp_path: Path
) -> None:
    """Without ``seconds`` the interrupt comes once a run is stored."""
    words = [
        "attacks=[sign_flip]",
        "defenses=[median,krum]",
        *(["seeds=200"] if seconds else ["seeds=20", "training.rounds=5"]),
        "workers=2",
        f"hydra.run.dir={tmp_path / 'out'}",
    ]
    process = started(["compare", "consortium=heart12", *words], tmp_path, TMPDIR=str(tmp_path))
    if seconds is None:
        wait_for_a_run(tmp_path / "out", process)
    else:
        time.sleep(seconds)
    (os.killpg if everybody else os.kill)(process.pid, signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    *progress, last = printed.splitlines()
    assert last.startswith("Interrupted. ")
    assert all(line.startswith("Comparing: ") for line in progress)  # a slow machine prints some
    assert gone(process.pid)
    assert not list(tmp_path.glob("pymp-*"))


def test_a_worker_that_is_killed_ends_the_comparison_with_a_reason_and_finished_runs_are_stored(
    tmp_path: Path,
) -> None:
    def kill(_: RunRecord) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()

    with pytest.raises(RefusedError, match="a worker process was ended from outside"):
        compare.complete(small_plan("training.rounds=200"), tmp_path, 2, kill)
    assert 0 < len(evidence.read(tmp_path)) < 8


def test_what_can_be_done_meanwhile_is_done_once_after_workers_began_and_before_any_record(
    tmp_path: Path,
) -> None:
    happened = list[str]()

    def meanwhile() -> None:
        happened.append(f"meanwhile, {len(multiprocessing.active_children())} workers")

    plan = small_plan()
    with compare.entered(tmp_path, plan) as held:
        compare.finish(
            plan, tmp_path, 2, lambda _: happened.append("record"), held, meanwhile=meanwhile
        )
    assert happened == ["meanwhile, 2 workers", *["record"] * len(plan)]


def test_what_is_raised_in_a_worker_is_raised_with_its_type_and_its_lines() -> None:
    wrong = [[SimpleNamespace(text="{}")]] * 2
    with pytest.raises(InputError, match="a configuration with a label") as error:
        list(compare._shared_out(wrong, 2, None))
    assert "in from_text" in str(error.value.__cause__)


def test_killed_in_the_middle_and_started_again_gives_the_same_results(
    uninterrupted: Path, tmp_path: Path
) -> None:
    words = [
        *SMALL,
        "attacks=[sign_flip]",
        "defenses=[median]",
        "seeds=2",
        "workers=2",
        f"hydra.run.dir={tmp_path}",
    ]
    command = [sys.executable, "-W", "ignore", "-m", "sim.cli.command", "compare", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_for_a_run(tmp_path, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert gone(process.pid)
    held = len(evidence.read(tmp_path))
    assert 0 < held < 8
    assert not (tmp_path / evidence.RESULTS).exists()
    assert completed(tmp_path, small_plan()) == table(uninterrupted)
