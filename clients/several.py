"""The account of DP-SGD where neighbors differ in several records, as those of one patient.

Each record joins each batch on its own, so that of r records k join with a binomial probability.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clients import accounting
from clients.accounting import Losses, Step, Terms
from clients.renyi import of_divergences
from sim.devices import one_thread
from sim.errors import InputError

MOST: Final = 64  # records of a patient
HALVINGS: Final = 60  # of the places at which a loss is reached
REACH: Final = 10.0  # standard deviations of noise that are looked at
SPACING: Final = 0.2  # standard deviations: sums of a smooth density are exact with it
SHARES: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
ORDERS: Final = 1 + np.geomspace(1e-3, 60.0, 50)

Values = NDArray[np.float64]


def spent(history: tuple[Step, ...], terms: Terms) -> float:
    """Epsilon of a history for neighbors that differ in ``terms.records`` records, at least 2.

    It is never below the truth. With ``add_remove``, one distribution of losses dominates: that of
    a shift by as many clipping norms as records join (Choquette-Choo et al. 2023, Corollary 4.7).
    With ``replace`` the records are removed and others added: both divergences of Renyi follow from
    the same shift, and the weak triangle inequality joins them (Mironov 2017, Proposition 11).

    Raises ``InputError`` where epsilon cannot be computed.
    """
    return _refined(history, terms) if terms.relation == "add_remove" else _joint(history, terms)


def _refined(history: tuple[Step, ...], terms: Terms) -> float:
    """Epsilon on a grid of losses that is made finer until it hardly moves."""
    interval = _interval(history, terms)
    found = _losses(history, terms, interval).get_epsilon_for_delta(terms.delta)
    for _ in range(accounting.HALVINGS):
        interval /= 2
        finer = _losses(history, terms, interval).get_epsilon_for_delta(terms.delta)
        if abs(found - finer) <= accounting.PRECISION * finer:
            return float(finer)
        found = finer
    raise accounting.uncountable(history)


def _joint(history: tuple[Step, ...], terms: Terms) -> float:
    """The least epsilon that Renyi divergences of removing and adding records give."""
    found = math.inf
    for share in SHARES:  # p and q of Hoelder's inequality
        p = 1 / share
        q = 1 / (1 - share)
        total = np.zeros(len(ORDERS))
        for noise, rate, steps in history:
            joined = _joined(rate, terms.records)
            removed = _divergences(noise, joined, p * ORDERS, removed=True)
            added = _divergences(noise, joined, q * (ORDERS - share), removed=False)
            total += steps * ((ORDERS - share) / (ORDERS - 1) * removed + added)
        found = min(found, of_divergences(ORDERS, total, terms.delta))
    if not math.isfinite(found):
        raise accounting.uncountable(history)
    return found


def _divergences(noise: float, joined: Values, orders: Values, *, removed: bool) -> Values:
    """Renyi divergences of one step, by order: from the records to none, or from none to them."""
    from scipy.special import logsumexp

    shifts = np.arange(len(joined)) / noise
    with np.errstate(divide="ignore"):
        logs = np.log(joined) - shifts**2 / 2
    found = np.empty(len(orders))
    for i, order in enumerate(orders.tolist()):
        reach = REACH + order * float(shifts[-1])
        places = math.ceil((reach + REACH) / SPACING)
        at = np.linspace(-REACH if removed else -reach, reach if removed else REACH, places)
        width = float(at[1] - at[0])
        loss = logsumexp(logs + np.multiply.outer(at, shifts), axis=1)
        density = (order if removed else 1 - order) * loss - at**2 / 2
        whole = logsumexp(density) + math.log(width) - math.log(2 * math.pi) / 2
        found[i] = whole / (order - 1)
    return found


def _interval(history: tuple[Step, ...], terms: Terms) -> float:
    records = terms.records
    return min(accounting.interval_of(noise / records, rate) for noise, rate, _ in history)


@one_thread()
def _losses(history: tuple[Step, ...], terms: Terms, interval: float) -> Losses:
    """The distribution of the privacy loss of a history, on a grid of steps of ``interval``."""
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    found: Losses | None = None
    for noise, rate, steps in history:
        joined = _joined(rate, terms.records)
        removed = _dotted(_curve(noise, joined, interval, removed=True), interval)
        added = _dotted(_curve(noise, joined, interval, removed=False), interval)
        part: Losses = PrivacyLossDistribution(removed, added).self_compose(steps)
        found = part if found is None else found.compose(part)
    assert found is not None
    return found


def _joined(rate: float, records: int) -> Values:
    """The probability that 0, 1, ... of a patient's records join a batch."""
    from scipy.stats import binom

    return np.asarray(binom.pmf(np.arange(records + 1), records, rate))


def _dotted(curve: tuple[int, Values], interval: float) -> object:
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots_fixed_gap

    low, deltas = curve
    return create_pmf_pessimistic_connect_dots_fixed_gap(
        interval, low, low + len(deltas) - 1, deltas
    )


def _curve(noise: float, joined: Values, interval: float, *, removed: bool) -> tuple[int, Values]:
    """Delta at each epsilon of a grid, from its first place (in steps of ``interval``) on.

    A step's sum is shifted by k clipping norms with probability ``joined[k]``. ``removed``: from
    the patient's records to none; else from none to them, whose losses are the negative ones.
    """
    from scipy.special import log_ndtr, logsumexp, ndtr

    shifts = np.arange(len(joined)) / noise  # in standard deviations
    with np.errstate(divide="ignore"):
        logs = np.log(joined) - shifts**2 / 2

    def loss(at: Values) -> Values:
        """The logarithm of how much likelier a sum is with the records, which grows with it."""
        return np.asarray(logsumexp(logs + np.multiply.outer(at, shifts), axis=-1))

    lowest = -REACH
    highest = float(shifts[-1]) + REACH
    ends = loss(np.array([lowest, highest]))
    if ends[1] - ends[0] > accounting.FINEST * interval:
        raise InputError("dp.records_per_patient", len(joined) - 1, "expected more noise")
    if removed:
        first = math.floor(ends[0] / interval)
        last = math.ceil(ends[1] / interval)
    else:
        first = math.floor(-ends[1] / interval)
        last = math.ceil(-ends[0] / interval)
    epsilons = np.arange(first, last + 1) * interval
    wanted = epsilons if removed else -epsilons
    low = np.full(len(wanted), lowest - 1.0)
    high = np.full(len(wanted), highest + 1.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_below = loss(middle) < wanted
        low = np.where(is_below, middle, low)
        high = np.where(is_below, high, middle)
    if removed:  # larger sums tell that the records are there
        of_records = np.asarray(ndtr(np.subtract.outer(shifts, high)).T @ joined)
        deltas = of_records - np.exp(epsilons + log_ndtr(-high))
    else:
        with np.errstate(divide="ignore"):
            logs_of_records = log_ndtr(np.subtract.outer(high, shifts)) + np.log(joined)
        deltas = ndtr(high) - np.exp(epsilons + logsumexp(logs_of_records, axis=1))
    return first, np.minimum.accumulate(np.clip(deltas, 0.0, 1.0))
