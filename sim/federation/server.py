"""The aggregator of one run: it holds the agreed plan, its own key and what arrives.

What the simulator knows beyond that (sites, attacks, truth) is not in this file, and cannot be
imported here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim import withheld
from sim.design.plan import FederationPlan
from sim.design.refusals import REFUSED, SENTENCES
from sim.errors import RefusedError
from sim.evidence import Cause, Screened
from sim.federation import wire
from sim.federation.conversation import Conversation, RoundProtocol
from sim.federation.protocols.plain import expected, protocol_of
from sim.federation.rounds import Aggregated, Released, Skipped, Weights
from sim.messages import Concluded
from sim.seeds import Key
from sim.states import State
from sim.types import Updates, Vector, View

SPENT: Final = SENTENCES["epsilon"]  # why a hospital with a spent budget refuses


@dataclass
class Lasting:
    """The state of an aggregator that lasts from round to round.

    ``states``: of steps, rule and optimizer, in the order of ``Chain.parts``; none before round 1.
    ``clip``: the length to which whole updates are clipped, 0 where they are not. ``ended``: the
    round in which the consortium ended on a spent budget, 0 where it goes on.
    """

    states: tuple[State, ...] = ()
    clip: float = 0.0
    ended: int = 0


class Aggregator:
    """One run's aggregator: its half of each round, and what steps and rule make of it."""

    def __init__(self, plan: FederationPlan, key: Key) -> None:
        self.plan = plan
        self.key = key
        self.protocol: RoundProtocol = protocol_of(plan)
        clip = 0.0 if plan.update_dp is None else float(plan.update_dp.clip)
        self.state = Lasting(clip=clip)

    def round(self, number: int, model: Weights) -> Conversation:
        """The conversation of a round to which the aggregator sends out ``model`` (n_params,).

        After the consortium has ended nobody is asked anything.
        """
        if self.state.ended:
            return _over()
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
        if self.state.ended or self._is_ended_by(end):
            self.state.ended = self.state.ended or number
            reason = f"the consortium ended in round {self.state.ended}: {SPENT}"
            return model, replace(found, skipped=self._skipped(number, end, "spent", reason))
        if end.view is None:
            return model, replace(found, skipped=self._skipped(number, end, "absent", end.reason))
        view = replace(end.view, model=model)
        found = replace(found, view=view, states=self.state.states)
        n_replies = len(end.usable)
        noising = None if self.plan.update_dp is None else Noising(self, number, view)
        try:
            chain = self.plan.quorum.chain_for(n_replies)
            rng = self.key.stream("rule", number)
            if noising is None:
                made = chain.run(view, rng, self.state.states)
            else:
                made = chain.run(noising.clipped, rng, self.state.states, noising.release)
        except RefusedError as refused:
            is_short = self.plan.quorum.refusal(n_replies, len(view.rows)) is not None
            cause: Cause = "absent" if is_short else "refused"
            return model, replace(found, skipped=self._skipped(number, end, cause, str(refused)))
        if noising is not None:
            found = replace(found, released=noising.released)
            self.state.clip = noising.following
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
        if self.plan.update_dp is not None:
            view = self.plan.update_dp.clipped(view, self.state.clip)
        n_replies = int(view.sizes.sum())
        return self.plan.quorum.chain_for(n_replies)(view, rng, self.state.states)

    def _is_ended_by(self, end: Concluded) -> bool:
        """Whether a hospital has spent its budget and the consortium is to end then."""
        if self.plan.server.on_spent == "go_on":
            return False
        return any(reason.endswith(f"{REFUSED}{SPENT}") for reason in end.screened.values())

    def _skipped(self, number: int, end: Concluded, cause: Cause, reason: str) -> Skipped:
        missing = tuple(sorted({*self.plan.hospitals} - {*end.usable}))
        return Skipped(number, cause, reason, missing)


class Noising:
    """Privacy of whole updates in one round at the aggregator.

    ``clipped``: what the rule is given. ``released``: what of the round leaves the aggregator.
    ``following``: the clip of the next round.
    """

    def __init__(self, aggregator: Aggregator, number: int, view: View) -> None:
        dp = aggregator.plan.update_dp
        assert dp is not None
        self.dp = dp
        self.averaging = aggregator.plan.averaging
        self.clip = aggregator.state.clip
        self.clipped = view
        self.following = self.clip
        self.rng = aggregator.key.stream("dp-noise", number)
        if dp.place == "server":
            self.clipped = dp.clipped(view, self.clip)
            counting = aggregator.key.stream("dp-count", number)
            self.following = dp.following(self.clip, view, self.averaging, counting)
        self.released = Released(self.clip, 0.0, None)

    def release(self, aggregate: Vector, shares: NDArray[np.float64] | None) -> Vector:
        """The aggregate as it leaves the aggregator, noised where the noise is the server's."""
        sizes = self.clipped.sizes
        # a rule that is no mean runs on what hospitals have noised already
        largest = float(1 / sizes.sum()) if shares is None else float((shares / sizes).max())
        deviation = self.dp.deviation(self.averaging, self.clip, largest)
        if self.dp.place != "server":
            self.released = Released(self.clip, deviation, None)
            return aggregate
        noised = aggregate + deviation * self.rng.standard_normal(len(aggregate))
        everybody = (tuple(sorted(name for group in self.clipped.members for name in group)),)
        view = View(noised[None], everybody, model=self.clipped.model)
        self.released = Released(self.clip, deviation, view)
        return np.asarray(noised)


def _over() -> Conversation:
    """A round in which nobody is asked anything."""
    yield from ()
    return Concluded(None)


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


def relative_distances(ones: Updates, others: Updates) -> list[float]:
    """The ``relative_distance`` of each row from the same row of ``others``, to the last digit.

    Of three rows in half of the time.
    """
    wide = np.asarray(others, dtype=np.float64)
    gaps = np.asarray(ones, dtype=np.float64) - wide
    lengths = np.maximum(np.sqrt(np.vecdot(wide, wide)), 1e-30)
    found: list[float] = (np.sqrt(np.vecdot(gaps, gaps)) / lengths).tolist()
    return found
