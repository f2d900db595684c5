"""What hospitals spend of record-level privacy by the plan, and what they report that they spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.batches import sample_rate
from sim.evidence import Privacy, Screened, Spent
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
        found = privacy(self.experiment)
        hospitals = {
            entry.hospital: {"epsilon": entry.epsilon, "noise_multiplier": entry.noise_multiplier}
            for entry in (found.hospitals if found else [])
        }
        return Findings({"privacy": found, "disputed": _disputed(self.experiment, found, self.state.numbers)}, hospitals)


def privacy(experiment: Experiment) -> Privacy | None:
    """What the hospitals spend; the consortium's epsilon is the largest (disjoint patients)."""
    if experiment.dp is None:
        return None
    spent = [_spent(experiment, hospital) for hospital in experiment.consortium.hospitals]
    return Privacy(
        unit="record",
        epsilon=max(entry.epsilon for entry in spent),
        delta=experiment.dp.delta,
        accountant=experiment.dp.accountant,
        max_grad_norm=experiment.dp.max_grad_norm,
        target_epsilon=experiment.dp.target_epsilon,
        hospitals=spent,
        not_covered=list(NOT_COVERED),
    )


def _spent(experiment: Experiment, hospital: Hospital) -> Spent:
    """What one hospital spends by the plan that all agreed on, in all rounds: no hospital's own word can lower or raise it."""
    n, training = len(hospital.train), experiment.settings.training
    sigma, rate, steps = experiment.dp.noise(n, training), sample_rate(n, training), training.rounds * training.steps(n)
    epsilon = experiment.dp.epsilon([(sigma, rate, steps)])
    return Spent(hospital=hospital.name, n_train=n, epsilon=epsilon, noise_multiplier=sigma, sample_rate=rate, steps=steps)


def _disputed(experiment: Experiment, privacy: Privacy | None, reported: Mapping[str, Mapping[str, float]]) -> list[Screened]:
    """The epsilons that hospitals report and the plan does not give."""
    plan = {entry.hospital: entry.epsilon for entry in privacy.hospitals} if privacy else {}
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None or (hospital in plan and math.isclose(stated, plan[hospital], rel_tol=SAME_EPSILON)):
            continue
        expected = f"the plan gives {plan[hospital]:.6g}, which is recorded" if privacy else "this run has no privacy"
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=experiment.settings.training.rounds, hospital=hospital, reason=reason))
    return found
