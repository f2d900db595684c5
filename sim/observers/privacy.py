"""What hospitals spend of record-level privacy by the plan, and what they report that they spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.batches import sample_rate
from sim.evidence import Privacy, Screened, Spent, outcome
from sim.experiment import Experiment
from sim.federation.rounds import Ended, Findings, Round, Weights
from sim.privacy import NOT_COVERED
from sim.types import Hospital

SAME_EPSILON = 1e-6  # relative: a reported epsilon within it is the plan's


@dataclass
class Reported:
    """The numbers that each hospital stated last beside an update, by name."""

    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


class PrivacyObserver:
    """Compares what hospitals report that they spent with what the plan gives."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.state = Reported()

    def start(self, weights: Weights) -> None:
        """Nothing is spent before round 1."""

    def round(self, seen: Round) -> None:
        """Note what hospitals report."""
        self.state.numbers.update({name: dict(numbers) for name, numbers in seen.aggregated.reported.items()})

    def findings(self, ended: Ended) -> Findings:
        """What is spent by the plan, and what was reported against it."""
        spent = epsilons(self.experiment)
        details = {"privacy": privacy(self.experiment), "disputed": _disputed(self.experiment, spent, self.state.numbers)}
        sizes = {hospital.name: len(hospital.train) for hospital in self.experiment.consortium.hospitals}
        each = [outcome("epsilon", value, sizes[name], hospital=name) for name, value in spent.items()]
        of_all = [outcome("epsilon", max(spent.values()), sum(sizes.values()))] if spent else []
        return Findings([*of_all, *each], details)


def epsilons(experiment: Experiment) -> dict[str, float]:
    """The epsilon of each hospital by the plan that all agreed on, in all rounds; nothing without record-level privacy.

    No hospital's own word can lower or raise it. That of the consortium is the largest (disjoint patients).
    """
    if experiment.dp is None:
        return {}
    spent = [_spent(experiment, hospital) for hospital in experiment.consortium.hospitals]
    return {one.hospital: experiment.dp.epsilon([(one.noise_multiplier, one.sample_rate, one.steps)]) for one in spent}


def privacy(experiment: Experiment) -> Privacy | None:
    """The terms of record-level privacy, and how hospitals spend theirs; None without it."""
    if experiment.dp is None:
        return None
    return Privacy(
        unit="record",
        delta=experiment.dp.delta,
        accountant=experiment.dp.accountant,
        max_grad_norm=experiment.dp.max_grad_norm,
        target_epsilon=experiment.dp.target_epsilon,
        hospitals=[_spent(experiment, hospital) for hospital in experiment.consortium.hospitals],
        not_covered=list(NOT_COVERED),
    )


def _spent(experiment: Experiment, hospital: Hospital) -> Spent:
    n, training = len(hospital.train), experiment.settings.training
    return Spent(
        hospital=hospital.name,
        n_train=n,
        noise_multiplier=experiment.dp.noise(n, training),
        sample_rate=sample_rate(n, training),
        steps=training.rounds * training.steps(n),
    )


def _disputed(experiment: Experiment, plan: Mapping[str, float], reported: Mapping[str, Mapping[str, float]]) -> list[Screened]:
    """The epsilons that hospitals report and the ``plan`` does not give."""
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None or (hospital in plan and math.isclose(stated, plan[hospital], rel_tol=SAME_EPSILON)):
            continue
        expected = f"the plan gives {plan[hospital]:.6g}, which is recorded" if plan else "this run has no privacy"
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=experiment.settings.training.rounds, hospital=hospital, reason=reason))
    return found
