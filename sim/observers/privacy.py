"""What hospitals spend of record-level privacy by the plan, and what they report that they spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.batches import sample_rate
from sim.design.attack import AttackPlan
from sim.design.plan import FederationPlan
from sim.design.site import Site
from sim.design.truth import GroundTruth
from sim.evidence import Privacy, Screened, Spent
from sim.federation.observed import Ended, Findings, Round
from sim.federation.rounds import Weights
from sim.kinds import LocalPrivacy
from sim.privacy import NOT_COVERED

SAME_EPSILON = 1e-6  # relative: a reported epsilon within it is the plan's


@dataclass
class Reported:
    """The numbers that each hospital stated last beside an update, by name."""

    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


class PrivacyObserver:
    """Compares what hospitals report that they spent with what the plan gives."""

    def __init__(self, plan: FederationPlan, attack: AttackPlan, truth: GroundTruth) -> None:
        self.plan, self.truth = plan, truth
        self.state = Reported()

    def start(self, weights: Weights) -> None:
        """Nothing is spent before round 1."""

    def round(self, seen: Round) -> None:
        """Note what hospitals report."""
        self.state.numbers.update({name: dict(numbers) for name, numbers in seen.aggregated.reported.items()})

    def findings(self, ended: Ended) -> Findings:
        """What is spent by the plan, and what was reported against it."""
        found = privacy(self.plan, self.truth)
        hospitals = {
            entry.hospital: {"epsilon": entry.epsilon, "noise_multiplier": entry.noise_multiplier}
            for entry in (found.hospitals if found else [])
        }
        return Findings({"privacy": found, "disputed": _disputed(self.plan, found, self.state.numbers)}, hospitals)


def privacy(plan: FederationPlan, truth: GroundTruth) -> Privacy | None:
    """What the hospitals spend; the consortium's epsilon is the largest (disjoint patients)."""
    if plan.dp is None:
        return None
    spent = [_spent(plan, plan.dp, site) for site in truth.sites]
    return Privacy(
        unit="record",
        epsilon=max(entry.epsilon for entry in spent),
        delta=plan.dp.delta,
        accountant=plan.dp.accountant,
        max_grad_norm=plan.dp.max_grad_norm,
        target_epsilon=plan.dp.target_epsilon,
        hospitals=spent,
        not_covered=list(NOT_COVERED),
    )


def _spent(plan: FederationPlan, dp: LocalPrivacy, site: Site) -> Spent:
    """What one hospital spends by the plan that all agreed on, in all rounds: no hospital's own word can lower or raise it."""
    n, training = len(site.records), plan.training
    sigma, rate, steps = dp.noise(n, training), sample_rate(n, training), training.rounds * training.steps(n)
    epsilon = dp.epsilon([(sigma, rate, steps)])
    return Spent(hospital=site.name, n_train=n, epsilon=epsilon, noise_multiplier=sigma, sample_rate=rate, steps=steps)


def _disputed(plan: FederationPlan, privacy: Privacy | None, reported: Mapping[str, Mapping[str, float]]) -> list[Screened]:
    """The epsilons that hospitals report and the plan does not give."""
    given = {entry.hospital: entry.epsilon for entry in privacy.hospitals} if privacy else {}
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None or (hospital in given and math.isclose(stated, given[hospital], rel_tol=SAME_EPSILON)):
            continue
        expected = f"the plan gives {given[hospital]:.6g}, which is recorded" if privacy else "this run has no privacy"
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=plan.training.rounds, hospital=hospital, reason=reason))
    return found
