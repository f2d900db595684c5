"""The visibility table of a design: what each party sees or derives of each asset in a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final, Literal, cast

import numpy as np

from sim.config.build import built
from sim.design import overlap
from sim.design import plan as plans
from sim.design.plan import FederationPlan
from sim.design.views import averages
from sim.errors import PluginError, RefusedError
from sim.evidence import Access
from sim.evidence.assets import ASSETS, COUNTS, GROUP, METRICS, MODEL, SUM, UPDATE
from sim.federation.protocols.secagg.terms import Parameters
from sim.names import CHAIN, CLEAR, MEAN, named
from sim.plugins import SELF
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.types import Pipeline, SecureAggregation

SEES: Final = "sees"
DERIVES: Final = "derives"
NO: Final = "no"
CLOSE: Final = 1e-5  # of small updates, which plug-ins may hold in float32

# what two models that follow each other show of the round between them
Shows = Literal["sum", "row", "other"]


def access(experiment: Experiment) -> list[Access]:
    """The table of a design, beside that of the same consortium without a defense.

    All assets are those of other hospitals. Metrics are the numbers that hospitals send beside
    updates. ``single update``: exactly, up to quantization and the factor of an unknown weight.
    """
    return [*_table(experiment.plan.text)]


@lru_cache(maxsize=256)
def _table(text: str) -> tuple[Access, ...]:
    """The table of the plan with this ``text``: runs of a comparison share few plans."""
    plan = plans.read(text)
    after = _Design(plan).cells
    before = _Design(undefended(plan)).cells
    grouped = 1 < len(plan.groups(1)) < len(plan.hospitals)
    assets = [asset for asset in ASSETS if asset != GROUP or grouped]
    return tuple(
        Access(
            party=party,
            before={asset: before[party].get(asset, NO) for asset in assets},
            after={asset: after[party].get(asset, NO) for asset in assets},
        )
        for party in after
    )


def undefended(plan: FederationPlan) -> FederationPlan:
    """The plan without secure aggregation, steps, robust rule, optimizer and private training."""
    packages = tuple(plan.terms.plugins)
    made = cast(Callable[[Sequence[object], object, object], Pipeline], named(CHAIN))
    mean = built("aggregator", {SELF: MEAN}, packages)
    return replace(
        plan,
        terms=plan.terms.model_copy(update={"sizes": None}),
        chain=made((), mean, None),
        secagg=cast(SecureAggregation, built("secagg", {SELF: CLEAR}, packages)),
        dp=None,
        update_dp=None,
    )


@dataclass(frozen=True, eq=False)
class _Design:
    """What follows from a plan and its protocol."""

    plan: FederationPlan

    @property
    def cells(self) -> dict[str, dict[str, str]]:
        """By party, its cells by asset, without those that are ``NO``."""
        return {
            "a hospital": self._hospital,
            "colluding hospitals": self._colluding,
            "the aggregator": self._aggregator,
            "the aggregator with colluding hospitals": self._joined,
            "whoever gets the final model": {MODEL: SEES},
            "the network, with TLS": {},
            "the network, without TLS": self._network,
        }

    @property
    def _hospital(self) -> dict[str, str]:
        cells = self._of_models
        if self.shows == "sum" and self._n_hospitals == 2:
            cells[UPDATE] = self._of_noised(DERIVES)
        return cells

    @property
    def _colluding(self) -> dict[str, str]:
        cells = self._of_models
        if self.shows == "sum":
            cells[UPDATE] = self._of_noised(_from(self._n_hospitals - 1))
        return cells

    @property
    def _aggregator(self) -> dict[str, str]:
        hides = self.plan.is_hiding
        whole = SEES if len(self.plan.groups(1)) == 1 else DERIVES
        cells = {SUM: f"{whole}{self._of_sum}", MODEL: SEES}
        cells[GROUP] = SEES if hides else DERIVES
        if not hides:
            cells[UPDATE] = self._update(SEES)
        elif self._rounds is not None:
            cells[UPDATE] = self._update(f"{DERIVES} over {self._rounds} rounds")
        if (not hides and self.plan.states_counts) or self.plan.terms.sizes is not None:
            cells[COUNTS] = SEES
        elif hides and self.plan.dp is not None and self.plan.states_counts:
            cells[COUNTS] = f"{DERIVES}, to a batch"  # each epsilon is that of a number of steps
        if self.plan.dp is not None or self.plan.quantization is not None:  # clipped coordinates
            cells[METRICS] = SEES
        return cells

    @property
    def _joined(self) -> dict[str, str]:
        cells = self._aggregator
        if self.plan.is_hiding and self._enough:
            over = "" if self._rounds is None else f", or over {self._rounds} rounds"
            cells[UPDATE] = self._update(f"{_from(self._enough)}{over}")
        return cells

    @property
    def _network(self) -> dict[str, str]:
        if not self.plan.is_clear:
            return {**self._aggregator, **self._of_models, SUM: DERIVES}
        reads = {**self._aggregator, UPDATE: self._update(SEES)}
        if self.plan.states_counts:
            reads[COUNTS] = SEES
        return {**reads, SUM: DERIVES, GROUP: DERIVES}

    @property
    def _of_models(self) -> dict[str, str]:
        """What follows from the common model of each round."""
        cells = {MODEL: SEES}
        if self.shows == "sum":
            cells[SUM] = DERIVES if self.plan.update_dp is None else f"{DERIVES}, noised"
        if self.shows == "row":
            one = f"{DERIVES}, not whose"
            cells |= {GROUP: one} if self.plan.is_hiding else {UPDATE: self._update(one)}
        if self.plan.terms.sizes is not None:
            cells[COUNTS] = SEES
        return cells

    @cached_property
    def shows(self) -> Shows:
        """What the aggregate of a round shows, found on small updates."""
        plan = self.plan
        names = plan.hospitals
        small = stream(0, "check").normal(size=(2, len(names), 3))
        groups = plan.groups(1)
        views = [
            averages(groups, plan.secagg.least, names, updates, np.ones(len(names)))
            for updates in small
        ]
        chain = plan.chain.without_optimizer()
        try:
            moves = [chain(replace(one, model=np.zeros(3)), stream(0, "check")) for one in views]
        except (RefusedError, PluginError):
            return "other"
        means = small.mean(axis=1)
        factor = (moves[0] @ means[0]) / (means[0] @ means[0])
        if factor > 0 and np.allclose(moves, factor * means, atol=CLOSE):
            return "sum"
        of_rows = zip(views, moves, strict=True)
        if all(np.isclose(one.rows, move, atol=CLOSE).all(axis=1).any() for one, move in of_rows):
            return "row"
        return "other"

    @cached_property
    def _rounds(self) -> int | None:
        """The rounds after which sums determine a single update, as far as updates stay alike."""
        if len(self.plan.hospitals) > overlap.MOST and self.plan.secagg.is_redrawn:
            return None
        redrawn = overlap.overlap(self.plan)
        each = (None if redrawn is None else redrawn.first, overlap.left_out(self.plan))
        return min((number for number in each if number is not None), default=None)

    @property
    def _n_hospitals(self) -> int:
        return len(self.plan.hospitals)

    @property
    def _enough(self) -> int:
        """The fewest colluding hospitals with which the aggregator is left with one update.

        It leaves out uploads of others, as many as may be missing in a sum.
        """
        others = min(*map(len, self.plan.groups(1)), self.plan.least) - 1
        parameters = getattr(self.plan.secagg, "parameters", None)
        if not isinstance(parameters, Parameters):
            return others
        return min(others, parameters.colluders(self._n_hospitals))

    def _update(self, degree: str) -> str:
        dp = self.plan.update_dp
        noised = self.plan.dp is not None or (dp is not None and dp.place == "hospital")
        return f"{degree}, noised" if degree != NO and noised else degree

    def _of_noised(self, degree: str) -> str:
        """A degree to which a party learns of updates from a mean that may be noised."""
        is_noised = degree != NO and self.plan.update_dp is not None
        return f"{degree}, noised" if is_noised else self._update(degree)

    @property
    def _of_sum(self) -> str:
        """What is added to what the aggregator learns of a sum: whether hospitals noise it."""
        dp = self.plan.update_dp
        return "" if dp is None or dp.place == "server" else ", noised"


def _from(number: int) -> str:
    """Derived by so many hospitals together; a single hospital has no others to read."""
    return NO if number < 1 else f"{DERIVES}, {number} of them"
