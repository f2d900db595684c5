"""The loss of each seed under attack, against the seed's control: the trials of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.evidence import RunRecord
from sim.evidence.metrics import METRICS
from threats.catalog import Measured
from threats.cells import Cell
from threats.findings import controls, may_be_lost


@dataclass(frozen=True)
class Losses:
    """Losses by seed; a positive one is harm.

    ``lost`` and ``unknown``: seeds in which the control has a figure and the attacked run has none,
    as where its model is not finite. A score of the model, such as AUROC, is lost as a whole then,
    which is more than any figure shows; how often a mark would have worked, nobody knows.
    """

    known: dict[int, float]
    lost: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that count, in order."""
        return tuple(sorted((*self.known, *self.without)))

    @property
    def without(self) -> tuple[int, ...]:
        """Seeds in which the attacked run has no figure."""
        return (*self.lost, *self.unknown)


@dataclass(frozen=True)
class Counts:
    """Successes among records, seed by seed."""

    successes: tuple[int, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]


def against_attack_free(metric: str) -> Measured:
    """A metric of which one direction is harm, compared with the run in which nobody attacks."""
    harm = METRICS[metric].harm
    assert harm != "neither"
    return Measured(metric=metric, harm=harm, control="attack_free")


def acted(cell: Cell) -> list[int]:
    """Seeds with both controls in which the attack did something."""
    return [seed for seed in cell.controlled if cell.runs[seed].engagement.attack_engaged]


def losses(cell: Cell, measured: Measured, hospital: str | None = None) -> Losses:
    """The loss of each seed in a metric, of the consortium or of one ``hospital``.

    A seed whose control has no figure does not count.
    """
    sign = -1 if METRICS[measured.metric].harm == "lower" else 1
    known: dict[int, float] = {}
    without: list[int] = []
    for seed in acted(cell):
        before = _before(cell, seed, measured, hospital)
        after = cell.runs[seed].value(measured.metric, hospital)
        if before is not None and after is not None:
            known[seed] = sign * (after - before)
        elif before is not None:
            without.append(seed)
    if may_be_lost(measured):
        return Losses(known, lost=tuple(without))
    return Losses(known, unknown=tuple(without))


def counts(runs: Sequence[RunRecord], metric: str) -> Counts:
    """The counts of a rate in ``runs``; a run in which it is not defined does not count."""
    found = [(run.seed, one) for run in runs if (one := run.outcome(metric)) is not None]
    whole = [
        (seed, round(one.value * one.n), one.n)
        for seed, one in found
        if one.value is not None and one.n
    ]
    return Counts(
        successes=tuple(successes for _, successes, _ in whole),
        sizes=tuple(size for _, _, size in whole),
        seeds=tuple(seed for seed, _, _ in whole),
    )


def _before(cell: Cell, seed: int, measured: Measured, hospital: str | None) -> float | None:
    if measured.beside:
        return cell.runs[seed].value(measured.beside, hospital)
    control = controls(cell, measured).get(seed)
    return None if control is None else control.value(measured.metric, hospital)
