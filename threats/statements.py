"""Evidence statements: what was claimed before the runs, and what the runs of an attack show of it.

Each names its runs and the hashes of their lines, its trials, its bounds, its grade and its limits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from sim import titles
from sim.evidence import Chain, Line, RunRecord
from sim.evidence.controls import NONE
from sim.evidence.metrics import METRICS, is_material
from sim.evidence.written import at_least, at_most, count, figure, share, signed_points
from sim.types import Level
from threats import bounds, levels
from threats import named as named_
from threats.bounds import Rate
from threats.catalog import Catalog, Fact, Measured, Threat
from threats.cells import Cell
from threats.consistency import UNDEFENDED
from threats.findings import doubts, stated
from threats.losses import Counts, Losses, acted, against_attack_free, counts, losses
from threats.powers import Power
from threats.system import EXPOSED, Adversary, Design, Grade
from threats.used import knowledge, powers_used

RARE: Final = 0.05  # the share of attempts that a claim speaks of: what is above is not very low
ENOUGH: Final = 13  # so many trials without a success show a likelihood to be low
WORST: Final = 0.95  # the quantile of the losses that stands for the magnitude
# metric of what an attack recovers -> what is tried one by one
RECOVERED: Final[Mapping[str, Literal["record", "update"]]] = {
    "reconstruction_rate": "record",
    "updates_recovered": "update",
}

LINKED: Final = {
    "record": "each recovered record is taken to be linked to a person",
    "update": "what a recovered update shows of patients is measured by reconstruction",
}

EvidenceGrade = Literal["E0", "E1", "E2", "E3", "E4"]
GRADES: Final[Mapping[EvidenceGrade, str]] = {
    "E0": "literature only, no run",
    "E1": "runs that are too few, that lack something, or an attack that did not adapt",
    "E2": "enough runs with their controls, and an attack that adapts to the defense",
    "E3": "as E2, on data that is not public",
    "E4": "a pilot in the hospitals; no simulation reaches it",
}
Unit = Literal["seed", "record", "update"]
Kind = Literal["integrity", "privacy", "availability"]
Stated = Literal["before the runs", "after the runs", "not stated"]
Result = Literal["supports", "refutes", "inconclusive"]


class Source(Fact):
    """A run that a statement stands on, and the hash of its line in the evidence."""

    run: str
    """The run's address."""
    line: str
    """The hash of its line in ``evidence.jsonl``."""


class Trials(Fact):
    """The trials of an attack, and how often they were made."""

    unit: Unit
    """What is tried one by one."""
    n: int
    """The number of trials."""
    effective: float
    """The number of independent trials that would tell as much."""
    successes: int
    """The trials in which the attack succeeded."""
    lost: int
    """Of these, the runs that left a model without the figure that is claimed about."""
    unknown: int
    """The trials of which that is not known."""
    seeds: tuple[int, ...]
    """The seeds of the runs."""


class Magnitude(Fact):
    """The magnitude of the harm at its worst, on one of the consortium's scales."""

    kind: Kind
    """The kind of harm."""
    metric: str
    """The metric that the harm is measured by."""
    value: float | None
    """The harm at its worst; None where it was not measured."""
    level: Grade
    """The level of impact that the consortium's scale gives it."""


class Claim(Fact):
    """A claim about an attack, stated before the attack is run. The same claim has the same id."""

    threat: str
    """The threat's id."""
    adversary: str
    """The adversary's id in the design."""
    stack: str
    """The stack of defenses, or ``undefended``."""
    attack: str
    """The name of the attack."""
    metric: str
    """The metric that is claimed about."""
    text: str
    """The claim in words."""
    material: float | None
    """The loss that counts; None where records or updates are counted."""

    @property
    def id(self) -> str:
        """The claim's id, which follows from its content, in whatever words."""
        return "CL-" + digest(self.model_dump(exclude={"text"}))


class Statement(Fact):
    """The statement on a claim from the runs of one attack."""

    id: str
    """The statement's id, EV-..."""
    claim: Claim
    """The claim."""
    stated: Stated
    """Whether the claim was there before the runs."""
    defense: str
    """The name that the runs give the defense."""
    powers: tuple[Power, ...]
    """The powers that the attack used."""
    knowledge: Level
    """What the adversary knew."""
    n_hostile: int
    """The number of hostile hospitals."""
    adaptive: bool
    """Whether the attack tried what the defense would make of it."""
    trials: Trials
    """What was tried how often."""
    rate: float
    """The rate of success."""
    lower: float
    """The one-sided lower 95 % bound of the rate."""
    upper: float
    """The one-sided upper 95 % bound of the rate."""
    magnitudes: tuple[Magnitude, ...]
    """How large the harm was at its worst."""
    result: Result
    """Whether the runs support the claim."""
    grade: EvidenceGrade
    """The grade of the evidence, from E0 (literature only) to E4 (a pilot)."""
    text: str
    """The statement in words."""
    doubts: tuple[str, ...]
    """Why the runs are no measurement; empty if they are."""
    limits: tuple[str, ...]
    """What the statement does not cover."""
    runs: tuple[Source, ...]
    """The attacked runs."""
    controls: tuple[Source, ...]
    """The runs that they are compared with."""

    @property
    def conclusive(self) -> bool:
        """Whether the runs are a measurement."""
        return not self.doubts


def when(
    id_: str, runs: Iterable[str], lines: Mapping[str, Line], claims: Mapping[str, int]
) -> Stated:
    """Whether a claim was stated before all of these runs; ``claims``: how many bytes of evidence
    there were at that time.
    """
    if id_ not in claims:
        return "not stated"
    first = min((lines[run].starts for run in runs), default=claims[id_])
    return "before the runs" if first >= claims[id_] else "after the runs"


def digest(value: object) -> str:
    """12 hex digits that stand for a value of JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def claim(
    threat: Threat, adversary: Adversary, stack: str, attack: str, measured: Measured, drop: float
) -> Claim:
    """The claim that an attack works more often than very rarely; ``drop``: the material loss."""
    where = "Without a defense" if stack == UNDEFENDED else f"With the stack {stack}"
    text = f"{where}, {titles.attack(attack)} by {adversary.id} {_does(measured, drop)}"
    return Claim(
        threat=threat.id,
        adversary=adversary.id,
        stack=stack,
        attack=attack,
        metric=measured.metric,
        material=None if measured.is_counted else drop,
        text=f"{text} in at least {share(RARE)} of {_units(measured)}.",
    )


def statement(
    cell: Cell,
    threat: Threat,
    adversary: Adversary,
    stack: str,
    design: Design,
    catalog: Catalog,
    chain: Chain,
    claims: Mapping[str, int],
    needed: int = ENOUGH,
) -> Statement | None:
    """The statement on a threat from a cell's runs; None if no seed of it counts.

    ``claims``: for each claim that was stated, the size of the evidence at that time in bytes.
    ``needed``: trials below which the evidence is of the lowest grade.
    """
    measured = stated(cell, threat.metrics)
    first = next(iter(cell.runs.values()))
    drop = float(first.config["report"]["material_drop"])
    found = _tried(cell, measured, drop)
    if found is None:
        return None
    rate, trials = found
    reasons = tuple(doubts(cell, measured, trials.seeds))
    made = claim(threat, adversary, stack, cell.attack, measured, drop)
    used = [cell.runs[seed] for seed in trials.seeds]
    powers = powers_used(cell.attacks, first.config, adversary, catalog)
    adaptive = cell.defense == NONE or all(run.adaptive for run in used)
    sources = tuple(_source(run, chain.lines) for run in used)
    compared = tuple(_source(run, chain.lines) for run in _controls(cell, trials.seeds))
    fields = {
        "claim": made,
        "stated": when(made.id, [run.run for run in used], chain.lines, claims),
        "defense": cell.defense,
        "powers": powers,
        "knowledge": knowledge(first.config),
        "n_hostile": first.n_hostile,
        "adaptive": adaptive,
        "trials": trials,
        "rate": rate.share,
        "lower": rate.lower,
        "upper": rate.upper,
        "magnitudes": _magnitudes(cell, threat, measured, rate, design),
        "result": _result(rate, reasons),
        "grade": _grade(rate, reasons, used, adaptive=adaptive, needed=needed),
        "text": _text(cell, measured, rate, trials, used, drop),
        "doubts": reasons,
        "limits": _limits(cell, measured, used, adversary, powers, adaptive=adaptive),
        "runs": sources,
        "controls": compared,
    }
    made_of = [made.id, *(one.line for one in (*sources, *compared))]
    return Statement.model_validate({"id": "EV-" + digest(made_of), **fields})


def _tried(cell: Cell, measured: Measured, drop: float) -> tuple[Rate, Trials] | None:
    if measured.is_counted:
        tried = counts([cell.runs[seed] for seed in acted(cell)], measured.metric)
        return _of_recovered(tried, RECOVERED[measured.metric]) if tried.seeds else None
    lost = losses(cell, measured)
    return _of_seeds(lost, drop) if lost.seeds else None


def _of_seeds(lost: Losses, drop: float) -> tuple[Rate, Trials]:
    successes = len(lost.lost) + sum(is_material(loss, drop) for loss in lost.known.values())
    rate = bounds.of_seeds(successes, len(lost.seeds), len(lost.unknown))
    return rate, _trials("seed", rate, lost.seeds, len(lost.lost))


def _of_recovered(tried: Counts, unit: Unit) -> tuple[Rate, Trials]:
    rate = bounds.of_records(tried.successes, tried.sizes)
    return rate, _trials(unit, rate, tried.seeds)


def _trials(unit: Unit, rate: Rate, seeds: Sequence[int], lost: int = 0) -> Trials:
    return Trials(
        unit=unit,
        n=rate.n,
        effective=rate.n_effective,
        successes=rate.successes,
        lost=lost,
        unknown=rate.possible - rate.successes,
        seeds=tuple(seeds),
    )


def _magnitudes(
    cell: Cell, threat: Threat, measured: Measured, rate: Rate, design: Design
) -> tuple[Magnitude, ...]:
    """Magnitudes on the scales of the design that the runs measure.

    Privacy: how many people would be exposed if each record in scope were attacked with the upper
    bound as its chance, and each were linked to a person; a recovered update is no record, and
    nobody is counted for it. Integrity and availability: what a seed
    lost at its worst, in the metric of the scale, and for integrity in the metric of the threat,
    too: a mark that works harms although no AUROC changes. What is inferred of a record exposes
    nobody by itself; it is on a scale of its own metric only.
    """
    if measured.is_counted or "privacy" in threat.violation:
        metric = design.impact.privacy.metric
        runs = [cell.runs[seed] for seed in acted(cell)]
        if metric == EXPOSED and RECOVERED.get(measured.metric) != "record":
            values = []
        elif metric == EXPOSED:
            values = [rate.upper * _records_in_scope(design, run) for run in runs]
        elif metric == measured.metric and measured.is_counted:
            values = [rate.upper]
        elif METRICS[metric].harm == "higher":
            values = [value for run in runs if (value := run.value(metric)) is not None]
        else:
            values = []
        return tuple(_magnitude("privacy", metric, max(values), design) for _ in values[:1])
    found = []
    kinds: tuple[Kind, ...] = ("integrity", "availability")
    for kind in kinds:
        metric = getattr(design.impact, kind).metric
        if metric == EXPOSED:
            continue
        asked = [against_attack_free(metric)]
        if kind == "integrity" and measured.metric != design.impact.availability.metric:
            asked.append(measured)
        worst = _worst(cell, asked)
        if worst is not None:
            found.append(_magnitude(kind, worst[0], worst[1], design))
    return tuple(found)


def records_declared(design: Design) -> int | None:
    """Records of patients in a design; None where one of its data sets does not state them."""
    sets = [asset.records for asset in design.assets if asset.class_ == "phi_dataset"]
    known = [one for one in sets if one is not None]
    return sum(known) if sets and len(known) == len(sets) else None


def _records_in_scope(design: Design, run: RunRecord) -> int:
    """Records of patients; where the design does not state them, those of the runs."""
    declared = records_declared(design)
    if declared is not None:
        return declared
    return sum(one.n_train + one.n_test for one in run.hospitals)


def _worst(cell: Cell, asked: Sequence[Measured]) -> tuple[str, float] | None:
    """The metric whose loss is worst, with that loss; infinite where a model gives no figure."""
    found = []
    for measured in asked:
        lost = losses(cell, measured)
        values = [*lost.known.values(), *[float("inf")] * len(lost.without)]
        if values:
            worst = float(np.quantile(values, WORST, method="higher"))
            found.append((measured.metric, worst))
    return max(found, key=lambda one: one[1], default=None)


def _magnitude(kind: Kind, metric: str, value: float, design: Design) -> Magnitude:
    scale = getattr(design.impact, kind)
    shown = None if np.isinf(value) else value
    level = levels.of_magnitude(value, scale)
    return Magnitude(kind=kind, metric=metric, value=shown, level=level)


def _result(rate: Rate, reasons: Sequence[str]) -> Result:
    if reasons:
        return "inconclusive"
    if rate.lower >= RARE:
        return "supports"
    return "refutes" if rate.upper < RARE else "inconclusive"


def _grade(
    rate: Rate, reasons: Sequence[str], used: Sequence[RunRecord], *, adaptive: bool, needed: int
) -> EvidenceGrade:
    if reasons or not adaptive or rate.n_effective < needed:
        return "E1"
    return "E2" if all(run.public for run in used) else "E3"


def _controls(cell: Cell, seeds: Sequence[int]) -> list[RunRecord]:
    found = [cell.attack_free[seed] for seed in seeds]
    return found if cell.defense == NONE else found + [cell.undefended[seed] for seed in seeds]


def _source(run: RunRecord, lines: Mapping[str, Line]) -> Source:
    return Source(run=run.run, line=lines[run.run].hash)


def _units(measured: Measured) -> str:
    return METRICS[measured.metric].counted if measured.is_counted else "runs"


def _does(measured: Measured, drop: float) -> str:
    metric = METRICS[measured.metric]
    if measured.is_counted:
        return f"recovers {RECOVERED[measured.metric]}s"
    if measured.beside:
        beyond = f"the {METRICS[measured.beside].text}"
        if measured.control == "attack_free":
            beyond = "false triggers"
        return f"raises the {metric.text} by {100 * drop:g} points or more beyond {beyond}"
    verb = "lowers" if metric.harm == "lower" else "raises"
    size = f"{100 * drop:g} points" if metric.is_rate else f"{drop:g}"
    return f"{verb} the {metric.text} by {size} or more"


def _text(
    cell: Cell,
    measured: Measured,
    rate: Rate,
    trials: Trials,
    used: Sequence[RunRecord],
    drop: float,
) -> str:
    first = used[0]
    alone = measured.control == "undefended"  # hostile hospitals take no part in it
    by = f" by {first.n_hostile} of {first.n_hospitals} hospitals" if first.n_hostile else ""
    by = "" if alone else by
    limits = f"at most {at_most(rate.upper)} and at least {at_least(rate.lower)}"
    name = titles.attack_first(cell.attack)
    if measured.is_counted:
        return (
            f"{name} recovered {rate.successes:,} of {rate.n:,} {_units(measured)}"
            f" ({share(rate.share)} of a seed's on average; with 95 % confidence each, {limits};"
            f" {count(len(trials.seeds), 'seed')},"
            f" as much as {rate.n_effective:.0f} independent {RECOVERED[measured.metric]}s);"
            f" runs {named(used)}."
        )
    what = METRICS[measured.metric].text
    without = f", {trials.lost} of which left a model with no {what}" if trials.lost else ""
    if trials.unknown:
        without += f"; {trials.unknown} of them left no {what} to compare"
    lost = losses(cell, measured)
    change = "loss" if METRICS[measured.metric].harm == "lower" else "rise"
    worst = ""
    if lost.known:
        most = max(lost.known.values())
        in_points = measured.beside or METRICS[measured.metric].is_rate
        size = f"{signed_points(most)} points" if in_points else figure(most)
        largest = "Of the others, the largest" if without else "The largest"
        worst = f" {largest} {change} was {size}."
    done = _does(measured, drop).replace("lowers", "lowered").replace("raises", "raised")
    return (
        f"{name}{by} {done} in {rate.successes} of {rate.n} runs{without} ({share(rate.share)};"
        f" with 95 % confidence each, {limits} of such runs); runs {named(used)}.{worst}"
    )


def named(runs: Sequence[RunRecord], shown: int = 3) -> str:
    """Ids of runs in a sentence: a few, and how many more there are."""
    ids = [run.run for run in runs]
    more = f" and {len(ids) - shown} more" if len(ids) > shown else ""
    return ", ".join(ids[:shown]) + more


def _limits(
    cell: Cell,
    measured: Measured,
    used: Sequence[RunRecord],
    adversary: Adversary,
    powers: Sequence[Power],
    *,
    adaptive: bool,
) -> tuple[str, ...]:
    first = used[0]
    knew = knowledge(first.config)
    limits = []
    if len(cell.attacks) > 1:
        limits.append("the attacks ran together and their effects are not distinguished")
    if not adaptive:
        limits.append("the attack did not adapt to the defense; one that does may achieve more")
    if all(run.public for run in used):
        limits.append("public data: the consortium's own may differ")
    if "modify_update" in powers and knew != adversary.knowledge:
        knew_what, may = (named_.knowledge(level).title for level in (knew, adversary.knowledge))
        limits.append(f"the attack knew {knew_what}; the adversary may know {may}")
    if measured.is_counted:
        limits.append(LINKED[RECOVERED[measured.metric]])
    elif measured.control == "undefended":
        limits.append("what is beyond a guess without the model is taken for the attack's success")
    elif first.n_hostile < adversary.coalition_max:
        most = adversary.coalition_max
        hostile = count(first.n_hostile, "hospital was", "hospitals were")
        limits.append(f"{hostile} hostile, of at most {most} that the design declares")
    return tuple(limits)
