"""The tasks of the commands that run something or make a report: run, compare and report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.text import Text

from sim import evidence, files
from sim.cli import jobs, repeat
from sim.cli.progress import progress
from sim.cli.screen import Screen
from sim.evidence import RunRecord
from sim.evidence.manifest import code_version, manifest
from sim.study import compare, compose, launcher, processes, sharing
from sim.study.compose import Refused
from sim.study.experiment import Experiment, address
from sim.study.plans import overrides, planned


def _place() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def _folder() -> Path:
    folder = _place()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(config: DictConfig) -> None:
    """One run."""
    values = compose.resolved(config)
    start = time.perf_counter()
    experiment = compose.checked(values, overrides())
    folder = _folder()
    _show_own(experiment)
    with compare.entered(folder, [experiment]) as held:
        _write_config(folder, values)
        if (ready := launcher.ready(experiment)) is not None and ready.run not in held:
            evidence.append(folder, ready)
            held[ready.run] = ready
        with progress("Training", experiment.settings.training.rounds, "rounds") as step:
            one = [experiment]
            (record,) = compare.finish(one, folder, 1, lambda _: None, held, lambda _: step())
        page = _finish("run", folder, [record], start)
    from reports.terminal import run_table  # here and below: refused words need no reports

    Screen().print(run_table(record))
    _print_place(page)


def comparison(config: DictConfig) -> None:
    """A comparison: attacks x defenses x seeds."""
    start = time.perf_counter()
    values = compose.resolved(config)
    if sharing.n_workers(values.get("workers"), n_runs=2) > 1:
        processes.warm_up()
    experiments, refused = planned(values)
    folder = _folder()
    workers = sharing.n_workers(values.get("workers"), len(experiments))
    _show_own(experiments[0])
    with compare.entered(folder, experiments) as held:
        _write_config(folder, values)
        with progress("Comparing", len(experiments), "runs") as step:
            records = compare.finish(experiments, folder, workers, lambda _: step(), held)
        page = _finish("compare", folder, records, start, refused)
    from reports.terminal import closing

    console = Screen()
    console.print(closing(records, [asdict(cell) for cell in refused], console.width))
    _print_place(page)


def end_sweep(folder: Path, command: str, start: float) -> None:
    """Write and print the report of a sweep, of those jobs that left evidence."""
    from reports import sweeps

    if sweeps.places(folder):
        _write_manifest(folder, manifest(command, time.perf_counter() - start))
        page, sweep = sweeps.write(folder)
        Screen().print(sweeps.table(sweep))
        _print_place(page)


def report(words: Sequence[str]) -> None:
    """Rebuild the report of each folder from its evidence."""
    from reports import sweeps

    for word in words:
        folder = Path(word)
        if _holds_runs(folder):
            _print_place(sweeps.write(folder)[0])
            continue
        records = evidence.read(folder)
        evidence.write_tables(folder, records)
        _print_place(_page(folder, records))


def _holds_runs(folder: Path) -> bool:
    """Whether a folder has no evidence of its own, and folders below it have."""
    return not (folder / evidence.EVIDENCE).exists() and any(folder.rglob(evidence.EVIDENCE))


def _write_config(folder: Path, values: dict[str, Any]) -> None:
    files.replace(folder / "config.yaml", yaml.safe_dump(values, sort_keys=False).encode())


def _show_own(experiment: Experiment) -> None:
    """Print how a consortium's own data were read, before anything runs."""
    if not experiment.consortium.public:
        from sim.cli.explain import show_data

        show_data(Screen(stderr=True), experiment)


def _write_manifest(folder: Path, facts: Mapping[str, object]) -> None:
    files.replace(folder / evidence.MANIFEST, (json.dumps(facts, indent=2) + "\n").encode())


def _finish(
    command: str,
    folder: Path,
    records: Sequence[RunRecord],
    start: float,
    refused: Sequence[Refused] = (),
) -> Path:
    """Write tables, manifest and report of a folder whose evidence is complete; returns the page.

    Runs of earlier commands stay in the tables.
    """
    everything = evidence.read(folder)
    evidence.write_tables(folder, everything)
    facts = manifest(repeat.of_job(command, overrides()), time.perf_counter() - start)
    runs = [*records, *everything]
    facts["attacks"] = list(dict.fromkeys(record.attack for record in runs))
    facts["defenses"] = list(dict.fromkeys(record.defense for record in runs))
    facts["refused"] = [asdict(cell) for cell in refused]
    facts["evidence"] = evidence.head(folder)
    _write_manifest(folder, facts)
    return _page(folder, records)


def _page(folder: Path, records: Sequence[RunRecord]) -> Path:
    from reports.page import write_report

    shown = all(record.config["report"]["show_reconstructions"] for record in records)
    return write_report(folder, show_reconstructions=shown)


def _print_place(page: Path) -> None:
    shown = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    Screen().print(Text.assemble("Report: ", (str(shown), "bold")), soft_wrap=True)


def _check_run(config: DictConfig) -> launcher.Job:
    experiment = compose.checked(compose.resolved(config), overrides())
    held = {record.run for record in compare.held(_place(), [experiment])}
    return launcher.Job(experiment, address(experiment, code_version()) in held)


def _check_comparison(config: DictConfig) -> None:
    compare.held(_place(), planned(compose.resolved(config))[0])


LOCKSTEP: Final = cast(jobs.Order, launcher.lockstep)  # it gets what ``_check_run`` gives
COMMANDS: Final[Mapping[str, jobs.Command]] = {
    "run": jobs.Command(run, _check_run, jobs.BASIC | {"lockstep": LOCKSTEP}),
    "compare": jobs.Command(comparison, _check_comparison, jobs.BASIC),
}
