"""What a cell of runs amounts to: the doubts about it, and one sentence with its figure and its uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim.evidence import RunRecord
from threats.catalogue import Measure
from threats.cells import Cell

SEEDS_NEEDED = 3
CONFIDENCE = 0.95


def doubts(cell: Cell, measure: Measure) -> list[str]:
    """Why the runs of ``cell`` are no measurement, in words; empty if they are one.

    At least ``SEEDS_NEEDED`` seeds need both controls, and no run may leave the attack or the defense idle. Reconstruction that
    recovers nothing undefended shows nothing about a defense.
    """
    reasons = _idle("attack", {seed: run.engagement.attack_engaged for seed, run in cell.runs.items()})
    if cell.defense != "none":
        reasons += _idle("defense", {seed: run.engagement.defense_engaged for seed, run in cell.runs.items()})
    counted = counted_seeds(cell, measure)
    if len(counted) < SEEDS_NEEDED:
        reasons += [f"{_seeds(len(counted))} with both controls, {SEEDS_NEEDED} needed", *omissions(cell, measure)]
    elif measure == "records_recovered" and cell.defense != "none" and not _recovered(cell.without_defense.values())[0]:
        reasons.append("the attack recovered nothing even without the defense")
    return reasons


def omissions(cell: Cell, measure: Measure) -> list[str]:
    """Which seeds of ``cell`` do not count, and why."""
    lacking = {
        "no AUROC of the run or of the one without the attack": set(cell.controlled) - set(_scored(cell))
        if measure == "auroc_change"
        else set[int](),
        "no run without the attack": cell.runs.keys() - cell.without_attack.keys(),
        "no run without the defense in which the attack did something": cell.runs.keys() - cell.without_defense.keys(),
        "no reconstruction result": {
            seed for seed, run in cell.runs.items() if measure == "records_recovered" and not run.inversion
        },
    }
    return [f"{what} for {_listed(seeds)}" for what, seeds in lacking.items() if seeds]


def counted_seeds(cell: Cell, measure: Measure) -> list[int]:
    """Seeds with both controls and a figure: an AUROC of the run and of the one without the attack, or a reconstruction result
    of the run and of its undefended control.
    """
    if measure == "auroc_change":
        return _scored(cell)
    if measure == "rounds_skipped":
        return cell.controlled
    return [seed for seed in cell.controlled if cell.runs[seed].inversion and cell.without_defense[seed].inversion]


def finding(cell: Cell, measure: Measure) -> str:
    """One sentence on ``cell``, empty where no figure can be stated.

    A change of AUROC or a share of skipped rounds is stated only if there are no doubts. Records that were recovered are
    stated in any case: that they were is a fact without controls.
    """
    certain = not doubts(cell, measure)
    if measure == "auroc_change":
        return _auroc_change(cell, counted_seeds(cell, measure)) if certain else ""
    if measure == "rounds_skipped":
        return _rounds_skipped(cell, cell.controlled) if certain else ""
    seeds = counted_seeds(cell, measure) if certain else sorted(seed for seed, run in cell.runs.items() if run.inversion)
    found, attacked = _recovered(cell.runs[seed] for seed in seeds)
    return _records_recovered(cell, seeds, found, attacked) if certain or found else ""


def _auroc_change(cell: Cell, seeds: Sequence[int]) -> str:
    pairs = ((cell.runs[seed].outcome.auroc, cell.without_attack[seed].outcome.auroc) for seed in seeds)
    changes = np.array([with_it - without for with_it, without in pairs if with_it is not None and without is not None])
    low, high = paired_interval(changes)
    run = cell.runs[seeds[0]]
    return (
        f"{cell.attack} {_by(cell, run)} changed the AUROC by {changes.mean():+.3f} "
        f"(95 % interval {low:+.3f} to {high:+.3f}, {_seeds(len(seeds))}, each against its own run without the attack)."
    )


def _by(cell: Cell, run: RunRecord) -> str:
    """Whose attack it is: hostile hospitals', or an absence of honest ones, or both."""
    away, hostile = (
        len({name for names in run.absences.values() for name in names}),
        f"{run.n_hostile} of {run.n_hospitals} hospitals",
    )
    if not run.absences:
        return f"by {hostile}"
    if set(cell.attacks) == run.absences.keys():
        return f"of {away} of {run.n_hospitals} hospitals"
    return f"by {hostile}, with up to {away} honest ones absent,"


def _rounds_skipped(cell: Cell, seeds: Sequence[int]) -> str:
    runs, controls = [cell.runs[seed] for seed in seeds], [cell.without_attack[seed] for seed in seeds]
    shares = [len(run.skipped_rounds) / run.rounds for run in runs]
    by_hostile = sum(bool(skip.hostile) for run in runs for skip in run.skips)
    text = (
        f"With {cell.attack}, {_skipped(runs)} were skipped ({np.mean(shares):.1%}; by seed {min(shares):.1%} to "
        f"{max(shares):.1%}, {_seeds(len(seeds))}); {_skipped(controls)} in the same runs without the attack."
    )
    if not any(run.skipped_rounds for run in runs):
        return text
    return f"{text} Replies of hostile hospitals were missing in {by_hostile} of the skipped rounds."


def _skipped(runs: Sequence[RunRecord]) -> str:
    return f"{sum(len(run.skipped_rounds) for run in runs)} of {sum(run.rounds for run in runs)} rounds"


def _scored(cell: Cell) -> list[int]:
    """Seeds with both controls in which the run and the one without the attack have an AUROC."""
    pairs = {seed: (cell.runs[seed], cell.without_attack[seed]) for seed in cell.controlled}
    return [seed for seed, runs in pairs.items() if all(run.outcome.auroc is not None for run in runs)]


def _records_recovered(cell: Cell, seeds: Sequence[int], found: int, attacked: int) -> str:
    low, high = exact_bounds(found, attacked)
    bounds = f"95 % bounds {low:.1%} to {high:.1%}, {_seeds(len(seeds))}"
    text = f"{cell.attack} recovered {found} of {attacked} attacked records ({bounds})"
    bare, tried = _recovered(cell.without_defense[seed] for seed in seeds if seed in cell.without_defense)
    return f"{text}." if cell.defense == "none" or not tried else f"{text}; {bare} of {tried} without the defense."


def paired_interval(changes: NDArray[np.float64]) -> tuple[float, float]:
    """Two-sided 95 % t interval of the mean of at least two paired differences (Student 1908)."""
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(changes) - 1) * stats.sem(changes)
    return float(changes.mean() - half), float(changes.mean() + half)


def exact_bounds(found: int, tried: int) -> tuple[float, float]:
    """Two-sided 95 % bounds of a rate (Clopper and Pearson 1934); trials are taken to be independent."""
    bounds = stats.binomtest(found, tried).proportion_ci(CONFIDENCE, method="exact")
    return float(bounds.low), float(bounds.high)


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
