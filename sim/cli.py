"""What the commands ``wardround run | compare | explain | list | report`` do."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import hydra
import torch
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.text import Text

from sim import catalog, compare, compose, evidence, explain, launcher, mappings, processes
from sim.compose import Refused
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord
from sim.experiment import Experiment
from sim.manifest import command_line, manifest
from sim.progress import progress
from sim.run import run
from sim.screen import Screen

Task = Callable[[DictConfig], None]

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
        elif command == "report":
            _report(rest)
        else:
            raise InputError("command", command, f"expected one of {', '.join([*HYDRA, 'list', 'report'])}")
    except (InputError, RefusedError) as error:
        return _refuse(str(error))
    return 0


def _refuse(text: str) -> int:
    print(f"wardround: {' '.join(text.split())}", file=sys.stderr)
    return 2


def _hydra(command: str, words: list[str]) -> None:
    """Hand over to Hydra's main, which composes the configuration and calls the command's task for each job."""
    task, config_name = HYDRA[command]
    wrong: list[Exception] = []

    def job(config: DictConfig) -> None:
        try:
            mappings.replace(config, _overrides())
            task(config)
        except (InputError, RefusedError, OSError) as error:  # Hydra would print lines of its own about it
            wrong.append(error)

    _check_flags(words)
    if any(word.startswith("--experimental-rerun") for word in words):
        raise InputError(
            "--experimental-rerun", "", "not offered, because Hydra would unpickle the file; repeat the command of manifest.json"
        )
    launcher.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and leaving
    sys.argv = [f"wardround {command}", *(words if command == "run" else map(compose.forced, words))]
    try:
        with compose.one_line():
            hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)(job)()
        if wrong:
            raise wrong[0]
    except OSError as error:
        raise InputError(
            "hydra.run.dir", error.filename or "", f"expected a folder that can be written ({error.strerror})"
        ) from error


def _check_flags(words: Sequence[str]) -> None:
    """Refuse what Hydra's parser of flags would refuse, in one line instead of its many."""
    said = StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(StringIO()):
            get_args_parser().parse_args(list(words))
    except SystemExit as left:
        if left.code:  # --version leaves too, with 0
            reason = said.getvalue().rpartition("error: ")[2].strip()
            flags = " ".join(word for word in words if word.startswith("-"))
            raise InputError("flags", flags, f"{reason}; --hydra-help lists all") from None


def _overrides() -> list[str]:
    words = OmegaConf.to_container(HydraConfig.get().overrides.task)
    return [compose.unforced(str(word)) for word in words or ()]


def _folder() -> Path:
    folder = Path(HydraConfig.get().runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(config: DictConfig) -> None:
    """One run."""
    values, start = compose.resolved(config), time.perf_counter()
    experiment, folder = compose.checked(values, _overrides()), _folder()
    _write_config(folder, values)
    with progress("Training", experiment.settings.training.rounds, "rounds") as step:
        record = launcher.ready(experiment) or run(experiment, lambda _: step())
    evidence.mend(folder)
    evidence.append(folder, record)
    page = _finish(folder, [record], start)
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
    _write_config(folder, values)
    with progress("Comparing", len(experiments), "runs") as step:
        records = compare.complete(experiments, folder, workers, lambda _: step())
    page = _finish(folder, records, start, refused)
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
    from reports.breakdown import not_defined

    for text in not_defined([asdict(cell) for cell in refused]):
        Screen().print(text)


def _planned(values: dict[str, Any]) -> tuple[list[Experiment], list[Refused]]:
    attacks = compose.names("attacks", values.get("attacks") or ["none"])
    defenses = compose.names("defenses", values.get("defenses") or ["none"])
    compose.only_lists(_overrides())
    numbers = compose.hostile_numbers(values["adversary"]["n_hostile"])
    seeds = compose.seeds(values.get("seeds"), values.get("seed"))
    return compose.planned(_overrides(), compose.cells(attacks, defenses, numbers), seeds)


def _report(words: list[str]) -> None:
    if "--help" in words or "-h" in words:
        Screen().print(REPORT_USAGE, end="", soft_wrap=True)
        return
    if not words:
        raise InputError("DIR", "nothing", "expected at least one folder with evidence.jsonl")
    for word in words:
        folder = Path(word)
        records = evidence.read(folder)
        evidence.write_tables(folder, records)
        _say_where(_page(folder, records))


def _write_config(folder: Path, values: dict[str, Any]) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _finish(folder: Path, records: Sequence[RunRecord], start: float, refused: Sequence[Refused] = ()) -> Path:
    """Tables, manifest and report of a folder whose evidence is complete."""
    evidence.write_tables(folder, records)
    command = HydraConfig.get().job.name
    told = manifest(command_line([command, *_overrides()]), time.perf_counter() - start)
    told |= {f"{key}s": list(dict.fromkeys(getattr(record, key) for record in records)) for key in ("attack", "defense")}
    told |= {"refused": [asdict(cell) for cell in refused]}
    (folder / "manifest.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return _page(folder, records)


def _page(folder: Path, records: Sequence[RunRecord]) -> Path:
    from reports.page import write_report

    return write_report(folder, show_reconstructions=all(record.config["report"]["show_reconstructions"] for record in records))


def _say_where(page: Path) -> None:
    shown = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    Screen().print(Text.assemble("Report: ", (str(shown), "bold")), soft_wrap=True)


HYDRA: dict[str, tuple[Task, str]] = {"run": (_run, "config"), "compare": (_compare, "compare"), "explain": (_explain, "explain")}
