"""What the commands ``wardround run | compare | explain | list | report`` do."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.text import Text

from sim import catalog, compare, compose, evidence, explain, failures, files, jobs, launcher, limits, processes, repeat
from sim.compose import Refused
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord
from sim.experiment import Experiment, address
from sim.manifest import code_version, manifest
from sim.progress import progress
from sim.screen import Screen

REPORT_USAGE = """\
wardround report DIR...  rebuild results.csv, rounds.parquet and report/ of each folder from its evidence.jsonl
"""


def run_command(words: list[str]) -> int:
    """Run one command; returns the exit code."""
    torch.set_num_threads(1)
    command, rest = words[0], words[1:]
    try:
        if command in HYDRA:
            _hydra(command, rest)
        elif command == "list":
            catalog.show(rest)
        else:
            _report(rest)
    except (InputError, RefusedError) as error:
        return failures.wrong_input(error)
    except Exception as error:
        return failures.internal(error)
    return 0


def _hydra(command: str, words: list[str]) -> None:
    """Run the command for the configuration, or the sweep of configurations, that the words describe."""
    task, config_name, check, launchers = HYDRA[command]
    start = time.perf_counter()
    given = list(words) if command == "run" else [*map(compose.forced, words)]
    with compose.one_line():
        swept = jobs.main(config_name, given, task, check, launchers)
    if swept is not None and command != "explain":
        _end_sweep(swept, repeat.of_words(command, words), start)


def _overrides() -> list[str]:
    words = OmegaConf.to_container(HydraConfig.get().overrides.task)
    return [compose.unforced(str(word)) for word in words or ()]


def _place() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)


def _folder() -> Path:
    folder = _place()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(config: DictConfig) -> None:
    """One run."""
    values, start = compose.resolved(config), time.perf_counter()
    experiment, folder = compose.checked(values, _overrides()), _folder()
    with compare.entered(folder, [experiment]) as held:
        _write_config(folder, values)
        if (ready := launcher.ready(experiment)) is not None and ready.run not in held:
            evidence.append(folder, ready)
            held[ready.run] = ready
        with progress("Training", experiment.settings.training.rounds, "rounds") as step:
            (record,) = compare.finish([experiment], folder, 1, lambda _: None, held, lambda _: step())
        page = _finish("run", folder, [record], start)
    from reports.terminal import run_table  # here and below: worker processes import this module, and need no reports

    Screen().print(run_table(record))
    _say_where(page)


def _compare(config: DictConfig) -> None:
    """A comparison: attacks x defenses x seeds."""
    start, values = time.perf_counter(), compose.resolved(config)
    if compare.n_workers(values.get("workers"), n_runs=2) > 1:
        processes.warm_up()
    (experiments, refused), folder = _planned(values), _folder()
    workers = compare.n_workers(values.get("workers"), len(experiments))
    with compare.entered(folder, experiments) as held:
        _write_config(folder, values)
        with progress("Comparing", len(experiments), "runs") as step:
            records = compare.finish(experiments, folder, workers, lambda _: step(), held)
        page = _finish("compare", folder, records, start, refused)
    from reports.terminal import closing

    console = Screen()
    console.print(closing(records, [asdict(cell) for cell in refused], console.width))
    _say_where(page)


def _explain(config: DictConfig) -> None:
    """What would run."""
    values = compose.resolved(config)
    one = values.get("attacks") is None and values.get("defenses") is None
    experiments, refused = ([compose.single(_overrides())], list[Refused]()) if one else _planned(values)
    explain.show(experiments, compare.n_workers(values.get("workers"), len(experiments)))
    from reports.undefined import sentences

    replaced = [] if one else compose.replacing(_overrides())
    if replaced:
        Screen().print(f"The undefended control, none, is run without {', '.join(replaced)}.")
    for text in sentences([asdict(cell) for cell in refused]):
        Screen().print(text)


def _planned(values: dict[str, Any]) -> tuple[list[Experiment], list[Refused]]:
    attacks = compose.names("attacks", values.get("attacks") or ["none"])
    defenses = compose.names("defenses", values.get("defenses") or ["none"])
    compose.only_lists(_overrides())
    numbers = compose.hostile_numbers(values["adversary"]["n_hostile"])
    seeds = compose.seeds(values.get("seeds"), values.get("seed"))
    limits.check_runs((len(attacks) + 1) * (len(defenses) + 1) * len(numbers or [0]), len(seeds))
    return compose.planned(_overrides(), compose.cells(attacks, defenses, numbers, _overrides()), seeds)


def _end_sweep(folder: Path, command: str, start: float) -> None:
    """Table and report of a sweep, of those jobs that left evidence."""
    from reports import sweeps

    if sweeps.places(folder):
        told = manifest(command, time.perf_counter() - start)
        files.replace(folder / evidence.MANIFEST, (json.dumps(told, indent=2) + "\n").encode())
        page, sweep = sweeps.write(folder)
        Screen().print(sweeps.table(sweep))
        _say_where(page)


def _report(words: list[str]) -> None:
    if "--help" in words or "-h" in words:
        Screen().print(REPORT_USAGE, end="", soft_wrap=True)
        return
    if not words:
        raise InputError("DIR", "nothing", "expected at least one folder with evidence.jsonl")
    for word in words:
        folder = Path(word)
        if _holds_runs(folder):
            from reports import sweeps

            _say_where(sweeps.write(folder)[0])
            continue
        records = evidence.read(folder)
        evidence.write_tables(folder, records)
        _say_where(_page(folder, records))


def _holds_runs(folder: Path) -> bool:
    """Whether a folder has no evidence of its own, and folders below it have."""
    return not (folder / evidence.EVIDENCE).exists() and any(folder.rglob(evidence.EVIDENCE))


def _write_config(folder: Path, values: dict[str, Any]) -> None:
    files.replace(folder / "config.yaml", yaml.safe_dump(values, sort_keys=False).encode())


def _finish(command: str, folder: Path, records: Sequence[RunRecord], start: float, refused: Sequence[Refused] = ()) -> Path:
    """Tables, manifest and report of a folder whose evidence is complete; runs of earlier commands stay in them."""
    everything = evidence.read(folder)
    evidence.write_tables(folder, everything)
    told = manifest(repeat.of_job(command, _overrides()), time.perf_counter() - start)
    told |= {
        f"{key}s": list(dict.fromkeys(getattr(record, key) for record in [*records, *everything]))
        for key in ("attack", "defense")
    }
    told |= {"refused": [asdict(cell) for cell in refused], "evidence": evidence.head(folder)}
    files.replace(folder / evidence.MANIFEST, (json.dumps(told, indent=2) + "\n").encode())
    return _page(folder, records)


def _page(folder: Path, records: Sequence[RunRecord]) -> Path:
    from reports.page import write_report

    return write_report(folder, show_reconstructions=all(record.config["report"]["show_reconstructions"] for record in records))


def _say_where(page: Path) -> None:
    shown = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    Screen().print(Text.assemble("Report: ", (str(shown), "bold")), soft_wrap=True)


def _check_run(config: DictConfig) -> launcher.Job:
    experiment = compose.checked(compose.resolved(config), _overrides())
    held = {record.run for record in compare.held(_place(), [experiment])}
    return launcher.Job(experiment, address(experiment, code_version()) in held)


def _check_comparison(config: DictConfig) -> None:
    compare.held(_place(), _planned(compose.resolved(config))[0])


def _check_plan(config: DictConfig) -> None:
    _planned(compose.resolved(config))


BASIC: dict[str, jobs.Order] = {"basic": jobs.one_by_one}
HYDRA: dict[str, tuple[jobs.Task, str, jobs.Check, dict[str, jobs.Order]]] = {
    "run": (_run, "config", _check_run, BASIC | {"lockstep": launcher.lockstep}),
    "compare": (_compare, "compare", _check_comparison, BASIC),
    "explain": (_explain, "explain", _check_plan, BASIC),
}
