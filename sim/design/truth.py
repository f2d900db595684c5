"""What really is so: the simulator's observers hold it, to measure what the parties of a run cannot
know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.design.site import Site
from sim.seeds import Key
from sim.types import Backdoor, Consortium


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """All hospitals with their training and test records, who really is hostile, and the triggers
    of backdoors by name.

    ``sites``: of all hospitals, in order of their names: with their keys, from which follows what
    each trained on.
    ``key``: of the observers' own draws.
    """

    consortium: Consortium
    hostile: tuple[str, ...]
    backdoors: Mapping[str, Backdoor]
    sites: tuple[Site, ...]
    key: Key

    def site(self, hospital: str) -> Site:
        """The site of a hospital by its name."""
        return next(site for site in self.sites if site.name == hospital)
