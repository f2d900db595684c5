"""What each hospital exchanges with the aggregator in a round of secure aggregation in messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from sim.evidence import outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights


class Exchanged(Protocol):
    """Messages of both ways, and bytes of each way."""

    @property
    def messages(self) -> int: ...

    @property
    def sent(self) -> int: ...

    @property
    def received(self) -> int: ...


class Stating(Protocol):
    """A secure aggregation that states what it exchanges."""

    def traffic(self, n_hospitals: int, n_params: int) -> Exchanged: ...


@dataclass(frozen=True)
class Nothing:
    """Nothing is counted: what is exchanged follows from the plan."""


class TrafficObserver:
    """Messages and bytes of a hospital in a round in which all hospitals answer.

    There are none where the plan's secure aggregation states none.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Nothing()

    def start(self, weights: Weights) -> None:
        """Nothing is exchanged before round 1."""

    def round(self, seen: Round) -> None:
        """Every round is alike."""

    def findings(self, ended: Ended) -> Findings:
        """Messages, bytes sent and bytes received."""
        secagg = self.subject.plan.secagg
        if not hasattr(secagg, "traffic"):
            return Findings()
        n_hospitals = len(self.subject.plan.hospitals)
        found = cast(Stating, secagg).traffic(n_hospitals, len(ended.weights))
        return Findings(
            [
                outcome("messages", found.messages),
                outcome("bytes_sent", found.sent),
                outcome("bytes_received", found.received),
            ]
        )
