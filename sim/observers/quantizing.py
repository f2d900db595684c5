"""The share of each hospital's updates that quantization clipped."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.evidence import outcome
from sim.federation.conversation import CLIPPED
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights


@dataclass
class Counts:
    """Counts of each hospital by name: clipped coordinates, and rounds with a usable update."""

    clipped: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)


class QuantizingObserver:
    """The share of coordinates that were clipped before updates were added up.

    There is none where updates are not quantized.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Counts()

    def start(self, weights: Weights) -> None:
        """Nothing is clipped before round 1."""

    def round(self, seen: Round) -> None:
        """Count what hospitals report."""
        rounds = self.state.rounds
        clipped = self.state.clipped
        for name, numbers in seen.aggregated.reported.items():
            n_clipped = numbers.get(CLIPPED)
            if n_clipped is not None:
                rounds[name] = rounds.get(name, 0) + 1
                clipped[name] = clipped.get(name, 0.0) + n_clipped

    def findings(self, ended: Ended) -> Findings:
        """The share of each hospital, and of all of them."""
        rounds = self.state.rounds
        if not rounds:
            return Findings()
        n_params = len(ended.weights)
        clipped = self.state.clipped
        total = sum(rounds.values())
        of_all = sum(clipped.values()) / (n_params * total)
        each = [
            outcome("coordinates_clipped", clipped[name] / (n_params * n), n, hospital=name)
            for name, n in sorted(rounds.items())
        ]
        return Findings([outcome("coordinates_clipped", of_all, total), *each])
