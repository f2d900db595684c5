"""Tracking in MLflow: what is written, what is refused, and that nothing else hears of it.

The tests with a real MLflow need `make tracking`; the others take one that notes what it is given.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports import tracked, tracking
from reports.tracking import MLflow, NotTrackedError
from sim.api import compare, run
from sim.errors import InputError
from sim.evidence import RunRecord, outcome
from tests.commands import ALONE, FAST, wardround
from tests.records import make_record

HAS_MLFLOW = find_spec("mlflow") is not None
real = pytest.mark.skipif(not HAS_MLFLOW, reason="MLflow is not installed; `make tracking` runs it")

FAKE = """
import json, os
NAMES = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_TRACKING_URI")
class Made:
    experiment_id = "1"
    class info:
        run_id = "r"
class MlflowClient:
    def __init__(self, uri):
        self.uri = uri
    def note(self, *given):
        with open(os.environ["NOTED"], "a") as file:
            known = {name: os.environ.get(name) for name in NAMES}
            file.write(json.dumps([self.uri, known, *given]) + chr(10))
    def get_experiment_by_name(self, name): return None
    def create_experiment(self, name, artifact_location=None):
        self.note("experiment", name, artifact_location)
        return "1"
    def search_runs(self, *_, **__): return []
    def create_run(self, *_, tags=None, **__):
        self.note("run", tags)
        return Made
    def log_batch(self, run_id, metrics=(), params=()):
        self.note("batch", len(metrics), len(params))
    def log_artifact(self, run_id, path): self.note("file", path)
    def log_artifacts(self, run_id, path, artifact_path=None): self.note("folder", path)
    def set_terminated(self, run_id): self.note("ended")
"""


class Store:
    """A store in memory."""

    def __init__(self) -> None:
        self.experiments = dict[str, str | None]()
        self.runs = list[dict[str, Any]]()

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        self.experiments[name] = artifact_location
        return name

    def search_runs(
        self, experiment_ids: list[str], filter_string: str = "", max_results: int = 1
    ) -> Sequence[Any]:
        (wanted,) = [part for part in filter_string.split("'") if part.isalnum()]
        return [one for one in self.runs if one["tags"].get(tracked.RUN) == wanted]

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: dict[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Any:
        made = {
            "tags": tags or {},
            "name": run_name,
            "metrics": [],
            "params": [],
            "files": [],
            "ended": False,
        }
        self.runs.append(made)
        return SimpleNamespace(info=SimpleNamespace(run_id=str(len(self.runs) - 1)))

    def log_batch(
        self, run_id: str, metrics: Sequence[Any] = (), params: Sequence[Any] = ()
    ) -> Any:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.runs[int(run_id)]["metrics"] += metrics
        self.runs[int(run_id)]["params"] += params

    def log_artifact(self, run_id: str, local_path: str) -> None:
        self.runs[int(run_id)]["files"].append(Path(local_path).name)

    def log_artifacts(self, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        self.runs[int(run_id)]["files"].append(f"{artifact_path}/")

    def set_terminated(self, run_id: str) -> None:
        self.runs[int(run_id)]["ended"] = True


ENTITIES = SimpleNamespace(Metric=lambda *one: one, Param=lambda *one: one)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two attacks and one defense."""
    made = tmp_path_factory.mktemp("tracked") / "out"
    compare(*FAST, ALONE, attacks=["sign_flip"], defenses=["none"], seeds=1, folder=made)
    return made


def track(store: Store, folder: Path) -> int:
    return tracked.track(store, ENTITIES, folder, "mine", "file:///there")


def test_each_run_has_its_parameters_figures_rounds_and_tags(folder: Path) -> None:
    store = Store()
    assert track(store, folder) == 2
    parent, *runs = store.runs
    assert store.experiments == {"mine": "file:///there"}
    assert parent["files"] == [*tracked.FILES, "report/"]
    assert "evidence.jsonl" in tracked.FILES
    assert [one["ended"] for one in store.runs] == [True] * 3
    assert {one["tags"]["wardround.attack"] for one in runs} == {"none", "sign_flip"}
    for one in runs:
        assert one["tags"][tracked.PARENT] == "0"
        assert one["files"] == []
        params = dict(one["params"])
        assert params["training.rounds"] == "1"
        assert not any("tracking" in name for name in params)
        values = {(name, step): value for name, value, _, step in one["metrics"]}
        assert values["auroc", 1] == pytest.approx(values["outcome/auroc", 0], abs=1e-5)
        assert ("outcome/cleveland/auroc", 0) in values
        assert all(math.isfinite(value) for value in values.values())


def test_runs_that_are_there_are_not_written_again(folder: Path) -> None:
    store = Store()
    track(store, folder)
    assert track(store, folder) == 0
    assert len(store.runs) == 3


def test_a_single_run_has_the_files_itself(tmp_path: Path) -> None:
    run(*FAST, folder=tmp_path / "one")
    store = Store()
    assert track(store, tmp_path / "one") == 1
    (only,) = store.runs
    assert "evidence.jsonl" in only["files"]
    assert tracked.PARENT not in only["tags"]


def hostile() -> RunRecord:
    names = ("a/../b", "<script>", "a\nb", "\N{GRINNING FACE}", "x" * 300, "a?b", "a!b")
    more = [outcome("brier", 0.1, 5, hospital=name) for name in names]
    undefined = outcome("influence", None, hospital="north", undefined="nothing")
    config = {"training": {"<x>": 1, "lr": 0.1}, "consortium": {"names": ["y" * 900]}}
    return make_record(more=(*more, undefined), config=config, attack="<b>")


def test_a_name_is_one_that_the_store_takes_and_none_is_lost() -> None:
    record = hostile()
    figures = tracked.figures(record)
    params = tracked.parameters(record)
    for name in (*figures, *params):
        assert not tracked.WRONG.search(name)
        assert ".." not in name.split("/")
        assert len(name) <= 260
    defined = [one for one in record.outcomes if one.value is not None]
    assert len(figures) == len({(one.metric, one.subject) for one in defined})
    assert params["training._x_"] == "1"
    assert len(params["consortium.names"]) == tracked.LONGEST_VALUE


@pytest.mark.parametrize(
    "values",
    [
        {"experiment": ""},
        {"experiment": "a'b"},
        {"experiment": "x\ny"},
        {"store": "/etc/mlflow.db"},
        {"store": "../mlflow.db"},
        {"store": "runs.txt"},
        {"store": "a.db?mode=rw.db"},
        {"store": "text.db"},
        {"store": "link.db"},
        {"server": "http://host"},
        {"server": "http://host", "remote": True, "store": "a.db"},
        {"server": "http://user:secret@host", "remote": True},
        {"server": "http://host/?x=1", "remote": True},
        {"server": "file:///tmp", "remote": True},
        {"server": "databricks", "remote": True},
        {"server": "postgresql://host/db", "remote": True},
        {"server": "sqlite:////tmp/x.db", "remote": True},
        {"server": "http://host\nx", "remote": True},
    ],
)
def test_another_place_is_refused_before_anything_runs(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "find_spec", lambda _: object())
    (tmp_path / "text.db").write_text("text")
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(InputError):
        MLflow(**values)


def test_a_server_of_ones_own_and_a_store_below_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "find_spec", lambda _: object())
    assert MLflow(server="https://mlflow.north.example:5000/x", remote=True).server
    assert MLflow(store="runs/mlflow.db").store


@pytest.mark.skipif(HAS_MLFLOW, reason="MLflow is installed")
def test_without_mlflow_it_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"hydra.run.dir={tmp_path / 'out'}"
    assert wardround("run", *FAST, "tracking=mlflow", where) == 2
    assert capsys.readouterr().err.startswith("wardround: tracking")
    assert not (tmp_path / "out" / "evidence.jsonl").exists()


def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str = FAKE) -> Path:
    """Put an MLflow in place that notes what it is given; returns where."""
    package = tmp_path / "site" / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "entities.py").write_text("Metric = Param = lambda *one: one\n")
    (package / "tracking.py").write_text(text)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere.example")
    return tmp_path / "noted"


def test_a_process_of_its_own_tracks_in_silence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = faked(tmp_path, monkeypatch)
    MLflow()(folder)
    lines = [json.loads(line) for line in noted.read_text().splitlines()]
    assert {line[0] for line in lines} == {f"sqlite:///{folder}/mlflow.db"}
    for line in lines:
        assert line[1] == {
            "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_TRACKING_URI": None,
        }  # fmt: skip
    assert lines[0][2:] == ["experiment", "wardround", f"file://{folder}/mlartifacts"]
    assert sum(line[2] == "ended" for line in lines) == 3
    assert "mlflow" not in sys.modules


def test_no_store_is_made_beside_a_folder_whose_name_ends_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = faked(tmp_path, monkeypatch)
    with pytest.raises(NotTrackedError, match="without \\?"):
        MLflow()(tmp_path / "out?now")
    assert not noted.exists()


def test_a_store_that_fails_loses_no_run_and_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faked(tmp_path, monkeypatch, "raise OSError('the disk is full\\nreally')\n")
    out = tmp_path / "out"
    assert wardround("run", *FAST, "tracking=mlflow", f"hydra.run.dir={out}") == 0
    shown = capsys.readouterr()
    assert (out / "report" / "index.html").is_file()
    assert "Report:" in shown.out
    (line,) = shown.err.splitlines()
    assert line.startswith(f"not tracked, the results are in {out}: tracking ended with code 1")
    with pytest.warns(UserWarning, match="not tracked"):
        run(*FAST, folder=tmp_path / "api", tracking="mlflow")
    with pytest.raises(NotTrackedError, match="really"):
        MLflow()(out)
    with pytest.raises(InputError, match="folder=PATH"):
        run(*FAST, tracking="mlflow")


@pytest.mark.parametrize(
    "files",
    [
        {"tracking/mine.yaml": "_target_: reports.tracking.MLflow\n"},
        {"defense/mine.yaml": "# @package _global_\ntracking:\n  remote: true\n"},
        {"defense/mine.yaml": "# @package _global_\ndefaults:\n  - override /tracking: mlflow\n"},
    ],
)
def test_a_folder_of_configurations_cannot_ask_for_it(
    files: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError):
        run(*FAST, config_dir=tmp_path)


def test_nothing_else_than_a_class_of_the_table_is_called() -> None:
    with pytest.raises(InputError, match="expected one that wardround list tracking shows"):
        run(*FAST, {"tracking": "mlflow", "tracking._target_": "os.system"}, folder="unused")
    assert not Path("unused").exists()


GUARD = """
import os, socket
def refused(self, address, *_):
    with open(os.environ["ASKED"], "a") as file:
        file.write(repr(address) + chr(10))
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = refused
"""


@real
def test_a_real_store_has_it_all_and_no_connection_is_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    monkeypatch.syspath_prepend(str(guard))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.chdir(tmp_path)
    MLflow(store="mine.db")(folder)
    MLflow(store="mine.db")(folder)
    assert not (tmp_path / "asked").exists()
    read = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
place = client.get_experiment_by_name("wardround").experiment_id
runs = client.search_runs([place])
found = []
for one in runs:
    points = client.get_metric_history(one.info.run_id, "auroc")
    files = [file.path for file in client.list_artifacts(one.info.run_id)]
    found.append([one.data.tags, one.data.params, one.data.metrics, len(points), files,
                  one.info.status])
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", read, f"sqlite:///{tmp_path}/mine.db"], capture_output=True,
        text=True, check=True, env={**os.environ, **tracking.SILENT},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert len(found) == 3
    assert {one[5] for one in found} == {"FINISHED"}
    parents = [one for one in found if tracked.RUN not in one[0]]
    children = [one for one in found if tracked.RUN in one[0]]
    assert {"evidence.jsonl", "report", "results.csv"} <= set(parents[0][4])
    assert {one[0]["wardround.attack"] for one in children} == {"none", "sign_flip"}
    for _, params, metrics, n_points, _, _ in children:
        assert params["training.rounds"] == "1"
        assert metrics["auroc"] == pytest.approx(metrics["outcome/auroc"], abs=1e-5)
        assert n_points == 2


@real
def test_names_of_anybody_are_taken_by_a_real_store(tmp_path: Path) -> None:
    read = """
import sys
from mlflow import entities
from mlflow.tracking import MlflowClient
from reports import tracked
from tests.reports.test_tracking import hostile
client = MlflowClient(sys.argv[1])
place = client.create_experiment("x", artifact_location="file:///unused")
run = tracked._write(client, entities, place, hostile(), None)
print(len(client.get_run(run).data.metrics) - 3, len(tracked.figures(hostile())))
"""
    done = subprocess.run(
        [sys.executable, "-c", read, f"sqlite:///{tmp_path}/x.db"], capture_output=True, text=True,
        check=True, env={**os.environ, **tracking.SILENT},
    )  # fmt: skip
    there, given = done.stdout.split()
    assert int(there) <= int(given) <= int(there) + 3
