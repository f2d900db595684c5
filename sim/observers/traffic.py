"""The traffic of each hospital with the aggregator in a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sim.design.plan import FederationPlan
from sim.evidence import outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.protocols.plain import protocol_of
from sim.federation.rounds import Weights
from sim.types import Traffic


@runtime_checkable
class Stating(Protocol):
    """A protocol that states what it exchanges."""

    def traffic(self, plan: FederationPlan) -> Traffic:
        """Messages and bytes of a hospital in a round."""
        ...


@dataclass(frozen=True)
class Nothing:
    """Nothing is counted: what is exchanged follows from the plan."""


class TrafficObserver:
    """Messages and bytes of a hospital in a round in which all hospitals answer.

    There are none where the protocol states none.
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
        plan = self.subject.plan
        protocol = protocol_of(plan)
        if not isinstance(protocol, Stating):
            return Findings()
        found = protocol.traffic(plan)
        return Findings(
            [
                outcome("messages", found.messages),
                outcome("bytes_sent", found.sent),
                outcome("bytes_received", found.received),
            ]
        )
