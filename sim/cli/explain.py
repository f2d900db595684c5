"""``wardround explain``: what would run, who sees what, conflicts and time; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Final

from omegaconf import DictConfig
from rich.table import Table
from rich.text import Text

from sim.cli import printed
from sim.cli.screen import Screen, plain_table
from sim.evidence import Privacy, Statement, sentence, statement
from sim.observers.spending import epsilons, privacy
from sim.observers.statements import noise_ratio, of_records, of_updates, patient_epsilons
from sim.study import compose, jobs, sharing, unmasking
from sim.study.access import access
from sim.study.compose import Refused
from sim.study.costs import needed_bytes, seconds
from sim.study.experiment import Experiment
from sim.study.missing import may_be_missing
from sim.study.plans import overrides, planned
from sim.study.visibility import conflicts, notes, visibility
from sim.types import Node

PLAN: Final = "wardround.plan/1"  # the form of what --json prints


def explain(config: DictConfig, *, as_json: bool = False) -> None:
    """Print what would run. ``as_json``: for programs alone."""
    values = compose.resolved(config)
    refused = list[Refused]()
    replaced = list[str]()
    if values.get("attacks") is None and values.get("defenses") is None:
        experiments = [compose.checked(values, overrides())]
    else:
        experiments, refused = planned(values)
        replaced = compose.replacing(overrides())
    workers = sharing.n_workers(values.get("workers"), len(experiments))
    if as_json:
        printed.show(described(experiments, workers, refused))
        return
    show(experiments, workers)
    if replaced:
        Screen().print(f"The undefended control, none, is run without {', '.join(replaced)}.")
    from reports.analysis.undefined import sentences

    for text in sentences([asdict(cell) for cell in refused]):
        Screen().print(text)


def described(experiments: Sequence[Experiment], workers: int, refused: Sequence[Refused]) -> Node:
    """The explanation of a plan as plain values; docs/json.md sketches them."""
    first = experiments[0]
    consortium = first.consortium
    designs = {experiment.label: experiment for experiment in experiments}
    return {
        "schema": PLAN,
        "n_runs": len(experiments),
        "attacks": list(dict.fromkeys(experiment.attack for experiment in experiments)),
        "defenses": list(designs),
        "seeds": sorted({experiment.settings.seed for experiment in experiments}),
        "consortium": consortium.name,
        "provenance": consortium.provenance,
        "hospitals": {one.name: len(one.train) for one in consortium.hospitals},
        "n_hostile": first.settings.adversary.n_hostile,
        "hostile": list(first.attack_plan.hostile),
        "rounds": first.settings.training.rounds,
        "n_parameters": first.plan.network.n_params,
        "workers": workers,
        "seconds": seconds(experiments) / workers,
        "bytes": needed_bytes(experiments, workers),
        "refused": [asdict(cell) for cell in refused],
        "designs": [_described(label, experiment) for label, experiment in designs.items()],
    }


def _described(label: str, experiment: Experiment) -> Node:
    """One design as plain values: who sees what, and what works against what."""
    return {
        "defense": label,
        "sees": [one.model_dump() for one in visibility(experiment)],
        "access": [one.model_dump() for one in access(experiment)],
        "notes": list(notes(experiment.plan)),
        "missing": may_be_missing(experiment),
        "unmasking": unmasking.sentences(experiment),
        "conflicts": [one.model_dump() for one in conflicts(experiment)],
        "statements": [one.model_dump() for one in _stated(experiment)],
    }


def show(experiments: Sequence[Experiment], workers: int) -> None:
    """Print the explanation of a plan."""
    console = Screen()
    first = experiments[0]
    consortium = first.consortium
    training = first.settings.training
    sizes = [len(hospital.train) for hospital in consortium.hospitals]
    seeds = sorted({experiment.settings.seed for experiment in experiments})
    attacks = dict.fromkeys(experiment.attack for experiment in experiments)
    defenses = dict.fromkeys(experiment.label for experiment in experiments)
    cells = f"attacks {', '.join(attacks)} x defenses {', '.join(defenses)}"
    plan = f": {cells}; seeds {', '.join(map(str, seeds))}"
    console.print(Text.assemble((f"{len(experiments)} runs", "bold"), plan))
    hostile = f"{', '.join(first.attack_plan.hostile) or 'none'} with seed {seeds[0]}"
    console.print(
        f"{consortium.name}: {len(consortium)} hospitals,"
        f" {min(sizes)} to {max(sizes)} training records,"
        f" {first.settings.adversary.n_hostile} hostile ({hostile})"
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
    console.print(_access(experiment))
    for text in notes(experiment.plan):
        console.print(Text(text))
    console.print(Text(f"Missing replies: {may_be_missing(experiment)}"))
    for text in unmasking.sentences(experiment):
        console.print(Text(f"Unmasking: {text}"))
    for conflict in conflicts(experiment):
        text = f" of {conflict.between}: {conflict.text}"
        console.print(Text.assemble(("Conflict", "yellow"), text))
    dp = experiment.plan.dp
    if dp is not None:
        terms = privacy(experiment.plan, experiment.truth, dp, {})
        console.print(Text(f"Privacy: {statement(terms)}"))
        console.print(_risks(terms, epsilons(dp, terms.hospitals)))
        console.print("Not covered by epsilon:")
        for text in terms.not_covered:
            console.print(f"- {text}")
    _statements(console, experiment)


def _statements(console: Screen, experiment: Experiment) -> None:
    """Print the statements about patients and whole updates, and those beside which they stand."""
    from reports.text import words

    plan = experiment.plan
    found = _stated(experiment)
    if [one.unit for one in found] in ([], ["record"]):
        return
    for one in found:
        epsilon = f"\N{GREEK SMALL LETTER EPSILON} = {words.epsilon(one.epsilon)}"
        console.print(Text(f"Statement: {epsilon}; {sentence(one)}"))
    ratio = noise_ratio(plan)
    if ratio is not None:
        n = len(plan.hospitals)
        console.print(
            Text(
                f"The noise on the mean of {n} updates is {ratio:.3g} times as long as the longest"
                " such mean."
            )
        )
    if plan.update_dp is not None:
        console.print("Not covered by the epsilon of whole updates:")
        for text in found[-1].not_covered:
            console.print(f"- {text}")


def _stated(experiment: Experiment) -> list[Statement]:
    """The statements of differential privacy of a design, about records and whole updates."""
    plan = experiment.plan
    found = list[Statement]()
    if plan.dp is not None:
        terms = privacy(plan, experiment.truth, plan.dp, {})
        patients = patient_epsilons(plan.dp, terms)
        found += of_records(plan.dp, terms, epsilons(plan.dp, terms.hospitals), patients)
    if plan.update_dp is not None:
        found += of_updates(plan.update_dp, plan.averaging, plan.training.rounds)
    return found


def _access(experiment: Experiment) -> Table:
    """The visibility table of a design, with what its defense changes."""
    lines = access(experiment)
    title = "others' assets, without a defense -> with it"
    assets = list(dict.fromkeys(asset for line in lines for asset in line.after))
    table = plain_table(title, ["party", *assets])
    for line in lines:
        table.add_row(line.party, *(line.cell(asset) for asset in assets))
    return table


def _risks(terms: Privacy, spent: Mapping[str, float]) -> Table:
    """What each hospital's epsilon means for whoever tests whether a record was trained on."""
    from reports.text import words

    title = "most that any test of whether a record was trained on reaches"
    found = [f"found at {share} % false" for share in ("1", "0.1")]
    table = plain_table(title, ["hospital", "epsilon", "advantage", *found])
    for one in terms.hospitals:
        bounds = (one.advantage, one.tpr_at_1fpr, one.tpr_at_01fpr)
        shares = [words.at_most(share) for share in bounds]
        table.add_row(one.hospital, words.epsilon(spent[one.hospital]), *shares)
    return table


def _duration(value: float) -> str:
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"


def _check(config: DictConfig) -> None:
    planned(compose.resolved(config))


def command(*, as_json: bool) -> jobs.Command:
    """The command; ``as_json``: it prints for programs alone."""
    return jobs.Command(partial(explain, as_json=as_json), _check, jobs.BASIC)
