"""The truth of a run: the simulator's observers hold it, and measure what no party can know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.design.site import Site
from sim.seeds import Key
from sim.types import Backdoor, Consortium


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """All hospitals with their records, who really is hostile, and triggers of backdoors by name.

    ``sites``: of all hospitals, in order of their names; from their keys follows what each trained
    on. ``key``: of the observers' own draws.
    """

    consortium: Consortium
    hostile: tuple[str, ...]
    backdoors: Mapping[str, Backdoor]
    sites: tuple[Site, ...]
    key: Key

    def site(self, hospital: str) -> Site:
        """The site of a hospital by its name."""
        return next(site for site in self.sites if site.name == hospital)
