"""The meaning of a cell of runs: doubts about it, and one sentence with its figure and uncertainty.

The figure, its control and its form follow from the threat's metrics in the catalog and from the
table of metrics; no attack is known here by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sim import titles
from sim.evidence import RunRecord, intervals
from sim.evidence.controls import NONE
from sim.evidence.intervals import HARMED, LEAST_HARMED, LEAST_WITHIN, WITHIN, Interval, Verdict
from sim.evidence.metrics import METRICS, is_material
from sim.evidence.written import change, count, figure, ranges, share, signed_points
from threats.catalog import Measured, Shown
from threats.cells import Cell

SEEDS_NEEDED = LEAST_WITHIN  # of a measurement that does not show harm


def stated(cell: Cell, metrics: Sequence[Measured]) -> Measured:
    """The first of a threat's ``metrics`` that the runs of ``cell`` measured, else the first."""
    measured = (one for one in metrics if any(run.has(one.metric) for run in cell.runs.values()))
    return next(measured, metrics[0])


def doubts(cell: Cell, measured: Measured, counted: Sequence[int] | None = None) -> list[str]:
    """Reasons why the runs of ``cell`` are no measurement, in words; empty if they are one.

    At least ``SEEDS_NEEDED`` seeds need both controls and a figure; harm is shown by
    ``LEAST_HARMED``. No run may leave the attack or the defense idle. An attack that achieves
    nothing undefended, or no more than where there was nothing to find, shows nothing about a
    defense that it is compared with. Where more was inferred than private training allows, the runs
    do not have the privacy that they state. ``counted``: the seeds that count, where these are not
    those with both figures; of these ``SEEDS_NEEDED`` are needed.
    """
    seeds = counted_seeds(cell, measured) if counted is None else counted
    few = len(seeds) < SEEDS_NEEDED
    if counted is None and len(seeds) >= LEAST_HARMED:
        few = few and not _harms(cell, measured, seeds)
    reasons = _void(cell)
    if few:
        return [
            *reasons,
            f"{_seeds(len(seeds))} with both controls, {SEEDS_NEEDED} needed",
            *omissions(cell, measured),
        ]
    return [*reasons, *_no_better(cell, measured, seeds)]


def _void(cell: Cell) -> list[str]:
    """Why runs show nothing, however many there are."""
    attacks = {seed: run.engagement.attack_engaged for seed, run in cell.runs.items()}
    reasons = _idle("attack", attacks)
    if cell.defense != NONE:
        defenses = {seed: run.engagement.defense_engaged for seed, run in cell.runs.items()}
        reasons += _idle("defense", defenses)
    exceeding = {
        seed for seed, run in cell.runs.items() if run.membership and run.membership.exceeds
    }
    if exceeding:
        reasons.append(f"more was inferred than private training allows in {_listed(exceeding)}")
    return reasons


def _no_better(cell: Cell, measured: Measured, seeds: Sequence[int]) -> list[str]:
    """Why an attack that achieves nothing shows nothing of a defense."""
    compared = measured.control == "undefended" and cell.defense != NONE
    if compared and _is_rate(measured) and not _recovers(cell, seeds, measured):
        return ["the attack found nothing even without the defense"]
    return _no_better_than_null(cell, seeds, measured)


def _no_better_than_null(cell: Cell, seeds: Sequence[int], measured: Measured) -> list[str]:
    """Why a figure tells nothing beside the same attack's where there was nothing to find."""
    null = METRICS[measured.metric].null
    if null is None:
        return []
    runs = cell.undefended if measured.control == "undefended" else cell.runs
    # records asked about and those of the null may differ in number
    if METRICS[measured.metric].basis != "trials":
        return _no_better_in_the_mean(runs, seeds, measured.metric, null)
    found, tried = _counts(runs, seeds, measured.metric)
    at_chance, tried_at_chance = _counts(runs, seeds, null)
    if tried_at_chance != tried:
        return [f"no {METRICS[null].text}"]
    if 0 < found <= at_chance:
        return [f"its figure is no larger than the {METRICS[null].text}"]
    return []


def _is_rate(measured: Measured) -> bool:
    """Whether a metric counts how many of how many."""
    return METRICS[measured.metric].is_rate


def _recovers(cell: Cell, seeds: Sequence[int], measured: Measured) -> bool:
    return _counts(cell.undefended, seeds, measured.metric)[0] > 0


def _no_better_in_the_mean(
    runs: Mapping[int, RunRecord], seeds: Sequence[int], metric: str, null: str
) -> list[str]:
    """Why a mean tells nothing beside its null: it has none, or is no further in harm's way."""
    found, at_chance = (
        [value for seed in seeds if seed in runs and (value := runs[seed].value(name)) is not None]
        for name in (metric, null)
    )
    if len(found) != len(at_chance) or not found:
        return [f"no {METRICS[null].text}"]
    lower = METRICS[metric].harm == "lower"
    further = sum(at_chance) > sum(found) if lower else sum(found) > sum(at_chance)
    if further:
        return []
    return [f"its figure is no {'smaller' if lower else 'larger'} than the {METRICS[null].text}"]


def omissions(cell: Cell, measured: Measured) -> list[str]:
    """The seeds of ``cell`` that do not count, and why."""
    where = "" if measured.beside else " in the run or its control"
    if may_be_lost(measured):
        where = " in the control"
    no_control = "no run without the defense in which the attack did something"
    no_figure = f"no {METRICS[measured.metric].text}{where}"
    lacking = {
        "no run without the attack": cell.runs.keys() - cell.attack_free.keys(),
        no_control: cell.runs.keys() - cell.undefended.keys(),
        no_figure: {seed for seed in cell.runs if _uncounted(cell, seed, measured)},
    }
    return [f"{what} for {_listed(seeds)}" for what, seeds in lacking.items() if seeds]


def counted_seeds(cell: Cell, measured: Measured) -> list[int]:
    """Seeds with both controls, and with a figure in the run and in the control to compare with.

    Where the figure is a score of the model, a run without one counts: it lost more than any figure
    shows.
    """
    return [seed for seed in cell.controlled if not _uncounted(cell, seed, measured)]


def may_be_lost(measured: Measured) -> bool:
    """Whether the figure is a score of a model; an attack that leaves none has lost all of it."""
    scored = METRICS[measured.metric].basis == "seeds" and not measured.beside
    return scored and measured.control == "attack_free"


def _uncounted(cell: Cell, seed: int, measured: Measured) -> bool:
    """Whether a figure is missing, in the run or in the control that is there."""
    if not may_be_lost(measured):
        return _lacks_figure(cell, seed, measured)
    control = controls(cell, measured).get(seed)
    return control is not None and control.value(measured.metric) is None


def _harms(cell: Cell, measured: Measured, seeds: Sequence[int]) -> bool:
    """Whether these seeds show harm, by the rule of ``intervals.verdict``.

    A record that was recovered is harm, and so are rounds skipped beyond those of the control; with
    fewer seeds than ``SEEDS_NEEDED``, beyond those of each seed's control.
    """
    if not _is_rate(measured) or measured.beside:
        return _lost(cell, measured, seeds).verdict == HARMED
    n, _ = _counts(cell.runs, seeds, measured.metric)
    if METRICS[measured.metric].basis == "trials":
        return n > 0
    if len(seeds) < SEEDS_NEEDED:
        return all(after > before for after, before in _pairs(cell, measured, seeds))
    return n > _counts(controls(cell, measured), seeds, measured.metric)[0]


def finding(cell: Cell, measured: Measured) -> str:
    """One sentence on ``cell``, empty where no figure can be stated.

    A figure is stated only if there are no doubts, with the seeds that show harm and the verdict.
    Records that an attack recovered are counted in any case, if there are any: that they were
    recovered is a fact without controls.
    """
    certain = not doubts(cell, measured)
    form = _FORMS["beside" if measured.beside else METRICS[measured.metric].basis]
    if certain:
        return form(cell, measured, counted_seeds(cell, measured))
    seeds = sorted(cell.runs)
    recovered = form is _recovered and _counts(cell.runs, seeds, measured.metric)[0]
    return form(cell, measured, seeds) if recovered else ""


def shown(cell: Cell, measured: Measured) -> Shown:
    """The sentence beside the figure of ``cell``: a figure alone states neither good nor bad.

    No harm is shown only where an interval ends below the material loss and no seed is left out;
    anything else but harm is not decided, and so is everything where there are doubts. A record
    that was recovered needs no further seed.
    """
    seeds = counted_seeds(cell, measured)
    if doubts(cell, measured):
        fact = METRICS[measured.metric].basis == "trials" and seeds and not _void(cell)
        harm = fact and not _no_better(cell, measured, seeds) and _harms(cell, measured, seeds)
        return "harm" if harm else "not_decided"
    if _harms(cell, measured, seeds):
        return "harm"
    if _is_rate(measured) and not measured.beside:
        n, of = _counts(cell.runs, seeds, measured.metric)
        within = intervals.rate_interval(n, of).high <= _drop(cell, seeds)
    else:
        within = _lost(cell, measured, seeds).verdict == WITHIN and len(seeds) == len(cell.runs)
    return "no_harm" if within else "not_decided"


@dataclass(frozen=True)
class _Lost:
    """What seeds lost, in harm's way, and what that shows by ``intervals.verdict``.

    ``losses``: of the seeds with a figure. ``interval``: of their mean, None below two.
    ``n_undefined``: seeds without a figure, whose control has one.
    """

    losses: list[float]
    interval: Interval | None
    n_undefined: int
    drop: float

    @property
    def verdict(self) -> Verdict:
        """What they show."""
        return intervals.verdict(self.losses, self.interval, self.drop, self.n_undefined)

    @property
    def n_material(self) -> int:
        """Seeds with a figure that lost the material drop."""
        return sum(is_material(one, self.drop) for one in self.losses)

    @property
    def mean(self) -> float:
        """The mean loss of the seeds with a figure, at least one."""
        return sum(self.losses) / len(self.losses)


def _lost(cell: Cell, measured: Measured, seeds: Sequence[int]) -> _Lost:
    """The losses of seeds: by how much a figure changed, or is larger than the one beside it."""
    pairs = _pairs(cell, measured, seeds)
    after = [one for one, _ in pairs]
    before = [other for _, other in pairs]
    drop = _drop(cell, seeds)
    changes = [one - other for one, other in pairs]
    if measured.beside:
        outcomes = [cell.runs[seed].outcome(measured.metric) for seed in seeds]
        counts = [one.n or 0 for one in outcomes if one is not None]
        return _Lost(changes, intervals.excess_interval(after, before, counts), 0, drop)
    interval = intervals.change_interval(changes, before)
    if _sign(measured) < 0:
        changes = [-one for one in changes]
        interval = None if interval is None else Interval(-interval.high, -interval.low)
    return _Lost(changes, interval, len(seeds) - len(pairs), drop)


def _sign(measured: Measured) -> int:
    """-1 for a figure whose fall is harm, else 1."""
    return -1 if METRICS[measured.metric].harm == "lower" else 1


def pair(cell: Cell, seed: int, measured: Measured) -> tuple[float, float] | None:
    """The figures of a run and of its control; None where one is missing or not defined."""
    control = cell.runs if measured.beside else controls(cell, measured)
    if seed not in control:
        return None
    after = cell.runs[seed].value(measured.metric)
    before = control[seed].value(measured.beside or measured.metric)
    return None if after is None or before is None else (after, before)


def controls(cell: Cell, measured: Measured) -> Mapping[int, RunRecord]:
    """The runs, by seed, that a metric is compared with."""
    return cell.attack_free if measured.control == "attack_free" else cell.undefended


def _lacks_figure(cell: Cell, seed: int, measured: Measured) -> bool:
    """Whether a run, or the control that is there, has no figure."""
    if measured.beside or seed in controls(cell, measured):
        return pair(cell, seed, measured) is None
    return cell.runs[seed].value(measured.metric) is None


def _pairs(cell: Cell, measured: Measured, seeds: Sequence[int]) -> list[tuple[float, float]]:
    return [one for seed in seeds if (one := pair(cell, seed, measured)) is not None]


def _changed(cell: Cell, measured: Measured, seeds: Sequence[int]) -> str:
    """A figure with an interval over seeds, as its change against the control."""
    metric = METRICS[measured.metric]
    sign = _sign(measured)
    found = _lost(cell, measured, seeds)
    verb = "lost" if metric.harm == "lower" else "gained"
    n = _seeds(len(found.losses))
    verdict = _verdict(found, len(seeds), len(cell.runs), "harm is shown")
    if not found.losses:
        return (
            f"{_by(cell, seeds)} left no {metric.text} in any of {_seeds(len(seeds))}: {verdict}."
        )
    bounds = "no interval"
    if found.interval is not None:
        low, high = sorted(sign * one for one in found.interval)
        bounds = f"95 % interval {change(low)} to {change(high)}"
    more = f"; no {metric.text} in {_seeds(found.n_undefined)} more"
    return (
        f"{_by(cell, seeds)} changed the {metric.text} by {change(sign * found.mean)}"
        f" ({bounds}, {n}, each against its own run without the attack);"
        f" {found.n_material} of {n} {verb} {found.drop:g} or more,"
        f" the largest change {change(sign * max(found.losses))}"
        f"{more if found.n_undefined else ''}: {verdict}."
    )


def _beside(cell: Cell, measured: Measured, seeds: Sequence[int]) -> str:
    """A rate beside that of the same run without the attack, and by how much it is larger."""
    pairs = _pairs(cell, measured, seeds)
    success = [after for after, _ in pairs]
    alone = [before for _, before in pairs]
    found = _lost(cell, measured, seeds)
    interval = found.interval
    assert interval is not None
    n = _seeds(len(seeds))
    if measured.control == "undefended":
        return _beyond_alone(cell, measured, found, interval, seeds)
    verdict = _verdict(found, len(seeds), len(cell.runs), "it is shown to work")
    return (
        f"{_by(cell, seeds)} put {share(sum(success) / len(seeds))} of marked patients into the"
        f" attacker's class, {share(sum(alone) / len(seeds))} in the same runs without the attack:"
        f" {signed_points(found.mean)} points beyond false triggers"
        f" (95 % interval {signed_points(interval.low)} to {signed_points(interval.high)}, {n});"
        f" in {found.n_material} of {n} {100 * found.drop:g} points or more,"
        f" at most {signed_points(max(found.losses))}: {verdict}."
    )


def _beyond_alone(
    cell: Cell, measured: Measured, found: _Lost, interval: Interval, seeds: Sequence[int]
) -> str:
    """A figure beside what needs no attack, and, of a defended cell, the same without a defense."""
    beside = measured.beside
    assert beside is not None

    def both(runs: Mapping[int, RunRecord]) -> str:
        values = [
            sum(runs[seed].value(metric) or 0.0 for seed in seeds) / len(seeds)
            for metric in (measured.metric, beside)
        ]
        return f"{figure(values[0])} beside {figure(values[1])}"

    verdict = _verdict(found, len(seeds), len(cell.runs), "more than a guess is shown")
    text = (
        f"{_named(cell)}: {METRICS[measured.metric].text}, beside {METRICS[beside].text}:"
        f" {both(cell.runs)}, {change(found.mean)}"
        f" (95 % interval {change(interval.low)} to {change(interval.high)}, {_seeds(len(seeds))},"
        f" {found.n_material} with {_drop(cell, seeds):g} or more): {verdict}"
    )
    if cell.defense == NONE:
        return f"{text}."
    return f"{text}; without the defense {both(cell.undefended)}."


def _verdict(found: _Lost, n: int, n_runs: int, harm: str) -> str:
    """The verdict on ``n`` seeds in words: no loss is shown only if no run is left out."""
    if found.verdict == HARMED:
        return harm
    if found.verdict == WITHIN and n == n_runs:
        return WITHIN
    return f"whether it does harm is not decided with {_seeds(n)}"


def _drop(cell: Cell, seeds: Sequence[int]) -> float:
    return float(cell.runs[seeds[0]].config["report"]["material_drop"])


def _by(cell: Cell, seeds: Sequence[int]) -> str:
    """The attack and by whom: hostile hospitals, an absence of honest ones, or both."""
    run = cell.runs[seeds[0]]
    away = len({name for names in run.absences.values() for name in names})
    hostile = f"{run.n_hostile} of {run.n_hospitals} hospitals"
    if not run.absences:
        return f"{_named(cell)} by {hostile}"
    if set(cell.attacks) == run.absences.keys():
        return f"{_named(cell)} ({away} of {run.n_hospitals} hospitals)"
    return f"{_named(cell)} by {hostile}, with up to {away} honest ones absent,"


def _named(cell: Cell) -> str:
    return titles.attack_first(cell.attack)


def _skipped(cell: Cell, measured: Measured, seeds: Sequence[int]) -> str:
    """A share of rounds, as counts."""
    shares = [after for after, _ in _pairs(cell, measured, seeds)]
    skipped, rounds = _counts(cell.runs, seeds, measured.metric)
    control, of_control = _counts(controls(cell, measured), seeds, measured.metric)
    text = (
        f"With {titles.attack(cell.attack)}, {skipped} of {rounds} rounds were skipped"
        f" ({share(sum(shares) / len(shares))}; by seed {share(min(shares))} to"
        f" {share(max(shares))}, {_seeds(len(seeds))});"
        f" {control} of {of_control} rounds in the same runs without the attack."
    )
    if not skipped:
        return text
    missing = sum(bool(skip.hostile) for seed in seeds for skip in cell.runs[seed].skips)
    return f"{text} Replies of hostile hospitals were missing in {missing} of the skipped rounds."


def _recovered(cell: Cell, measured: Measured, seeds: Sequence[int]) -> str:
    """A rate of trials, as counts with exact bounds."""
    found, attacked = _counts(cell.runs, seeds, measured.metric)
    low, high = intervals.rate_interval(found, attacked)
    n = sum(cell.runs[seed].has(measured.metric) for seed in seeds)
    text = (
        f"{_named(cell)} recovered {found:,} of {attacked:,} {METRICS[measured.metric].counted}"
        f" (95 % bounds {share(low)} to {share(high)}, {_seeds(n)})"
    )
    undefended, tried = _counts(cell.undefended, seeds, measured.metric)
    if cell.defense == NONE or not tried:
        return f"{text}."
    return f"{text}; {undefended:,} of {tried:,} without the defense."


# A sentence's form, by the basis of the metric's interval.
_FORMS: Mapping[str, Callable[[Cell, Measured, Sequence[int]], str]] = {
    "seeds": _changed,
    "clusters": _skipped,
    "trials": _recovered,
    "beside": _beside,
}


def _counts(runs: Mapping[int, RunRecord], seeds: Sequence[int], metric: str) -> tuple[int, int]:
    """How many of how many, over all ``seeds`` that have a share as their figure."""
    outcomes = [runs[seed].outcome(metric) for seed in seeds if seed in runs]
    found = [one for one in outcomes if one is not None]
    shares = [(one.value, one.n) for one in found if one.value is not None and one.n is not None]
    return sum(round(value * n) for value, n in shares), sum(n for _, n in shares)


def _idle(what: str, engaged: dict[int, bool | None]) -> list[str]:
    idle = {seed for seed, did in engaged.items() if not did}
    return [f"the {what} did nothing in {_listed(idle)}"] if idle else []


def _listed(seeds: Iterable[int]) -> str:
    found = sorted(seeds)
    return f"seed{'' if len(found) == 1 else 's'} {ranges(found)}"


def _seeds(n: int) -> str:
    return count(n, "seed")
