"""What hospitals spend of record-level privacy by the plan, and what they report that they spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.design.batches import sample_rate
from sim.design.not_covered import NOT_COVERED
from sim.evidence import Privacy, Screened, Spent, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.kinds import LocalPrivacy
from sim.training import Training
from sim.types import Hospital

SAME_EPSILON = 1e-6  # relative: a reported epsilon within it is the plan's


@dataclass
class Reported:
    """The numbers that each hospital stated last beside an update, by name."""

    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


class PrivacyObserver:
    """Compares what hospitals report that they spent with what the plan gives."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Reported()

    def start(self, weights: Weights) -> None:
        """Nothing is spent before round 1."""

    def round(self, seen: Round) -> None:
        """Note what hospitals report."""
        self.state.numbers.update(
            {name: dict(numbers) for name, numbers in seen.aggregated.reported.items()}
        )

    def findings(self, ended: Ended) -> Findings:
        """What is spent by the plan, and what was reported against it."""
        spent = epsilons(self.subject)
        disputed = _disputed(self.subject, spent, self.state.numbers)
        details = {"privacy": privacy(self.subject), "disputed": disputed}
        sizes = {site.name: len(site.records) for site in self.subject.truth.sites}
        each = [
            outcome("epsilon", value, sizes[name], hospital=name) for name, value in spent.items()
        ]
        of_all = [outcome("epsilon", max(spent.values()), sum(sizes.values()))] if spent else []
        return Findings([*of_all, *each], details)


def epsilons(subject: Subject) -> dict[str, float]:
    """The epsilon of each hospital by the plan that all agreed on, in all rounds; nothing without
    record-level privacy.

    No hospital's own word can lower or raise it. That of the consortium is the largest (disjoint
    patients).
    """
    dp = subject.plan.dp
    if dp is None:
        return {}
    spent = [
        _spent(dp, subject.plan.training, hospital)
        for hospital in subject.truth.consortium.hospitals
    ]
    return {
        one.hospital: dp.epsilon([(one.noise_multiplier, one.sample_rate, one.steps)])
        for one in spent
    }


def privacy(subject: Subject) -> Privacy | None:
    """The terms of record-level privacy, and how hospitals spend theirs; None without it."""
    dp = subject.plan.dp
    if dp is None:
        return None
    return Privacy(
        unit="record",
        delta=dp.delta,
        accountant=dp.accountant,
        max_grad_norm=dp.max_grad_norm,
        target_epsilon=dp.target_epsilon,
        hospitals=[
            _spent(dp, subject.plan.training, hospital)
            for hospital in subject.truth.consortium.hospitals
        ],
        not_covered=list(NOT_COVERED),
    )


def _spent(dp: LocalPrivacy, training: Training, hospital: Hospital) -> Spent:
    n = len(hospital.train)
    return Spent(
        hospital=hospital.name,
        n_train=n,
        noise_multiplier=dp.noise(n, training),
        sample_rate=sample_rate(n, training),
        steps=training.rounds * training.steps(n),
    )


def _disputed(
    subject: Subject, plan: Mapping[str, float], reported: Mapping[str, Mapping[str, float]]
) -> list[Screened]:
    """The epsilons that hospitals report and the ``plan`` does not give."""
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None or (
            hospital in plan and math.isclose(stated, plan[hospital], rel_tol=SAME_EPSILON)
        ):
            continue
        expected = (
            f"the plan gives {plan[hospital]:.6g}, which is recorded"
            if plan
            else "this run has no privacy"
        )
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=subject.plan.training.rounds, hospital=hospital, reason=reason))
    return found
