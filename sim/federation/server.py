"""The aggregator of one run: it holds the agreed plan, its own key and what arrives.

What the simulator knows beyond that (sites, attacks, truth) is not in this file, and cannot be
imported here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sim import withheld
from sim.design.plan import FederationPlan
from sim.errors import RefusedError
from sim.evidence import Cause, Screened
from sim.federation import wire
from sim.federation.conversation import Conversation, RoundProtocol
from sim.federation.protocols.plain import expected, protocol_of
from sim.federation.rounds import Aggregated, Skipped, Weights
from sim.messages import Concluded
from sim.seeds import Key
from sim.states import State
from sim.types import Vector, View


@dataclass
class Lasting:
    """States of steps, rule and optimizer, in the order of ``Chain.parts``; none before round 1."""

    states: tuple[State, ...] = ()


class Aggregator:
    """One run's aggregator: its half of each round, and what steps and rule make of it."""

    def __init__(self, plan: FederationPlan, key: Key) -> None:
        self.plan = plan
        self.key = key
        self.protocol: RoundProtocol = protocol_of(plan)
        self.state = Lasting()

    def round(self, number: int, model: Weights) -> Conversation:
        """The conversation of a round to which the aggregator sends out ``model`` (n_params,)."""
        return self.protocol.round(self.plan, number, model)

    def aggregate(self, number: int, model: Weights, end: Concluded) -> tuple[Weights, Aggregated]:
        """The next weights, and what was done; ``model`` itself where the round is skipped.

        It is skipped if too few usable replies arrived, steps or rule refuse them, or float32
        cannot hold the new weights. Then nothing of it is left in what steps, rule and optimizer
        keep from round to round.
        """
        public = self.plan.public
        screened = [
            Screened(round=number, hospital=name, reason=withheld.reason(reason, public=public))
            for name, reason in sorted(end.screened.items())
        ]
        found = Aggregated(screened=tuple(screened), reported=end.reported, unopened=end.unopened)
        if end.view is None:
            return model, replace(found, skipped=self._skipped(number, end, "absent", end.reason))
        view = replace(end.view, model=model)
        found = replace(found, view=view, states=self.state.states)
        n_replies = len(end.usable)
        try:
            chain = self.plan.quorum.chain_for(n_replies)
            made = chain.run(view, self.key.stream("rule", number), self.state.states)
        except RefusedError as refused:
            is_short = self.plan.quorum.refusal(n_replies, len(view.rows)) is not None
            cause: Cause = "absent" if is_short else "refused"
            return model, replace(found, skipped=self._skipped(number, end, cause, str(refused)))
        with np.errstate(over="ignore"):
            weights = (model + made.move).astype(np.float32)
        if not np.isfinite(weights).all():
            reason = "float32 cannot hold the new weights"
            return model, replace(found, skipped=self._skipped(number, end, "not_finite", reason))
        self.state.states = made.states
        by_name = None
        if made.shares is not None and len(view.rows) == n_replies:
            by_name = dict(zip(end.usable, made.shares.tolist(), strict=True))
        return weights, replace(found, aggregate=made.move, shares=by_name)

    def preview(
        self,
        number: int,
        model: Weights,
        reports: Mapping[str, wire.Report],
        rng: np.random.Generator,
    ) -> Vector:
        """The aggregate of these reports in a round, (n_params,); nothing of it lasts.

        Raises ``RefusedError`` where the rule does.
        """
        view = replace(expected(self.plan, number, reports), model=model)
        n_replies = int(view.sizes.sum())
        return self.plan.quorum.chain_for(n_replies)(view, rng, self.state.states)

    def _skipped(self, number: int, end: Concluded, cause: Cause, reason: str) -> Skipped:
        missing = tuple(sorted({*self.plan.hospitals} - {*end.usable}))
        return Skipped(number, cause, reason, missing)


def mean_of(view: View) -> Vector:
    """The plain mean over hospitals that an aggregator without a rule would take, (n_params,)."""
    shares = view.sizes / view.sizes.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        mean: Vector = np.dot(shares.astype(view.rows.dtype), view.rows)
    return mean if np.isfinite(mean).all() else np.asarray(np.einsum("i,ij->j", shares, view.rows))


def relative_distance(one: Vector, other: Vector) -> float:
    """|one - other| / |other|, always finite: a length below 1e-30 counts as 1e-30."""
    # in float64, because squares of large float32 overflow
    one = np.asarray(one, dtype=np.float64)
    other = np.asarray(other, dtype=np.float64)
    gap = one - other
    return math.sqrt(gap @ gap) / max(math.sqrt(other @ other), 1e-30)
