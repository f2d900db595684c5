"""What a cell of runs amounts to: the doubts about it, and one sentence with its figure and its uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.evidence import RunRecord, intervals
from sim.evidence.intervals import HARMED, WITHIN, Interval, Losses
from threats.catalogue import Measure
from threats.cells import Cell

SEEDS_NEEDED = 3


def doubts(cell: Cell, measure: Measure) -> list[str]:
    """Why the runs of ``cell`` are no measurement, in words; empty if they are one.

    At least ``SEEDS_NEEDED`` seeds need both controls and a figure, and no run may leave the attack or the defense idle.
    Reconstruction that recovers nothing undefended shows nothing about a defense.
    """
    reasons = _idle("attack", {seed: run.engagement.attack_engaged for seed, run in cell.runs.items()})
    if cell.defense != "none":
        reasons += _idle("defense", {seed: run.engagement.defense_engaged for seed, run in cell.runs.items()})
    counted = counted_seeds(cell, measure)
    if len(counted) < SEEDS_NEEDED:
        reasons += [f"{_seeds(len(counted))} with both controls, {SEEDS_NEEDED} needed", *omissions(cell, measure)]
    elif measure == "records_recovered" and cell.defense != "none" and not _recovered(cell.undefended.values())[0]:
        reasons.append("the attack recovered nothing even without the defense")
    return reasons


def omissions(cell: Cell, measure: Measure) -> list[str]:
    """Which seeds of ``cell`` do not count, and why."""
    lacking = {
        "no run without the attack": cell.runs.keys() - cell.attack_free.keys(),
        "no run without the defense in which the attack did something": cell.runs.keys() - cell.undefended.keys(),
        "no reconstruction result": {
            seed for seed, run in cell.runs.items() if measure == "records_recovered" and not run.inversion
        },
        "no success of a backdoor": {
            seed for seed, run in cell.runs.items() if _stated(cell, measure) == "backdoor_success" and not _marked(run)
        },
        "no AUROC in the run or its control": _undefined(cell) if _stated(cell, measure) == "auroc_change" else set(),
        "a control without the attack that was never trained": (
            _untrained(cell) if _stated(cell, measure) == "auroc_change" else set()
        ),
    }
    return [f"{what} for {_listed(seeds)}" for what, seeds in lacking.items() if seeds]


def counted_seeds(cell: Cell, measure: Measure) -> list[int]:
    """Seeds with both controls and with the figure: for reconstruction also in the undefended control."""
    stated = _stated(cell, measure)
    if stated == "auroc_change":
        return [seed for seed in cell.controlled if seed not in _undefined(cell) | _untrained(cell)]
    if stated == "backdoor_success":
        return [seed for seed in cell.controlled if _marked(cell.runs[seed])]
    if stated == "rounds_skipped":
        return cell.controlled
    return [seed for seed in cell.controlled if cell.runs[seed].inversion and cell.undefended[seed].inversion]


def finding(cell: Cell, measure: Measure) -> str:
    """One sentence on ``cell``, empty where no figure can be stated.

    A change of AUROC and the success of a backdoor are stated only if there are no doubts, with the seeds that show harm and the
    verdict. Records that were recovered are stated in any case: that they were is a fact without controls.
    """
    certain, stated = not doubts(cell, measure), _stated(cell, measure)
    if stated == "auroc_change":
        return _auroc_change(cell, counted_seeds(cell, measure)) if certain else ""
    if stated == "backdoor_success":
        return _backdoor_success(cell, counted_seeds(cell, measure)) if certain else ""
    if stated == "rounds_skipped":
        return _rounds_skipped(cell, cell.controlled) if certain else ""
    seeds = counted_seeds(cell, measure) if certain else sorted(seed for seed, run in cell.runs.items() if run.inversion)
    found, attacked = _recovered(cell.runs[seed] for seed in seeds)
    return _records_recovered(cell, seeds, found, attacked) if certain or found else ""


def _stated(cell: Cell, measure: Measure) -> Measure:
    """What is stated of ``cell``: a threat of backdoors is told by AUROC where no mark was measured."""
    if measure == "backdoor_success" and not any(run.backdoor for run in cell.runs.values()):
        return "auroc_change"
    return measure


def _marked(run: RunRecord) -> tuple[float, float, int] | None:
    """Success and false triggers of the run's backdoor, and of how many; None where one of them is not defined."""
    one = run.backdoor
    if one is None or one.success is None or one.false_trigger is None:
        return None
    return one.success, one.false_trigger, one.n


def _undefined(cell: Cell) -> set[int]:
    """Seeds in which the run or its control without the attack has no AUROC."""
    controls = cell.attack_free
    lacking = {seed for seed, run in cell.runs.items() if run.outcome.auroc is None}
    return lacking | {seed for seed, run in controls.items() if run.outcome.auroc is None}


def _untrained(cell: Cell) -> set[int]:
    """Seeds whose control without the attack got no new model in any round."""
    return {seed for seed, run in cell.attack_free.items() if len(run.skipped_rounds) == run.rounds}


def _auroc_change(cell: Cell, seeds: Sequence[int]) -> str:
    pairs = [(cell.runs[seed].outcome.auroc, cell.attack_free[seed].outcome.auroc) for seed in seeds]
    before, changes = [], []
    for after, control in pairs:
        assert after is not None
        assert control is not None
        before.append(control)
        changes.append(after - control)
    interval = intervals.change_interval(changes, before)
    assert interval is not None
    drop = _drop(cell, seeds)
    found = intervals.losses([-change for change in changes], Interval(-interval.high, -interval.low), drop)
    return (
        f"{_by(cell, seeds)} changed the AUROC by {-found.mean:+.3f} (95 % interval {interval.low:+.3f} to {interval.high:+.3f}, "
        f"{_seeds(len(seeds))}, each against its own run without the attack); {found.n_material} of {_seeds(len(seeds))} "
        f"lost {drop:g} or more, the largest change {-found.worst:+.3f}: "
        f"{_verdict(found, len(seeds) < len(cell.runs), 'harm is shown')}."
    )


def _backdoor_success(cell: Cell, seeds: Sequence[int]) -> str:
    results = [one for one in (_marked(cell.runs[seed]) for seed in seeds) if one]
    success = [one[0] for one in results]
    false_trigger = [one[1] for one in results]
    interval = intervals.excess_interval(success, false_trigger, [one[2] for one in results])
    assert interval is not None
    drop = _drop(cell, seeds)
    found = intervals.losses([one - other for one, other in zip(success, false_trigger, strict=True)], interval, drop)
    n = len(seeds)
    return (
        f"{_by(cell, seeds)} put {sum(success) / n:.1%} of marked patients into the attacker's class, "
        f"{sum(false_trigger) / n:.1%} in the same runs without the attack: {100 * found.mean:+.1f} points beyond false "
        f"triggers (95 % interval "
        f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}, {_seeds(n)}); in {found.n_material} of {_seeds(n)} "
        f"{100 * drop:g} points or more, at most {100 * found.worst:+.1f}: "
        f"{_verdict(found, n < len(cell.runs), 'it is shown to work')}."
    )


def _verdict(found: Losses, lacking: bool, harm: str) -> str:
    """The verdict in words; seeds without a figure keep it from being that no loss is shown."""
    if found.verdict == HARMED:
        return harm
    if found.verdict == WITHIN and not lacking:
        return WITHIN
    return f"whether it does harm is not decided with {_seeds(found.n)}"


def _drop(cell: Cell, seeds: Sequence[int]) -> float:
    return float(cell.runs[seeds[0]].config["report"]["material_drop"])


def _by(cell: Cell, seeds: Sequence[int]) -> str:
    """The attack and whose it is: hostile hospitals', or an absence of honest ones, or both."""
    run = cell.runs[seeds[0]]
    away = len({name for names in run.absences.values() for name in names})
    hostile = f"{run.n_hostile} of {run.n_hospitals} hospitals"
    if not run.absences:
        return f"{cell.attack} by {hostile}"
    if set(cell.attacks) == run.absences.keys():
        return f"{cell.attack} of {away} of {run.n_hospitals} hospitals"
    return f"{cell.attack} by {hostile}, with up to {away} honest ones absent,"


def _rounds_skipped(cell: Cell, seeds: Sequence[int]) -> str:
    runs, controls = [cell.runs[seed] for seed in seeds], [cell.attack_free[seed] for seed in seeds]
    shares = [len(run.skipped_rounds) / run.rounds for run in runs]
    by_hostile = sum(bool(skip.hostile) for run in runs for skip in run.skips)
    text = (
        f"With {cell.attack}, {_skipped(runs)} were skipped ({sum(shares) / len(shares):.1%}; by seed {min(shares):.1%} to "
        f"{max(shares):.1%}, {_seeds(len(seeds))}); {_skipped(controls)} in the same runs without the attack."
    )
    if not any(run.skipped_rounds for run in runs):
        return text
    return f"{text} Replies of hostile hospitals were missing in {by_hostile} of the skipped rounds."


def _skipped(runs: Sequence[RunRecord]) -> str:
    return f"{sum(len(run.skipped_rounds) for run in runs)} of {sum(run.rounds for run in runs)} rounds"


def _records_recovered(cell: Cell, seeds: Sequence[int], found: int, attacked: int) -> str:
    low, high = intervals.rate_interval(found, attacked)
    bounds = f"95 % bounds {low:.1%} to {high:.1%}, {_seeds(len(seeds))}"
    text = f"{cell.attack} recovered {found} of {attacked} attacked records ({bounds})"
    bare, tried = _recovered(cell.undefended[seed] for seed in seeds if seed in cell.undefended)
    return f"{text}." if cell.defense == "none" or not tried else f"{text}; {bare} of {tried} without the defense."


def _recovered(runs: Iterable[RunRecord]) -> tuple[int, int]:
    results = [run.inversion for run in runs if run.inversion]
    return sum(result.n_recovered for result in results), sum(result.n_attacked for result in results)


def _idle(what: str, engaged: dict[int, bool | None]) -> list[str]:
    idle = {seed for seed, did in engaged.items() if not did}
    return [f"the {what} did nothing in {_listed(idle)}"] if idle else []


def _listed(seeds: Iterable[int]) -> str:
    names = [str(seed) for seed in sorted(seeds)]
    return ("seed " if len(names) == 1 else "seeds ") + ", ".join(names)


def _seeds(count: int) -> str:
    return f"{count} seed" + ("" if count == 1 else "s")
