"""What hospitals spend of record-level privacy, and what they report that they spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sim.design.refusals import REFUSED, UNTRAINED
from sim.evidence import Screened, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.messages import TRAIN
from sim.observers.spending import epsilons, privacy

SAME_EPSILON = 1e-6  # relative: a reported epsilon within it is the plan's


@dataclass
class Reported:
    """What each hospital answered, by name.

    ``numbers``: stated last beside an update. ``refusals``: rounds in which it refused to train.
    """

    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)


class PrivacyObserver:
    """Compares what hospitals report that they spent with what the plan gives."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Reported()

    def start(self, weights: Weights) -> None:
        """Nothing is spent before round 1."""

    def round(self, seen: Round) -> None:
        """Note what hospitals report, and which of them refuse to train."""
        for name, numbers in seen.aggregated.reported.items():
            self.state.numbers[name] = dict(numbers)
        for lost in seen.aggregated.screened:
            if _is_untrained(lost.reason, self.subject.plan.trips):
                n_before = self.state.refusals.get(lost.hospital, 0)
                self.state.refusals[lost.hospital] = n_before + 1

    def findings(self, ended: Ended) -> Findings:
        """The epsilon that each hospital spends, and those that are reported against it."""
        plan = self.subject.plan
        dp = plan.dp
        terms = None if dp is None else privacy(plan, self.subject.truth, dp, self.state.refusals)
        spent = {} if dp is None or terms is None else epsilons(dp, terms.hospitals)
        disputed = _disputed(self.subject, spent, self.state.numbers)
        details = {"privacy": terms, "disputed": disputed}
        sizes = {site.name: plan.counted(len(site.records)) for site in self.subject.truth.sites}
        each = [
            outcome("epsilon", value, sizes[name], hospital=name) for name, value in spent.items()
        ]
        of_all = [outcome("epsilon", max(spent.values()), sum(sizes.values()))] if spent else []
        return Findings([*of_all, *each], details)


def _is_untrained(reason: str, trips: Sequence[str]) -> bool:
    """Whether a hospital refused before it trained, by the reason why its reply was not used."""
    kind, _, rest = reason.partition(": ")
    text = rest if kind in trips else reason
    before = trips[: trips.index(TRAIN)]
    why = text.removeprefix(REFUSED)
    return text.startswith(REFUSED) and (kind in before or why in UNTRAINED)


def _disputed(
    subject: Subject, spent: Mapping[str, float], reported: Mapping[str, Mapping[str, float]]
) -> list[Screened]:
    """The epsilons that hospitals report and that are not those ``spent``."""
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None:
            continue
        expected = "this run has no privacy"
        if hospital in spent:
            if math.isclose(stated, spent[hospital], rel_tol=SAME_EPSILON):
                continue
            expected = f"the plan gives {spent[hospital]:.6g}, which is recorded"
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=subject.plan.training.rounds, hospital=hospital, reason=reason))
    return found
