"""The bound on membership tests that reports state; intervals and verdicts are in ``sim.statistics``."""

from __future__ import annotations

import math

from scipy.special import expit


def membership_advantage(epsilon: float, delta: float) -> float:
    """Largest (true minus false positive rate) of any membership test against an (epsilon, delta)-private release.

    ``(exp(epsilon) - 1 + 2 delta) / (exp(epsilon) + 1)``: Humphries et al. 2023, from the trade-off of Kairouz et al. 2015.
    Written with tanh so that a large epsilon does not overflow.
    """
    return math.tanh(epsilon / 2) + 2 * delta * float(expit(-epsilon))
