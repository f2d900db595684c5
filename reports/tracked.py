"""The process that writes the runs of a folder into an MLflow store; see ``reports.tracking``.

It is the only place that imports MLflow, and it imports nothing else that is not needed.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

from sim import evidence
from sim.evidence import RunRecord, configured

WRONG: Final = re.compile(r"[^\w. :/-]", re.ASCII)  # signs that a name in MLflow cannot have
LONGEST: Final = 250  # characters of a name
LONGEST_VALUE: Final = 500  # of a parameter or a tag
RUN: Final = "wardround.run"
PARENT: Final = "mlflow.parentRunId"
NAME: Final = "mlflow.runName"
STATED: Final = ("attack", "defense", "consortium", "seed", "n_hostile", "code", "data_hash")
FILES: Final = (
    "config.yaml",
    evidence.MANIFEST,
    evidence.EVIDENCE,
    evidence.RESULTS,
    evidence.ROUNDS,
)
REPORT: Final = "report"
MOST_METRICS: Final = 900  # in one request
MOST_PARAMS: Final = 90
Value = TypeVar("Value")


class Experiment(Protocol):
    """An experiment of a store."""

    @property
    def experiment_id(self) -> str: ...


class Info(Protocol):
    """The facts that a store states of a run."""

    @property
    def run_id(self) -> str: ...


class Run(Protocol):
    """A run of a store."""

    @property
    def info(self) -> Info: ...


class Store(Protocol):
    """The part of MLflow's client that is used here."""

    def get_experiment_by_name(self, name: str) -> Experiment | None: ...

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str: ...

    def search_runs(
        self, experiment_ids: list[str], filter_string: str = "", max_results: int = 1
    ) -> Sequence[object]: ...

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: dict[str, str] | None = None,
        run_name: str | None = None,
    ) -> Run: ...

    def log_batch(
        self, run_id: str, metrics: Sequence[object] = (), params: Sequence[object] = ()
    ) -> object: ...

    def log_artifact(self, run_id: str, local_path: str) -> None: ...

    def log_artifacts(
        self, run_id: str, local_dir: str, artifact_path: str | None = None
    ) -> None: ...

    def set_terminated(self, run_id: str) -> None: ...


class Entities(Protocol):
    """The makers of what a store takes."""

    def Metric(self, key: str, value: float, timestamp: int, step: int) -> object:  # noqa: N802
        """One figure of a step."""
        ...

    def Param(self, key: str, value: str) -> object:  # noqa: N802
        """One parameter."""
        ...


def track(
    store: Store, entities: Entities, folder: Path, experiment: str, artifacts: str | None
) -> int:
    """Write the runs of a folder that the store does not have yet; returns how many.

    Several runs are below one for the folder, which has the files. A single run has them itself.
    """
    records = evidence.read(folder)
    known = store.get_experiment_by_name(experiment)
    place = (
        store.create_experiment(experiment, artifact_location=artifacts)
        if known is None
        else known.experiment_id
    )
    new = [record for record in records if not _is_there(store, place, record)]
    if not new:
        return 0
    parent = None
    if len(records) > 1:
        parent = store.create_run(place, run_name=folder.name, tags={NAME: folder.name}).info.run_id
    for record in new:
        made = _write(store, entities, place, record, parent)
        if parent is None:
            _attach(store, made, folder)
        store.set_terminated(made)
    if parent is not None:
        _attach(store, parent, folder)
        store.set_terminated(parent)
    return len(new)


def parameters(record: RunRecord) -> dict[str, str]:
    """The values of a run's configuration, by names that MLflow takes."""
    found = {key: _text(value) for key, value in configured.flat(record.config)}
    return _named(found)


def figures(record: RunRecord) -> dict[str, float]:
    """The outcomes of a run: of the consortium by metric, of a hospital as ``HOSPITAL/METRIC``."""
    found = {
        f"outcome/{one.metric}"
        if one.subject is None
        else f"outcome/{_segment(one.subject)}/{one.metric}": one.value
        for one in record.outcomes
        if one.value is not None and math.isfinite(one.value)
    }
    return _named(found)


def curve(record: RunRecord) -> Iterator[tuple[str, int, float]]:
    """Each figure of a round of all hospitals together: metric, round, value."""
    columns = [record.curve.get(name, []) for name in ("round", "hospital", "metric", "value")]
    for number, hospital, metric, value in zip(*columns, strict=True):
        if hospital == "all" and value is not None and math.isfinite(value):
            yield metric, number, value


def tags(record: RunRecord, parent: str | None) -> dict[str, str]:
    """The tags by which a run is found."""
    found = {f"wardround.{name}": str(getattr(record, name))[:LONGEST_VALUE] for name in STATED}
    return {RUN: record.run, **found, **({} if parent is None else {PARENT: parent})}


def _write(
    store: Store, entities: Entities, place: str, record: RunRecord, parent: str | None
) -> str:
    name = f"{record.attack}, {record.defense}, seed {record.seed}"[:LONGEST_VALUE]
    made = store.create_run(place, run_name=name, tags=tags(record, parent))
    run_id = str(made.info.run_id)
    now = int(time.time() * 1000)
    metrics = [entities.Metric(*one, now, 0) for one in figures(record).items()]
    metrics += [
        entities.Metric(metric, value, now, number) for metric, number, value in curve(record)
    ]
    params = [entities.Param(*one) for one in parameters(record).items()]
    for start in range(0, len(params), MOST_PARAMS):
        store.log_batch(run_id, params=params[start : start + MOST_PARAMS])
    for start in range(0, len(metrics), MOST_METRICS):
        store.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])
    return run_id


def _attach(store: Store, run_id: str, folder: Path) -> None:
    """Attach the files of the folder and its report."""
    for name in FILES:
        if (folder / name).is_file():
            store.log_artifact(run_id, str(folder / name))
    if (folder / REPORT).is_dir():
        store.log_artifacts(run_id, str(folder / REPORT), artifact_path=REPORT)


def _is_there(store: Store, place: str, record: RunRecord) -> bool:
    filter_ = f"tags.`{RUN}` = '{record.run}'"  # 16 hex digits, as evidence was checked
    return bool(store.search_runs([place], filter_string=filter_, max_results=1))


def _named(found: Mapping[str, Value]) -> dict[str, Value]:
    """The values by names that MLflow takes; where two become one, the later has a number."""
    made = dict[str, Value]()
    for name, value in found.items():
        plain = WRONG.sub("_", name)[:LONGEST]
        number = 2
        unique = plain
        while unique in made:
            unique = f"{plain}_{number}"
            number += 1
        made[unique] = value
    return made


def _segment(name: str) -> str:
    """A name without the signs that would make a path of it."""
    return name.replace("/", "_").replace("..", "_")


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def main() -> None:
    """Track what standard input asks for."""
    asked = json.load(sys.stdin)
    from mlflow import entities
    from mlflow.tracking import MlflowClient

    # its own types of lists of entities are narrower than what is used here
    store = cast(Store, MlflowClient(asked["uri"]))
    track(store, entities, Path(asked["folder"]), asked["experiment"], asked["artifacts"])


if __name__ == "__main__":
    main()
