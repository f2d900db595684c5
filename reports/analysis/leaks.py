"""The findings of attacks that read, as cells of the heat map and the terminal state them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from reports.analysis import membership, tables
from sim.evidence import RunRecord
from sim.evidence.metrics import METRICS

Metric = Literal["reconstruction_rate", "membership_auc"]
GUESSING = 0.5  # an AUC


@dataclass(frozen=True)
class Leak:
    """The figure of one attack under one defense: records recovered, or the AUC of membership.

    ``value``: over all seeds; ``most``: in the seed with the most; ``null``: mean of what the same
    attack finds where there is nothing to find, None where that was not measured.
    """

    attack: str
    defense: str
    metric: Metric
    value: float
    most: float
    null: float | None
    n_seeds: int

    @property
    def level(self) -> float:
        """The figure from 0 (none, or guessing) to 1 (all)."""
        if self.metric == "reconstruction_rate":
            return self.value
        return max(0.0, (self.value - GUESSING) / (1 - GUESSING))


def leaks(
    records: Sequence[RunRecord],
    inversions: pl.DataFrame | None = None,
    asked: Sequence[membership.Cell] | None = None,
) -> list[Leak]:
    """One for each attack and defense: of records recovered, then of membership.

    ``inversions`` and ``asked``: what ``tables.inversions`` and ``membership.cells`` give for these
    runs, where it is there already.
    """
    inversions = tables.inversions(records) if inversions is None else inversions
    cells = membership.cells(records) if asked is None else asked
    inverted = inversions.drop_nulls("rate").iter_rows(named=True)
    found = [(row["attack"], row["defense"], row["rate"]) for row in inverted]
    of_members = [(one.attack, one.defense, one.auc.value) for one in cells]
    return [
        *(_leak(records, "reconstruction_rate", *one) for one in found),
        *(_leak(records, "membership_auc", *one) for one in of_members),
    ]


def _leak(
    records: Sequence[RunRecord], metric: Metric, attack: str, defense: str, value: float
) -> Leak:
    runs = [one for one in records if (one.attack, one.defense) == (attack, defense)]
    each = _values(runs, metric)
    nulls = _values(runs, METRICS[metric].null or "")
    null = sum(nulls) / len(nulls) if nulls else None
    return Leak(attack, defense, metric, value, max(each, default=value), null, len(each))


def _values(runs: Sequence[RunRecord], metric: str) -> list[float]:
    return [value for one in runs if (value := one.value(metric)) is not None]
