"""The terms of record-level privacy, and what hospitals spend by the plan that all agreed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim.design.batches import sample_rate
from sim.design.not_covered import not_covered
from sim.design.plan import FederationPlan
from sim.design.truth import GroundTruth
from sim.evidence import Privacy, Spent
from sim.kinds import LocalPrivacy


def epsilons(dp: LocalPrivacy, hospitals: Sequence[Spent]) -> dict[str, float]:
    """The epsilon of each hospital over all rounds, by name; 0 where it trained in none."""
    return {
        one.hospital: (
            dp.epsilon([(one.noise_multiplier, one.sample_rate, one.steps)]) if one.steps else 0.0
        )
        for one in hospitals
    }


def privacy(
    plan: FederationPlan, truth: GroundTruth, dp: LocalPrivacy, refusals: Mapping[str, int]
) -> Privacy:
    """The terms of record-level privacy, and how hospitals spend their epsilon.

    A hospital spends by the plan that all agreed on, whatever it reports, in each round in which it
    does not refuse to train. One whose reply is lost counts as one that trained. ``refusals``: the
    number of rounds in which a hospital refused, by name.
    """
    training = plan.training

    def spent(hospital: str, own: int) -> Spent:
        n_train = dp.counted(own)
        n_rounds = training.rounds - refusals.get(hospital, 0)
        noise = dp.noise(n_train, training)
        rate = sample_rate(n_train, training)
        steps = n_rounds * training.steps(n_train)
        history = [(noise, rate, steps)]
        return Spent(
            hospital=hospital,
            n_train=n_train,
            noise_multiplier=noise,
            sample_rate=rate,
            steps=steps,
            advantage=dp.advantage(history),
            tpr_at_1fpr=dp.true_positives(history, 0.01),
            tpr_at_01fpr=dp.true_positives(history, 0.001),
        )

    return Privacy(
        unit="record",
        relation=dp.relation,
        nominal_records=dp.nominal_records,
        sampling="Poisson: each record joins each batch on its own, with the sampling rate",
        delta=dp.delta,
        accountant=dp.accountant,
        max_grad_norm=dp.max_grad_norm,
        target_epsilon=dp.target_epsilon,
        hospitals=[spent(site.name, len(site.records)) for site in truth.sites],
        not_covered=list(not_covered(dp.relation)),
    )
