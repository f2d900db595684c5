"""The quorum: usable replies that a round needs, and hostile hospitals that its rule withstands."""

from __future__ import annotations

from dataclasses import dataclass

from sim.design.views import too_few
from sim.types import Absent, Pipeline


@dataclass(frozen=True)
class Quorum:
    """Steps and rule (``chain``) of a run where some hospitals' replies are not usable.

    ``sizes``: numbers of hospitals of the groups that are added up, sorted; ``least``: of usable
    replies that each needs. ``absent``: with ``keep`` steps and rule withstand as many hostile
    hospitals as they are given, whoever is missing; with ``count_as_hostile`` one less for each
    missing reply.
    """

    chain: Pipeline
    sizes: tuple[int, ...]
    least: int
    absent: Absent

    @property
    def n_hospitals(self) -> int:
        """The number of hospitals of all groups."""
        return sum(self.sizes)

    def chain_for(self, n_replies: int) -> Pipeline:
        """Steps and rule for a round with ``n_replies`` usable replies."""
        if self.absent == "keep":
            return self.chain
        return self.chain.without(self.n_hospitals - n_replies)

    def n_rows(self, n_replies: int) -> int:
        """The rows that the aggregator sees at least, whoever is missing."""
        missing = self.n_hospitals - n_replies
        n_rows = len(self.sizes)
        for size in self.sizes:  # the fewest that are missing spoil the smallest groups
            missing -= size - self.least + 1
            if missing < 0:
                break
            n_rows -= 1
        return n_rows

    def refusal(self, n_replies: int, n_rows: int | None = None) -> str | None:
        """The reason why steps or rule cannot work on ``n_replies`` usable replies, or None.

        ``n_rows``: what the aggregator sees of them; None: the least that it may see.
        """
        if not n_replies:
            return "no usable reply"
        left = self.n_rows(n_replies) if n_rows is None else n_rows
        if not left:
            return too_few(n_replies, self.least)
        return self.chain_for(n_replies).refusal(left, n_replies)

    @property
    def needed(self) -> int:
        """The number of usable replies from which on, up to all hospitals, steps and rule work."""
        numbers = range(self.n_hospitals, -1, -1)
        return 1 + next(n_replies for n_replies in numbers if self.refusal(n_replies) is not None)
