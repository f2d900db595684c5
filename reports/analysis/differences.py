"""The changes between the runs of two folders, cell by cell and figure by figure.

A cell is an attack under a defense, with a number of hostile hospitals. Every change is the mean
after minus the mean before. Seeds pair where both folders have them with the same data and the same
hostile hospitals; then the interval is of their differences, else it is Welch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal, NamedTuple

import polars as pl

from reports.analysis import backdoors
from sim.evidence import RunRecord, intervals
from sim.evidence.configured import texts
from sim.evidence.intervals import CHANGE, HARMED, Interval
from sim.evidence.metrics import ANY, METRICS, SHARE, SIMILARITY, SUMMED_SHARE, Harm, is_material

Outcome = Literal["worse", "better", "not decided"]
Basis = Literal["paired", "welch"]
Cell = tuple[str, str, int | None]  # attack, defense, hostile hospitals where their number varies

EXCESS: Final = "backdoor_excess"  # success of a backdoor beyond false triggers
EXCESS_TEXT: Final = "success of the backdoor beyond false triggers"
SHARES: Final = (SHARE, SUMMED_SHARE, SIMILARITY)  # ranges in which a material drop has a meaning
EXACT: Final = 1e-9  # what rounding leaves of two equal figures
SCHEMA: Final = {
    **dict.fromkeys(("attack", "defense"), pl.String),
    "n_hostile": pl.Int64,
    **dict.fromkeys(("metric", "text", "harm", "basis", "outcome"), pl.String),
    **dict.fromkeys(("n_before", "n_after", "n_pairs"), pl.Int64),
    **dict.fromkeys(("before", "after", "change", "low", "high"), pl.Float64),
    "worst": pl.Float64,
    "worst_seed": pl.Int64,
    **dict.fromkeys(("n_worse", "n_material", "n_lost", "n_regained"), pl.Int64),
    "within": pl.Boolean,
}


class Figures(NamedTuple):
    """The figures of one metric in the runs of a cell by seed; None where one is not defined.

    ``counted``: what each counts, where it is a rate.
    """

    values: Mapping[int, float | None]
    counted: Mapping[int, int]


@dataclass(frozen=True)
class Side:
    """The runs of a folder by cell, each by seed, and the names of its defenses in the comparison.

    ``named``: what a defense is called here, where two folders give other names to one thing.
    """

    cells: Mapping[Cell, Mapping[int, RunRecord]]


@dataclass(frozen=True)
class Value:
    """A value of the configuration that differs, and the cells in which it does.

    ``cells``: None where it does in all that both folders have.
    """

    key: str
    before: str
    after: str
    cells: tuple[Cell, ...] | None


def side(
    records: Sequence[RunRecord], *, by_number: bool, names: Mapping[str, str] | None = None
) -> Side:
    """The runs of a folder by cell.

    ``by_number``: whether cells are of one number of hostile hospitals. ``names``: what a defense
    is called in the comparison, where its own name is another.
    """
    found = dict[Cell, dict[int, RunRecord]]()
    for record in records:
        defense = (names or {}).get(record.defense, record.defense)
        cell = record.attack, defense, record.n_hostile if by_number else None
        found.setdefault(cell, {})[record.seed] = record
    return Side(found)


def common(before: Side, after: Side) -> list[Cell]:
    """The cells that both folders have, in the order of the first."""
    return [cell for cell in before.cells if cell in after.cells]


def changes(before: Side, after: Side, drop: float) -> pl.DataFrame:
    """One row for each figure with a direction of harm in each cell that both folders have.

    ``change`` of the mean with ``low`` and ``high``; ``basis``: whether seeds pair. ``n_pairs``:
    seeds that do. ``worst``: the change of the seed that fares worst, ``worst_seed``; ``n_worse``:
    seeds that fare worse, ``n_material`` by at least ``drop``. ``n_lost``: seeds with a figure
    before and none after, which count as worse; ``n_regained``: the other way. Without pairs these
    are null. ``outcome``: ``worse`` or ``better`` where that is shown, else ``not decided``;
    ``within``: no seed and no bound of a shared figure reaches ``drop`` on either side.
    """
    rows = [
        row
        for cell in common(before, after)
        for row in _of_cell(cell, before.cells[cell], after.cells[cell], drop)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def paired_seeds(
    before: Mapping[int, RunRecord], after: Mapping[int, RunRecord]
) -> list[int] | None:
    """The seeds that two cells share; None where there are none, or data or the hostile differ."""
    shared = sorted(set(before) & set(after))
    alike = all(
        before[seed].data_hash == after[seed].data_hash
        and set(before[seed].hostile) == set(after[seed].hostile)
        for seed in shared
    )
    return shared if shared and alike else None


def configuration(before: Side, after: Side) -> list[Value]:
    """The values of the configuration that differ in cells that both folders have.

    Seeds and names are left out.
    """
    cells = common(before, after)
    found = dict[tuple[str, str, str], list[Cell]]()
    for cell in cells:
        old = _values(next(iter(before.cells[cell].values())))
        new = _values(next(iter(after.cells[cell].values())))
        for key in sorted({*old, *new}):
            pair = old.get(key, "absent"), new.get(key, "absent")
            if pair[0] != pair[1]:
                found.setdefault((key, *pair), []).append(cell)
    return [
        Value(*three, None if len(places) == len(cells) else tuple(places))
        for three, places in found.items()
    ]


def _values(record: RunRecord) -> dict[str, str]:
    left_out = ("seed", "label", "defense.name")
    about = {"data": record.data_source, "code": record.code, "hospitals": str(record.n_hospitals)}
    found = texts(record.config)
    return {**about, **{key: value for key, value in found.items() if key not in left_out}}


def _of_cell(
    cell: Cell,
    before: Mapping[int, RunRecord],
    after: Mapping[int, RunRecord],
    drop: float,
) -> Iterator[dict[str, object]]:
    attack, defense, n_hostile = cell
    seeds = paired_seeds(before, after)
    old = _figures(before)
    new = _figures(after)
    for metric in old:
        if metric in new:
            known = METRICS.get(metric)
            yield {
                "attack": attack,
                "defense": defense,
                "n_hostile": n_hostile,
                "metric": metric,
                "text": EXCESS_TEXT if known is None else known.text,
                "harm": "higher" if known is None else known.harm,
                **_change(metric, old[metric], new[metric], seeds, drop),
            }


def _figures(runs: Mapping[int, RunRecord]) -> dict[str, Figures]:
    """The figures of the consortium that have a direction of harm and vary between seeds."""
    names = dict.fromkeys(
        one.metric
        for run in runs.values()
        for one in run.outcomes
        if one.scope == "consortium"
        and METRICS[one.metric].harm != "neither"
        and METRICS[one.metric].basis != "none"
    )
    found = dict[str, Figures]()
    for metric in names:
        of = {seed: run.outcome(metric) for seed, run in runs.items()}
        values = {seed: None if one is None else one.value for seed, one in of.items()}
        counted = {seed: one.n for seed, one in of.items() if one is not None and one.n is not None}
        is_rate = METRICS[metric].basis != "seeds"
        found[metric] = Figures(values, counted if is_rate else {})
    if "backdoor_success" in found:
        sizes = found["backdoor_success"].counted
        found[EXCESS] = Figures({seed: backdoors.gain(run) for seed, run in runs.items()}, sizes)
    return found


def _change(
    metric: str, old: Figures, new: Figures, seeds: Sequence[int] | None, drop: float
) -> dict[str, object]:
    harm: Harm = METRICS[metric].harm if metric in METRICS else "higher"
    sign = -1 if harm == "lower" else 1
    before = {seed: value for seed, value in old.values.items() if value is not None}
    after = {seed: value for seed, value in new.values.items() if value is not None}
    both = [seed for seed in seeds or () if seed in before and seed in after]
    lost = sum(seed in before and seed not in after for seed in seeds or ())
    regained = sum(seed in after and seed not in before for seed in seeds or ())
    material = drop if metric == EXCESS or METRICS[metric].range in SHARES else None
    row: dict[str, object] = {
        "n_before": len(before),
        "n_after": len(after),
        "n_lost": lost if seeds is not None else None,
        "n_regained": regained if seeds is not None else None,
    }
    if seeds is None:
        found = _unpaired(metric, before, after, old, new)
        differences = list[float]()
        row |= {"basis": "welch", "n_pairs": 0} | found
    else:
        differences = [after[seed] - before[seed] for seed in both]
        interval = _paired(metric, both, before, after, old)
        row |= {
            "basis": "paired",
            "n_pairs": len(both),
            "before": fmean(before[seed] for seed in both) if both else None,
            "after": fmean(after[seed] for seed in both) if both else None,
            "change": fmean(differences) if both else None,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
        }
    harms = [sign * one for one in differences]
    if harms:
        worst = max(range(len(harms)), key=harms.__getitem__)
        row |= {"worst": differences[worst], "worst_seed": both[worst]}
    if seeds is not None:
        reach = EXACT if material is None else material
        row |= {
            "n_worse": sum(one > EXACT for one in harms) + lost,
            "n_material": sum(is_material(one, reach) for one in harms) + lost,
        }
    return row | _judged(row, harms, sign, material, lost, regained)


def _paired(
    metric: str,
    seeds: Sequence[int],
    before: Mapping[int, float],
    after: Mapping[int, float],
    old: Figures,
) -> Interval | None:
    """The interval of the mean difference of seeds that pair."""
    first = [before[seed] for seed in seeds]
    second = [after[seed] for seed in seeds]
    sizes = [old.counted[seed] for seed in seeds if seed in old.counted]
    if len(sizes) == len(seeds) and sizes and _is_share(metric):
        return intervals.excess_interval(second, first, sizes)
    differences = [after[seed] - before[seed] for seed in seeds]
    if _is_share(metric):
        return intervals.change_interval(differences, first)
    return intervals.mean_interval(differences)


def _unpaired(
    metric: str,
    before: Mapping[int, float],
    after: Mapping[int, float],
    old: Figures,
    new: Figures,
) -> dict[str, object]:
    """Means and the interval of their difference where no seeds pair."""
    rates = bool(old.counted and new.counted) and _is_share(metric)
    counts = sum(old.counted.values()), sum(new.counted.values())
    reach = CHANGE if _is_share(metric) else ANY
    interval = intervals.unpaired_interval(
        list(before.values()), list(after.values()), reach, counts if rates else None
    )
    first = fmean(before.values()) if before else None
    second = fmean(after.values()) if after else None
    return {
        "before": first,
        "after": second,
        "change": None if first is None or second is None else second - first,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
    }


def _is_share(metric: str) -> bool:
    return metric == EXCESS or METRICS[metric].range == SHARE


def _judged(
    row: Mapping[str, object],
    harms: Sequence[float],
    sign: int,
    material: float | None,
    lost: int,
    regained: int,
) -> dict[str, object]:
    """Whether a cell is shown to be worse or better; ``harms``: paired differences, worse above 0.

    That takes every one of at least two seeds, or the mean with an interval that excludes 0, to
    reach the material drop; of a figure that is no share, for which there is no such drop, an
    interval that excludes 0. A figure that is lost is worse than any.
    """
    low = row.get("low")
    high = row.get("high")
    change = row.get("change")
    interval: Interval | None = None
    if isinstance(low, float) and isinstance(high, float):
        interval = Interval(low, high) if sign > 0 else Interval(-high, -low)
    mean = sign * change if isinstance(change, float) else None
    worse = _shown(harms, mean, interval, material, lost, regained)
    opposite = None if interval is None else Interval(-interval.high, -interval.low)
    turned = [-one for one in harms]
    better = _shown(turned, None if mean is None else -mean, opposite, material, regained, lost)
    outcome: Outcome = "worse" if worse else "better" if better else "not decided"
    within = (
        material is not None
        and interval is not None
        and lost == regained == 0
        and max(map(abs, interval)) < material
        and not any(is_material(abs(one), material) for one in harms)
        and len(harms) not in range(1, intervals.LEAST_WITHIN)
    )
    return {"outcome": outcome, "within": within}


def _shown(
    harms: Sequence[float],
    mean: float | None,
    interval: Interval | None,
    material: float | None,
    lost: int,
    regained: int,
) -> bool:
    """Whether it is shown that figures rose; ``lost``: seeds that rose beyond any figure."""
    if regained:
        return False
    if lost:
        reach = EXACT if material is None else material
        return lost + len(harms) > 1 and all(is_material(one, reach) for one in harms)
    if mean is None or interval is None:
        return False
    if material is None:
        return interval.low > 0
    if harms:
        return intervals.losses(harms, interval, material).verdict == HARMED
    return is_material(mean, material) and interval.low > 0
