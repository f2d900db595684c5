"""How many usable replies a round needs, and how many hostile hospitals its rule withstands."""

from __future__ import annotations

from dataclasses import dataclass

from sim.types import Absent, Pipeline, SecureAggregation


@dataclass(frozen=True)
class Quorum:
    """Steps and rule (``chain``) of a run where some of ``n_hospitals`` replies are not usable.

    ``absent``: with ``keep`` steps and rule withstand as many hostile hospitals as they are given,
    whoever is missing; with ``count_as_hostile`` one less for each missing reply.
    """

    chain: Pipeline
    secagg: SecureAggregation
    absent: Absent
    n_hospitals: int

    def chain_for(self, n_replies: int) -> Pipeline:
        """Steps and rule for a round with ``n_replies`` usable replies."""
        if self.absent == "keep":
            return self.chain
        return self.chain.without(self.n_hospitals - n_replies)

    def refusal(self, n_replies: int) -> str | None:
        """Why steps or rule cannot work on ``n_replies`` usable replies; None if they can."""
        if not n_replies:
            return "no usable reply"
        return self.chain_for(n_replies).refusal(self.secagg.n_rows(n_replies), n_replies)

    @property
    def least(self) -> int:
        """The number of usable replies from which on, up to all hospitals, steps and rule work."""
        numbers = range(self.n_hospitals, -1, -1)
        return 1 + next(n_replies for n_replies in numbers if self.refusal(n_replies) is not None)
