"""``wardround explain``: what would run, who sees what, what conflicts, how long it takes; nothing
is run.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Final

from omegaconf import DictConfig
from rich.table import Table
from rich.text import Text

from sim.cli import jobs
from sim.cli.screen import Screen
from sim.design.not_covered import NOT_COVERED
from sim.devices import one_thread
from sim.seeds import stream
from sim.study import compose, sharing
from sim.study.compose import Refused
from sim.study.experiment import Experiment
from sim.study.plans import overrides, planned
from sim.study.sharing import grouped, run_bytes
from sim.study.visibility import conflicts, visibility

PRIVATE = 2.5  # a DP-SGD step of Opacus takes about this many times a plain step of these models
# training steps whose time is taken, unless these seconds are over first
STEPS_TIMED, LONGEST_TIMED = 30, 1.0
# seconds around the training of one hospital in one round: message, batches, screening
MESSAGE = 4e-4


def explain(config: DictConfig) -> None:
    """Print what would run."""
    values = compose.resolved(config)
    one = values.get("attacks") is None and values.get("defenses") is None
    experiments, refused = (
        ([compose.single(overrides())], list[Refused]()) if one else planned(values)
    )
    show(experiments, sharing.n_workers(values.get("workers"), len(experiments)))
    from reports.analysis.undefined import sentences

    replaced = [] if one else compose.replacing(overrides())
    if replaced:
        Screen().print(f"The undefended control, none, is run without {', '.join(replaced)}.")
    for text in sentences([asdict(cell) for cell in refused]):
        Screen().print(text)


def show(experiments: Sequence[Experiment], workers: int) -> None:
    """Print the explanation of a plan."""
    console, first = Screen(), experiments[0]
    consortium, training = first.consortium, first.settings.training
    sizes = [len(hospital.train) for hospital in consortium.hospitals]
    seeds = sorted({experiment.settings.seed for experiment in experiments})
    plan = f": {_cells(experiments)}; seeds {', '.join(map(str, seeds))}"
    console.print(Text.assemble((f"{len(experiments)} runs", "bold"), plan))
    console.print(
        f"{consortium.name}: {len(consortium)} hospitals, {min(sizes)} to {max(sizes)} training"
        f" records, {first.settings.adversary.n_hostile} hostile"
        f" ({', '.join(first.attack_plan.hostile) or 'none'} with seed {seeds[0]})"
    )
    console.print(
        f"{training.rounds} rounds, {first.plan.network.n_params} parameters, "
        f"about {_duration(seconds(experiments) / workers)} on {workers} processes"
    )
    console.print(f"about {needed_bytes(experiments, workers) / 1e6:.0f} MB of memory")
    show_data(console, first)
    for experiment in {experiment.label: experiment for experiment in experiments}.values():
        _design(console, experiment)


def show_data(console: Screen, experiment: Experiment) -> None:
    """Print how own data were read, and what is to be known of them."""
    columns = experiment.consortium.columns
    if columns:
        table = Table(box=None, pad_edge=False)
        for header in ("column", "taken as", "absent", "levels", ""):
            table.add_column(header, no_wrap=header == "column")
        for one in columns:
            levels = str(one.levels) if one.levels else ""
            table.add_row(Text(one.name), one.kind, str(one.absent), levels, one.note)
        console.print(table)
    for text in experiment.data_notes:
        console.print(Text.assemble(("Data", "yellow"), f": {text}"))


def _cells(experiments: Sequence[Experiment]) -> str:
    attacks = list(dict.fromkeys(experiment.attack for experiment in experiments))
    defenses = list(dict.fromkeys(experiment.label for experiment in experiments))
    return f"attacks {', '.join(attacks)} x defenses {', '.join(defenses)}"


def _design(console: Screen, experiment: Experiment) -> None:
    table = Table(
        title=f"defense {experiment.label}: who sees what",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    for line in visibility(experiment):
        table.add_row(line.party, line.sees)
    console.print()
    console.print(table)
    console.print(Text(f"Missing replies: {absences(experiment)}"))
    for conflict in conflicts(experiment):
        console.print(
            Text.assemble(("Conflict", "yellow"), f" of {conflict.between}: {conflict.text}")
        )
    if experiment.plan.dp is not None:
        console.print("Not covered by epsilon:")
        for text in NOT_COVERED:
            console.print(f"- {text}")


def absences(experiment: Experiment) -> str:
    """How many replies may be missing in a round beside how many hostile hospitals, and who can
    stop rounds.
    """
    n_hospitals, needed, chain = (
        len(experiment.consortium),
        experiment.plan.quorum.least,
        experiment.plan.chain,
    )
    spare, given, hostile = n_hospitals - needed, chain.withstands, experiment.attack_plan.hostile
    texts = [f"{spare} of {n_hospitals} may be missing in a round{_beside(experiment, given)}"]
    texts.append(f"with fewer than {needed} usable replies the round is skipped")
    root = getattr(chain.rule, "root", None)
    if root is not None:
        texts.append(f"without the reply of {root} the round is skipped")
    if given and getattr(chain.rule, "weighting", "uniform") == "count":
        texts.append(
            f"so it is where the {given} largest record counts that came make half of their sum"
        )
    if len(hostile) > spare:
        texts.append(
            f"{spare + 1} of the {len(hostile)} hostile hospitals can stop every round by sending"
            " nothing"
        )
    elif root in hostile:
        seed = experiment.settings.seed
        texts.append(f"{root}, hostile with seed {seed}, can stop every round by sending nothing")
    return "; ".join(texts)


def _beside(experiment: Experiment, given: int | None) -> str:
    """What else the rule withstands while replies are missing."""
    if given is None:
        unchecked = "how many of the others may be hostile is not checked"
        return f" (steps and rule are not given the number of hostile hospitals: {unchecked})"
    if experiment.plan.server.absent == "keep":
        return f" beside {given} hostile hospitals"
    return f", each of which lowers the number of hostile hospitals withstood, {given}, by one"


def seconds(experiments: Sequence[Experiment]) -> float:
    """Rough processor seconds for all runs, from the time of a training step of this model on
    random numbers here and now.
    """
    step = _step_seconds(experiments[0])
    total = 0.0
    for experiment in experiments:
        training = experiment.settings.training
        for hospital in experiment.consortium.hospitals:
            cost = step * (PRIVATE if experiment.plan.dp is not None else 1)
            total += training.rounds * (MESSAGE + training.steps(len(hospital.train)) * cost)
    return total


def needed_bytes(experiments: Sequence[Experiment], workers: int) -> int:
    """Most memory that all processes together hold, in bytes: of each what this one holds now, and
    a round of its runs.
    """
    return workers * (resident_bytes() + group_bytes(experiments, workers))


def group_bytes(experiments: Sequence[Experiment], workers: int) -> int:
    """What the largest group of runs that advance together holds of a round, in bytes."""
    return max(
        sum(run_bytes(experiment) for experiment in group)
        for group in grouped(experiments, workers)
    )


def resident_bytes() -> int:
    """The most memory that this process has held so far, in bytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes


@one_thread()
def _step_seconds(experiment: Experiment) -> float:
    import torch

    from sim.models.store import load

    network = experiment.plan.network
    module = network.module()
    load(module, network.initialize(stream(0, "explain")))
    weights = list(module.parameters())
    rows = min(
        experiment.settings.training.batch_size,
        max(len(hospital.train) for hospital in experiment.consortium.hospitals),
    )
    features, labels = torch.zeros(rows, experiment.consortium.schema.n_features), torch.zeros(rows)
    seconds = list[float]()
    while len(seconds) < STEPS_TIMED and sum(seconds) < LONGEST_TIMED:
        start = time.perf_counter()
        gradients = torch.autograd.grad(network.loss(module(features)[:, 0], labels), weights)
        with torch.no_grad():  # as torch.optim.SGD, which takes seconds to load
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(gradient, alpha=0.01)
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _duration(value: float) -> str:
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"


def _check(config: DictConfig) -> None:
    planned(compose.resolved(config))


COMMAND: Final = jobs.Command(explain, _check, jobs.BASIC)
