"""The observer of inference attacks: the rounds they watch, and the questions after the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.inference.attribute import attribute
from sim.inference.holdings import holdings
from sim.inference.inquiry import Inquiry
from sim.inference.membership import membership
from sim.inference.prevalence import prevalence
from sim.inference.source import source
from sim.types import Inference, Members, Question, Records, SeenRound, Updates, View

# questions -> how they are asked and scored
INQUIRIES: Final[Mapping[Question, Callable[[Inquiry], Findings]]] = {
    "membership": membership,
    "source": source,
    "attribute": attribute,
    "prevalence": prevalence,
}

# weights before and after, rows of the view, their members and weights; no rows: an empty matrix
Stored: TypeAlias = tuple[Weights, Weights, Updates, Members, NDArray[np.float64] | None]


@dataclass
class Watched:
    """The rounds and models of a run that its inference attacks look at.

    ``rounds``: those that any of them watches, by number. ``joined``: by hospital, the rounds in
    which its update was part of what made a new model.
    """

    rounds: dict[int, Stored] = field(default_factory=dict)
    joined: dict[str, list[int]] = field(default_factory=dict)


class InferenceObserver:
    """Asks the inference attacks of a run what they can infer from what their party holds."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.attacks = subject.attack.of_kind("inference")
        rounds = subject.plan.training.rounds
        self.watched = {
            number for attack in self.attacks.values() for number in attack.watched(rounds)
        }
        self.state = Watched()

    def start(self, weights: Weights) -> None:
        """There is nothing to watch before round 1."""

    def round(self, seen: Round) -> None:
        """Store what the aggregator saw of a round that an attack watches."""
        if not self.attacks:
            return
        view = seen.readable
        if seen.aggregated.view is not None and seen.aggregated.skipped is None:
            for name in (name for group in seen.aggregated.view.members for name in group):
                self.state.joined.setdefault(name, []).append(seen.number)
        if seen.number in self.watched:
            rows = np.zeros((0, len(seen.before)), np.float32) if view is None else view.rows
            members = () if view is None else view.members
            weights = None if view is None else view.weights
            self.state.rounds[seen.number] = (seen.before, seen.after, rows, members, weights)

    def findings(self, ended: Ended) -> Findings:
        """The answers of each attack, scored; nothing without one."""
        each = [self._tried(name, attack, ended) for name, attack in self.attacks.items()]
        outcomes = [one for found in each for one in found.outcomes]
        return Findings(outcomes, {key: of for found in each for key, of in found.details.items()})

    def _tried(self, name: str, attack: Inference, ended: Ended) -> Findings:
        numbers = attack.watched(self.subject.plan.training.rounds)
        watched = [
            seen_round(number, self.state.rounds[number])
            for number in sorted(numbers)
            if number in self.state.rounds
        ]
        plan = self.subject.plan
        seen = holdings(plan, attack.party, watched, ended.weights, self._own(attack))
        return INQUIRIES[attack.question](
            Inquiry(name, attack, seen, self.subject, self.state.joined)
        )

    def _own(self, attack: Inference) -> tuple[str, Records] | None:
        """The hospital that attacks: the first hostile one, or the first of all."""
        if attack.party != "hospital":
            return None
        name = (*self.subject.truth.hostile, *self.subject.plan.hospitals)[0]
        return name, self.subject.truth.site(name).records


def seen_round(number: int, stored: Stored) -> SeenRound:
    """A round as the aggregator has seen it."""
    before, after, rows, members, weights = stored
    view = View(rows, members, weights, before) if len(rows) else None
    return SeenRound(number, before, after, view)
