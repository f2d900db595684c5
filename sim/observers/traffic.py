"""What each hospital exchanges with the aggregator in a round."""

from __future__ import annotations

from dataclasses import dataclass

from sim.evidence import outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.protocols.plain import protocol_of
from sim.federation.rounds import Weights


@dataclass(frozen=True)
class Nothing:
    """Nothing is counted: what is exchanged follows from the plan."""


class TrafficObserver:
    """Messages and bytes of a hospital in a round in which all hospitals answer."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Nothing()

    def start(self, weights: Weights) -> None:
        """Nothing is exchanged before round 1."""

    def round(self, seen: Round) -> None:
        """Every round is alike."""

    def findings(self, ended: Ended) -> Findings:
        """Messages, bytes sent and bytes received."""
        plan = self.subject.plan
        found = protocol_of(plan).traffic(plan)
        return Findings(
            [
                outcome("messages", found.messages),
                outcome("bytes_sent", found.sent),
                outcome("bytes_received", found.received),
            ]
        )
