"""The frames of runs that several sentences read, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from reports.analysis import backdoors, membership, tables
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
    def judged(self) -> pl.DataFrame:
        """The cells that AUROC judges."""
        return tables.judged_by_auroc(tables.cells(self.records))

    @cached_property
    def attacked(self) -> pl.DataFrame:
        """The cells that AUROC judges and that somebody attacks."""
        return self.judged.filter(pl.col("attack") != "none")

    @cached_property
    def marked(self) -> pl.DataFrame:
        """The cells of backdoors."""
        return backdoors.backdoors(self.records)

    @cached_property
    def inverted(self) -> pl.DataFrame:
        """The cells in which records were recovered or tried to be."""
        return tables.inversions(self.records).drop_nulls("rate")

    @cached_property
    def asked(self) -> list[membership.Cell]:
        """The cells in which an attack asked who was trained on."""
        return membership.cells(self.records)
