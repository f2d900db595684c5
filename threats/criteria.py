"""Acceptance criteria judged by runs: met, not met or inconclusive, with the figures behind it.

A criterion is met only if the bound on the side that does not flatter meets it, for every attack
that the adversary could try. What was not tried, or lacks a control or seeds, is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sim import titles
from sim.evidence import Line, RunRecord, written
from sim.evidence.metrics import METRICS, Range
from sim.evidence.written import at_most, count, listed
from threats import bounds
from threats.catalog import Fact, Measured, Threat
from threats.cells import Cell
from threats.findings import doubts
from threats.losses import acted, against_attack_free, counts, losses
from threats.statements import Source, Stated, digest, named, when
from threats.system import Criterion

Outcome = Literal["met", "not_met", "inconclusive"]
Figure = tuple[float, float, float]  # an estimate, and its bounds on either side


class Tried(Fact):
    """The figures of a criterion in the runs of one attack."""

    attack: str
    """The name of the attack."""
    outcome: Outcome
    """Whether the criterion is met under it."""
    figure: float | None
    """The estimate that the criterion bounds, of the worst hospital where each is bounded; None
    where no seed has a figure.
    """
    lower: float | None
    """The estimate's one-sided lower bound; None where nothing bounds it on this side."""
    upper: float | None
    """The estimate's one-sided upper bound; None where nothing bounds it on this side."""
    hospital: str | None
    """The worst hospital; None where the criterion is about the consortium."""
    seeds: tuple[int, ...]
    """The seeds of the runs."""
    n_trials: int
    """The number of trials, for a criterion over a rate."""
    reasons: tuple[str, ...]
    """Why nothing is decided; empty otherwise."""
    text: str
    """The outcome in words."""
    runs: tuple[Source, ...]
    """The runs that it stands on."""


class Judged(Fact):
    """A criterion with its outcome, in words and in figures."""

    id: str
    """The criterion's id in the design."""
    threat: str
    """The id of the threat that it is about."""
    adversary: str
    """The adversary's id in the design."""
    metric: str
    """The metric that it bounds."""
    over: str
    """What is bounded: the mean over seeds, the worst seed, the worst hospital, or a rate."""
    bound: str
    """``at_least``, ``at_most``, or ``loss_at_most`` against the run without the attack."""
    limit: float
    """The bound, in the unit of the metric."""
    alpha: float
    """How often the judgement may err."""
    outcome: Outcome
    """Whether it is met; ``inconclusive`` where that is not decided."""
    stated: Stated
    """Whether the criterion was there before the runs."""
    text: str
    """The outcome in words."""
    decisive: str | None
    """The attack that decides: the one that comes nearest to the bound or is beyond it; None where
    none was tried.
    """
    reasons: tuple[str, ...]
    """Why nothing is decided; empty otherwise."""
    tried: tuple[Tried, ...]
    """What the runs of each attack show."""

    @property
    def shown(self) -> Tried | None:
        """The figures of the attack that decides; None without one."""
        return next((one for one in self.tried if one.attack == self.decisive), None)


@dataclass(frozen=True)
class Series:
    """Figures by seed, turned so that a larger one is worse; of one hospital or of the consortium.

    ``lost``: seeds in which the attack left no figure though the control has one. Such a seed
    counts with the worst value that there is; but where nobody knows what it would have been
    (``unknown``, of ``lost``), it counts for the lower bound with the best.
    """

    known: tuple[float, ...]
    hospital: str | None
    reach: Range
    lost: int = 0
    unknown: int = 0

    @property
    def values(self) -> tuple[float, ...]:
        """The figures of all seeds, at their worst."""
        return (*self.known, *[self.reach.high] * self.lost)

    @property
    def at_best(self) -> tuple[float, ...]:
        """The same, with what nobody knows at its best."""
        certain = self.lost - self.unknown
        return (*self.known, *[self.reach.high] * certain, *[self.reach.low] * self.unknown)


def judge(
    criterion: Criterion,
    threat: Threat,
    cells: Sequence[Cell],
    missing: Mapping[str, str],
    lines: Mapping[str, Line],
    claims: Mapping[str, int],
) -> Judged:
    """A criterion judged by ``cells``: the runs of its threat's attacks on the declared stack.

    ``missing``: attacks that should have been tried and were not, each with the reason. ``claims``:
    how many bytes of evidence there were when the criterion was stated. Where attacks of a threat
    measure different things, those decide that measure the criterion's metric.
    """
    measuring = [cell for cell in cells if _measures(cell, criterion.metric)]
    cells = measuring or cells
    n_tests = sum(_n_series(criterion, cell) for cell in cells)
    tried = [_tried(criterion, threat, cell, max(1, n_tests), lines) for cell in cells]
    lacking = [(reason, one.attack) for one in tried for reason in one.reasons]
    absent = [(reason, attack) for attack, reason in missing.items()]
    outcome = _together([one.outcome for one in tried], bool(absent) or not tried)
    reasons = by_reason([*lacking, *absent])
    if not tried and not absent:
        reasons = ("no attack of it was run with what the adversary declares",)
    undecided = reasons if outcome == "inconclusive" else ()
    decisive = _decisive(criterion, tried, outcome)
    return Judged(
        id=criterion.id,
        threat=criterion.threat,
        adversary=criterion.adversary,
        metric=criterion.metric,
        over=criterion.over,
        bound=criterion.bound[0],
        limit=criterion.bound[1],
        alpha=criterion.alpha,
        outcome=outcome,
        stated=when(
            claimed(criterion)[0], (run.run for one in tried for run in one.runs), lines, claims
        ),
        text=_sentence(criterion, threat, outcome, decisive, undecided, len(tried)),
        decisive=decisive.attack if decisive else None,
        reasons=undecided,
        tried=tuple(tried),
    )


def _measures(cell: Cell, metric: str) -> bool:
    """Whether a run of the cell states the metric, defined or not."""
    return any(run.has(metric) for run in cell.runs.values())


def measured_for(criterion: Criterion, threat: Threat) -> Measured:
    """The metric of a criterion with the control that its threat compares it with."""
    for measured in threat.metrics:
        if measured.metric == criterion.metric:
            return measured
    if METRICS[criterion.metric].basis == "trials":
        return against_attack_free(criterion.metric).model_copy(update={"control": "undefended"})
    return against_attack_free(criterion.metric)


def by_reason(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Reasons, each once, with the plain names of the attacks that it holds for.

    >>> by_reason([("not run", "alie"), ("not run", "sign_flip")])
    ('not run (hidden shift and sign flipping)',)
    """
    found: dict[str, dict[str, None]] = {}
    for reason, attack in pairs:
        found.setdefault(reason, {})[attack] = None
    return tuple(
        f"{reason} ({listed(map(titles.attack, attacks))})" for reason, attacks in found.items()
    )


def claimed(criterion: Criterion) -> tuple[str, str]:
    """A criterion as a claim: its id, which follows from its content, and its words."""
    text = f"{wording(criterion)} under {criterion.threat} by {criterion.adversary}"
    return "CR-" + digest(criterion.model_dump(mode="json")), f"{criterion.id}: {text}"


def wording(criterion: Criterion) -> str:
    """The wording of a criterion.

    >>> wording(Criterion(id="a", threat="THR-BYZ", adversary="x", metric="auroc", over="mean",
    ...                   loss_at_most=0.05, min_seeds=5))
    'the mean loss of AUROC is at most 0.05'
    """
    key, value = criterion.bound
    what = METRICS[criterion.metric].text
    figure = {
        "mean": "the mean {}",
        "worst_seed": "the {} of the worst seed",
        "worst_hospital": "the {} of the worst hospital",
        "rate": "the {}",
    }[criterion.over]
    named_ = figure.format(f"loss of {what}" if key == "loss_at_most" else what)
    return f"{named_} is {'at least' if key == 'at_least' else 'at most'} {value:g}"


def _tried(
    criterion: Criterion, threat: Threat, cell: Cell, n_tests: int, lines: Mapping[str, Line]
) -> Tried:
    measured = measured_for(criterion, threat)
    runs = [cell.runs[seed] for seed in acted(cell)]
    worst: Series | None = None
    if criterion.over == "rate" and criterion.bound[0] != "loss_at_most":
        n_seeds, found, outcome = _rate(criterion, runs, n_tests)
    else:
        worst, found, outcome = _of_series(criterion, measured, cell, n_tests)
        n_seeds = len(worst.values) if worst else 0
    reasons = [
        *doubts(cell, measured, [run.seed for run in runs]),
        *_too_few(criterion, runs, n_seeds),
    ]
    judged: Outcome = "inconclusive" if reasons else outcome
    return Tried(
        attack=cell.attack,
        outcome=judged,
        figure=found[0] if found else None,
        lower=_finite(found[1]) if found else None,
        upper=_finite(found[2]) if found else None,
        hospital=worst.hospital if worst else None,
        seeds=tuple(run.seed for run in runs),
        n_trials=_n_trials(criterion.metric, runs),
        reasons=tuple(reasons),
        text=_figures(criterion, cell, found, worst, runs, judged),
        runs=tuple(Source(run=run.run, line=lines[run.run].hash) for run in runs),
    )


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _too_few(criterion: Criterion, runs: Sequence[RunRecord], n_seeds: int) -> Iterator[str]:
    what = METRICS[criterion.metric]
    needed = criterion.min_seeds
    if needed is not None and n_seeds < needed:
        yield f"{count(n_seeds, 'seed')} with a figure, {needed} needed"
    elif n_seeds < len(runs):
        yield f"{len(runs) - n_seeds} of {len(runs)} seeds have no {what.text} to compare"
    n_trials = _n_trials(criterion.metric, runs)
    if criterion.min_trials is not None and n_trials < criterion.min_trials:
        yield f"{n_trials} {what.counted or 'figures'}, {criterion.min_trials} needed"


def _n_trials(metric: str, runs: Sequence[RunRecord]) -> int:
    found = [run.outcome(metric) for run in runs]
    return sum(one.n or 1 for one in found if one is not None and one.value is not None)


def _rate(
    criterion: Criterion, runs: Sequence[RunRecord], n_tests: int
) -> tuple[int, Figure | None, Outcome]:
    tried = counts(runs, criterion.metric)
    if not tried.seeds:
        return 0, None, "inconclusive"
    upper = bounds.of_records(tried.successes, tried.sizes, criterion.alpha)
    lower = bounds.of_records(tried.successes, tried.sizes, criterion.alpha / n_tests)
    figure = (upper.share, lower.lower, upper.upper)
    if figure[1] > criterion.bound[1]:
        return len(tried.seeds), figure, "not_met"
    return len(tried.seeds), figure, "met" if figure[2] <= criterion.bound[1] else "inconclusive"


def _of_series(
    criterion: Criterion, measured: Measured, cell: Cell, n_tests: int
) -> tuple[Series | None, Figure | None, Outcome]:
    """The series that is worst for the criterion, its figure and what follows from all of them."""
    found = [
        (one, _bounded(criterion, one, n_tests))
        for one in _series(criterion, measured, cell)
        if one.values
    ]
    if not found:
        return None, None, "inconclusive"
    threshold = _threshold(criterion)
    worst, figure = max(found, key=lambda pair: (pair[1][2], pair[1][0]))
    outcome: Outcome = "met" if figure[2] <= threshold else "inconclusive"
    if any(one[1] > threshold for _, one in found):
        outcome = "not_met"
    return worst, _turned(criterion, figure), outcome


def _series(criterion: Criterion, measured: Measured, cell: Cell) -> Iterator[Series]:
    first = next(iter(cell.runs.values()))
    reach = _reach(criterion)
    hospitals: list[str | None] = [None]
    if criterion.over == "worst_hospital":
        hospitals = [one.hospital for one in first.hospitals]
    for hospital in hospitals:
        if criterion.bound[0] == "loss_at_most":
            cost = losses(cell, measured, hospital)
            known = tuple(cost.known.values())
            yield Series(known, hospital, reach, len(cost.without), len(cost.unknown))
        else:
            values, lost = _figures_of(criterion, cell, hospital)
            yield Series(tuple(values), hospital, reach, lost)


def _figures_of(criterion: Criterion, cell: Cell, hospital: str | None) -> tuple[list[float], int]:
    """Figures of the attacked runs, and in how many of them it is lost."""
    values = list[float]()
    lost = 0
    for seed in acted(cell):
        value = cell.runs[seed].value(criterion.metric, hospital)
        if value is not None:
            values.append(_sign(criterion) * value)
        elif cell.attack_free[seed].value(criterion.metric, hospital) is not None:
            lost += 1
    return values, lost


def _n_series(criterion: Criterion, cell: Cell) -> int:
    hospitals = len(next(iter(cell.runs.values())).hospitals)
    return hospitals if criterion.over == "worst_hospital" else 1


def _bounded(criterion: Criterion, series: Series, n_tests: int) -> Figure:
    values = series.values
    if criterion.over == "worst_seed":
        return max(values), max(series.at_best), max(values)
    mean = sum(values) / len(values)
    upper = bounds.of_mean(values, series.reach, criterion.alpha).upper
    lower = bounds.of_mean(series.at_best, series.reach, criterion.alpha / n_tests).lower
    return mean, lower, upper


def _sign(criterion: Criterion) -> int:
    return -1 if criterion.bound[0] == "at_least" else 1


def _threshold(criterion: Criterion) -> float:
    return _sign(criterion) * criterion.bound[1]


def _turned(criterion: Criterion, figure: Figure) -> Figure:
    """A figure turned back: where a larger one is better, the bounds change places."""
    estimate, lower, upper = figure
    return (-estimate, -upper, -lower) if _sign(criterion) < 0 else figure


def _reach(criterion: Criterion) -> Range:
    low, high = METRICS[criterion.metric].range
    if criterion.bound[0] == "loss_at_most":
        return Range(low - high, high - low)
    return Range(-high, -low) if _sign(criterion) < 0 else Range(low, high)


def _together(outcomes: Sequence[Outcome], lacking: bool) -> Outcome:
    if "not_met" in outcomes:
        return "not_met"
    return "inconclusive" if lacking or "inconclusive" in outcomes else "met"


def _decisive(criterion: Criterion, tried: Sequence[Tried], outcome: Outcome) -> Tried | None:
    """Of the attacks with the criterion's outcome the one whose figure is worst."""
    of_it = [one for one in tried if one.outcome == outcome]

    sign = _sign(criterion)

    def badness(one: Tried) -> tuple[float, float]:
        bound = one.lower if sign < 0 else one.upper
        worst = math.inf if bound is None else sign * bound
        return worst, math.inf if one.figure is None else sign * one.figure

    return max(of_it, key=badness, default=None)


def _figures(
    criterion: Criterion,
    cell: Cell,
    found: Figure | None,
    worst: Series | None,
    runs: Sequence[RunRecord],
    outcome: Outcome,
) -> str:
    """The figures of one attack, in words."""
    if not runs:
        return f"{titles.attack_first(cell.attack)} was run, and no seed of it counts."
    what = METRICS[criterion.metric].text
    under = f"Under {titles.attack(cell.attack)}"
    if found is None:
        return f"{under} no seed has a figure of {what}; runs {named(runs)}."
    value = f"loss of {what}" if criterion.bound[0] == "loss_at_most" else what
    value = f"mean {value}" if criterion.over == "mean" else value
    tried = count(len(runs), "seed")
    if criterion.over == "rate":
        tried += f", {_n_trials(criterion.metric, runs)} {METRICS[criterion.metric].counted}"
    estimate = found[0]
    if not math.isfinite(estimate):
        return f"{under} there is no {value} ({tried}); runs {named(runs)}."
    if criterion.over == "worst_seed":
        share = bounds.of_seeds(0, len(runs), alpha=criterion.alpha).upper
        return (
            f"{under} the {value} of the worst seed was {written.figure(estimate)} ({tried}; up to"
            f" {at_most(share)} of seeds may be worse); runs {named(runs)}."
        )
    at = f" of {worst.hospital}" if worst and worst.hospital else ""
    if worst and worst.lost:
        at += f" (in {worst.lost} runs the attack left none, which counts as the worst)"
    return (
        f"{under} the {value}{at} was {written.figure(estimate)}, with"
        f" {100 * (1 - criterion.alpha):g} % confidence {_side(criterion, found, outcome)}"
        f" ({tried}); runs {named(runs)}."
    )


def _side(criterion: Criterion, found: Figure, outcome: Outcome) -> str:
    """The bound that an outcome rests on; both where it is not decided."""
    _, lower, upper = found
    if outcome == "inconclusive":
        parts = []
        if math.isfinite(lower):
            parts.append(f"at least {written.figure(lower)}")
        if math.isfinite(upper):
            parts.append(f"at most {written.figure(upper)}")
        return f"each {' and '.join(parts) or 'without a bound'}"
    at_least = (outcome == "met") == (criterion.bound[0] == "at_least")
    return f"at least {written.figure(lower)}" if at_least else f"at most {written.figure(upper)}"


def _sentence(
    criterion: Criterion,
    threat: Threat,
    outcome: Outcome,
    decisive: Tried | None,
    reasons: Sequence[str],
    n_tried: int,
) -> str:
    asked = f"{criterion.id} asks that {wording(criterion)}"
    against = f"against the threat {threat.id} ({threat.name}) by {criterion.adversary}"
    found = {"met": "is met", "not_met": "is not met", "inconclusive": "is not decided"}[outcome]
    attacks = count(n_tried, "attack")
    figures = f" {decisive.text}" if decisive else ""
    why = f" Why it is not decided: {'; '.join(reasons)}." if reasons else ""
    return f"{asked} {against}. It {found} ({attacks} tried).{figures}{why}"
