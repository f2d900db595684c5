"""Property inference: how common the condition is at a hospital, asked of an attack and scored."""

from __future__ import annotations

import numpy as np

from sim.evidence import outcome
from sim.federation.observing import Findings
from sim.inference.asking import known
from sim.inference.inquiry import Inquiry
from sim.types import Asked

NEAR = 0.05  # of the true share: a guess within it counts as right


def prevalence(inquiry: Inquiry) -> Findings:
    """The success of a property inference, beside the share among patients that the attacker knows.

    The aggregator is asked about each hospital that is not hostile, other parties about all records
    together. A share is found if the guess is within ``NEAR`` of it.
    """
    truth = inquiry.subject.truth
    each = {
        name: truth.site(name).records.labels[inquiry.trained_on(name)] for name in inquiry.others
    }
    each = {name: labels for name, labels in each.items() if len(labels)}
    of_hospitals = inquiry.seen.party == "aggregator"
    groups = list(each.values())
    if groups and not of_hospitals:
        groups = [np.concatenate(groups)]
    shares = np.array([labels.mean() for labels in groups])
    beside = known(inquiry)
    n = len(shares)
    gaps = alone = None
    if n and len({*beside.labels.tolist()}) > 1:
        asked = Asked(
            question="prevalence",
            choices=("share",),
            hospitals=tuple(each) if of_hospitals else (),
            known=beside,
        )
        gaps = np.abs(inquiry.answers(asked, n)[:, 0] - shares)
        alone = np.abs(float(beside.labels.mean()) - shares)
    few = "no record was trained on, or the attacker knows patients of one kind alone"
    found = [
        outcome(
            f"property_found{suffix}",
            None if of is None else float(np.mean(of <= NEAR)),
            n,
            undefined=few,
        )
        for suffix, of in (("", gaps), ("_alone", alone))
    ]
    found += [
        outcome(
            f"property_error{suffix}", None if of is None else float(of.mean()), n, undefined=few
        )
        for suffix, of in (("", gaps), ("_alone", alone))
    ]
    if of_hospitals and gaps is not None:
        found += [
            outcome("property_error", float(gap), 1, hospital=name)
            for name, gap in zip(each, gaps, strict=True)
        ]
    return Findings(found)
