"""The frames of runs that several figures, tables and sentences read, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from reports.analysis import backdoors, costs, leaks, membership, ranking, tables, weights
from sim.evidence import RunRecord


@dataclass(frozen=True)
class Seen:
    """Runs with one number of hostile hospitals, and the frames of them that are asked for."""

    records: Sequence[RunRecord]

    @cached_property
    def sound(self) -> Seen:
        """The runs in which attack and defense did something; itself if that is all of them."""
        sound = [record for record in self.records if not tables.idle(record)]
        return self if len(sound) == len(self.records) else Seen(sound)

    @cached_property
    def drop(self) -> float:
        """The loss of AUROC that counts as material."""
        return tables.material_drop(self.records)

    @cached_property
    def cells(self) -> pl.DataFrame:
        """The cells, with AUROC."""
        return tables.cells(self.records)

    @cached_property
    def judged(self) -> pl.DataFrame:
        """The cells that AUROC judges."""
        return tables.judged_by_auroc(self.cells)

    @cached_property
    def attacked(self) -> pl.DataFrame:
        """The cells that AUROC judges and that somebody attacks."""
        return self.judged.filter(pl.col("attack") != "none")

    @cached_property
    def marked(self) -> pl.DataFrame:
        """The cells of backdoors."""
        return backdoors.backdoors(self.records, self.cells)

    @cached_property
    def ranked(self) -> pl.DataFrame:
        """The defenses by their worst backdoor."""
        return backdoors.ranked(self.records, self.marked)

    @cached_property
    def points(self) -> pl.DataFrame:
        """The tradeoff of each defense."""
        return tables.tradeoff(self.records, self.cells)

    @cached_property
    def cost(self) -> dict[str, str]:
        """The cost of each defense when nobody attacks, as a clause."""
        return ranking.costs(self.records, self.cells, self.selected)

    @cached_property
    def effects(self) -> pl.DataFrame:
        """Changes of each hospital by each defense when nobody attacks."""
        return tables.hospital_effects(self.records)

    @cached_property
    def prices(self) -> pl.DataFrame:
        """Costs of each defense for each hospital when nobody attacks."""
        return costs.costs(self.records, self.effects)

    @cached_property
    def selected(self) -> pl.DataFrame:
        """The hospitals that the rule of each cell used and left out."""
        return weights.selections(self.records)

    @cached_property
    def inversions(self) -> pl.DataFrame:
        """The cells of attacks that recover records."""
        return tables.inversions(self.records)

    @cached_property
    def inverted(self) -> pl.DataFrame:
        """The cells in which records were recovered or tried to be."""
        return self.inversions.drop_nulls("rate")

    @cached_property
    def asked(self) -> list[membership.Cell]:
        """The cells in which an attack asked who was trained on."""
        return membership.cells(self.records)

    @cached_property
    def read(self) -> list[leaks.Leak]:
        """The findings of attacks that read, by cell."""
        return leaks.leaks(self.records, self.inversions, self.asked)

    @cached_property
    def spent(self) -> pl.DataFrame:
        """The record-level privacy of each defense and hospital."""
        return tables.spent(self.records)
