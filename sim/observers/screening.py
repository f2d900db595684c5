"""Replies that were not used and rounds that were skipped, with who was really missing."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.evidence import Screened, Skip, Unopened, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Skipped, Weights


@dataclass
class Log:
    """Replies and shares that were not used, and rounds without a new model."""

    screened: list[Screened] = field(default_factory=list)
    skips: list[Skipped] = field(default_factory=list)
    unopened: list[Unopened] = field(default_factory=list)

    @property
    def skipped(self) -> list[int]:
        """Numbers of the rounds that ended without a new model."""
        return [skipped.round for skipped in self.skips]


class Screening:
    """Keeps what the aggregator did not use, round by round."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Log()

    def start(self, weights: Weights) -> None:
        """Nothing is screened before round 1."""

    def round(self, seen: Round) -> None:
        """Note replies that were not used, and whether the round was skipped."""
        self.state.screened += seen.aggregated.screened
        self.state.unopened += [
            Unopened(round=seen.number, sender=sender, receiver=receiver)
            for sender, receiver in seen.aggregated.unopened
        ]
        if (skipped := seen.aggregated.skipped) is not None:
            self.state.skips.append(skipped)

    def findings(self, ended: Ended) -> Findings:
        """Screened replies and skipped rounds."""
        skips = [self._skip(skipped) for skipped in self.state.skips]
        rounds = self.subject.plan.training.rounds
        share = outcome("rounds_skipped", len(skips) / rounds, rounds)
        details = {
            "screened": self.state.screened,
            "skipped_rounds": self.state.skipped,
            "skips": skips,
            "unopened": self.state.unopened,
        }
        return Findings([share], details)

    def _skip(self, skipped: Skipped) -> Skip:
        hostile = [name for name in skipped.missing if name in self.subject.truth.hostile]
        honest = [name for name in skipped.missing if name not in self.subject.truth.hostile]
        return Skip(
            round=skipped.round,
            cause=skipped.cause,
            reason=skipped.reason,
            replies=len(self.subject.plan.hospitals) - len(skipped.missing),
            needed=self.subject.plan.quorum.needed,
            hostile=hostile,
            honest=honest,
        )
