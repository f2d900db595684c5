"""The statements of differential privacy of a plan, side by side, whatever they protect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from sim.design.not_covered import not_covered, updates_not_covered
from sim.design.plan import FederationPlan
from sim.evidence import Privacy, Statement
from sim.evidence.protection import RELATIONS
from sim.kinds import Averaging, LocalPrivacy, UpdatePrivacy

EVERYBODY: Final = "everybody who sees messages or models, the aggregator included"
AGAINST: Final = {
    "server": "everybody but the aggregator, which is trusted",
    "distributed": "the aggregator and the colluders that are counted with it",
    "hospital": EVERYBODY,
}
OF_UPDATES: Final = {
    "zero_out": "one hospital's updates of all rounds are zero instead",
    "replace": "one hospital's updates of all rounds are any others",
}


def patient_epsilons(dp: LocalPrivacy, privacy: Privacy) -> dict[str, float]:
    """The epsilon of a patient's records together at each hospital; empty where none is stated."""
    if dp.records_per_patient is None:
        return {}
    return {
        one.hospital: (
            dp.patient_epsilon([(one.noise_multiplier, one.sample_rate, one.steps)])
            if one.steps
            else 0.0
        )
        for one in privacy.hospitals
    }


def of_records(
    dp: LocalPrivacy, privacy: Privacy, spent: Mapping[str, float], patients: Mapping[str, float]
) -> list[Statement]:
    """The statement about records, and that about patients where there is one."""
    units = [("record", RELATIONS[dp.relation], spent)]
    if patients:
        together = f"up to {dp.records_per_patient} records of one patient"
        each = "each of which joins a batch on its own"
        verb = "replaced by others" if dp.relation == "replace" else "more or less"
        units.append(("patient", f"{together}, {each}, {verb}", patients))
    return [
        Statement(
            unit=unit,
            relation=relation,
            mechanism=(
                f"DP-SGD in the hospital, gradients clipped to {dp.max_grad_norm:.3g};"
                f" {privacy.sampling}"
            ),
            epsilon=max(by_hospital.values()),
            delta=dp.delta,
            accountant=dp.accountant,
            against=EVERYBODY,
            hospital=max(by_hospital, key=lambda name: by_hospital[name]),
            not_covered=list(not_covered(dp.relation)),
        )
        for unit, relation, by_hospital in units
        if by_hospital
    ]


def of_updates(dp: UpdatePrivacy, averaging: Averaging, rounds: int) -> list[Statement]:
    """The statement about one message, where there is one, and that about all rounds."""
    parts = []
    if dp.single_epsilon is not None:
        parts.append((f"{dp.unit}'s message", "any two updates", dp.single_epsilon))
    spent = dp.epsilon(averaging, rounds) if rounds else 0.0
    parts.append((dp.unit, OF_UPDATES[dp.relation], spent))
    return [
        Statement(
            unit=unit,
            relation=relation,
            mechanism=dp.mechanism(averaging),
            epsilon=epsilon,
            delta=dp.delta,
            accountant=dp.accountant,
            against=AGAINST[dp.place],
            hospital=None,
            not_covered=list(updates_not_covered(dp.relation, dp.place)),
        )
        for unit, relation, epsilon in parts
    ]


def noise_ratio(plan: FederationPlan) -> float | None:
    """The length of the noise on a mean of all hospitals over that of the longest such mean.

    Both are of the clip at the start, and of equal weights; None without privacy of updates.
    """
    dp = plan.update_dp
    if dp is None:
        return None
    deviation = dp.deviation(plan.averaging, dp.clip, 1 / len(plan.hospitals))
    return deviation * math.sqrt(plan.network.n_params) / dp.clip
