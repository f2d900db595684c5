"""The hospitals of a run as the simulator makes them: each with the plan and its own site."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sim.design.attack import AttackPlan
from sim.design.plan import FederationPlan
from sim.design.site import Site


@dataclass(frozen=True, eq=False)
class Simulated:
    """The source of all hospitals of one run. ``sites``: in order of the partitions."""

    plan: FederationPlan
    sites: tuple[Site, ...]
    attack: AttackPlan

    def site(self, partition: int, round_: int) -> Site:
        """The site of a hospital; of a hostile one while it attacks, its corrupted site."""
        own = self.sites[partition]
        if own.name in self.attack.hostile and self.attack.attacks_in(round_):
            return self._corrupted[own.name]
        return own

    @cached_property
    def _corrupted(self) -> dict[str, Site]:
        hostile = [site for site in self.sites if site.name in self.attack.hostile]
        return {site.name: self.attack.corrupted(site, self.plan) for site in hostile}
