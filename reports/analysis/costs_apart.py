"""The costs of defenses in two folders: privacy, messages, bytes and time, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import Final

import polars as pl

from reports.analysis.differences import Side
from sim.evidence import RunRecord
from sim.evidence.metrics import METRICS

SPENT: Final = ("epsilon", "patient_epsilon", "hospital_epsilon")  # computed: no interval
EXCHANGED: Final = ("messages", "bytes_sent", "bytes_received")
SECONDS: Final = "seconds"
SCHEMA: Final = {
    **dict.fromkeys(("defense", "metric", "text"), pl.String),
    **dict.fromkeys(("before", "after", "change"), pl.Float64),
}


def costs(before: Side, after: Side) -> pl.DataFrame:
    """One row for each kind of cost of a defense that either folder has.

    Of epsilon the largest of all runs; of messages and bytes of a hospital in a round, and of the
    seconds of a run by the clock, the mean over runs. Null where a folder does not state it.
    """
    rows = list(_rows(before, after))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _rows(before: Side, after: Side) -> Iterator[dict[str, object]]:
    old = _by_defense(before)
    new = _by_defense(after)
    for defense in dict.fromkeys([*old, *new]):
        for metric in (*SPENT, *EXCHANGED, SECONDS):
            pair = [_cost(metric, one.get(defense, [])) for one in (old, new)]
            if any(value is not None for value in pair):
                known = METRICS.get(metric)
                yield {
                    "defense": defense,
                    "metric": metric,
                    "text": "seconds of a run, by the clock" if known is None else known.text,
                    "before": pair[0],
                    "after": pair[1],
                    "change": None if None in pair else _minus(pair[1], pair[0]),
                }


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _by_defense(side: Side) -> dict[str, list[RunRecord]]:
    found = dict[str, list[RunRecord]]()
    for (_, defense, _), runs in side.cells.items():
        found.setdefault(defense, []).extend(runs.values())
    return found


def _cost(metric: str, runs: Iterable[RunRecord]) -> float | None:
    if metric == SECONDS:
        values = [run.seconds for run in runs]
        return fmean(values) if values else None
    found = [value for run in runs if (value := run.value(metric)) is not None]
    if not found:
        return None
    return max(found) if metric in SPENT else fmean(found)
