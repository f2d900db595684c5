"""The accountant states what other libraries and closed forms state, and calibration finds the
least noise at every budget.
"""

import math
import time
from functools import cache

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld
from dp_accounting.privacy_accountant import NeighboringRelation
from opacus.accountants import PRVAccountant
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from clients import accounting
from clients.accounting import (
    ANSWERS,
    LEAST_TARGET,
    Step,
    Terms,
    advantage,
    calibrated,
    spent,
    true_positives,
)
from sim.errors import InputError
from sim.evidence.one_run import distance
from tests.clients.test_relations import private
from tests.federation import experiment

DELTA = 1e-5
ADD = Terms("add_remove", DELTA)
REPLACE = Terms("replace", DELTA)
NEIGHBORS = {
    "add_remove": NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace": NeighboringRelation.REPLACE_ONE,
}
TARGETS = (0.01, 0.05, 0.1, 1.0, 8.0, 20.0)
TRAININGS = ((0.1, 200), (1 / 6, 240), (0.02, 500), (1.0, 20))
# each budget with each training, and each relation between neighbors with each training
BUDGETS = [
    (target, relation, TRAININGS[(i + j) % 2 :: 2])
    for i, target in enumerate(TARGETS)
    for j, relation in enumerate(NEIGHBORS)
]


def by_library(history: tuple[Step, ...], terms: Terms, interval: float = 5e-4) -> float:
    """Epsilon by dp-accounting's own accountant, which composes step by step, to 1e-5."""
    accountant = pld.PLDAccountant(NEIGHBORS[terms.relation], interval)
    for noise, rate, steps in history:
        one = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
        accountant.compose(dp_accounting.SelfComposedDpEvent(one, steps))
    return float(accountant.get_epsilon(terms.delta))


def by_prv(history: tuple[Step, ...]) -> float:
    """Epsilon by Opacus's PRV accountant."""
    accountant = PRVAccountant()
    accountant.history = list(history)
    return float(accountant.get_epsilon(DELTA, eps_error=0.01))


@cache
def gaussian(spread: float, delta: float) -> float:
    """Epsilon of a Gaussian mechanism (Balle & Wang 2018): sensitivity over deviation = spread."""

    def excess(epsilon: float) -> float:
        above = ndtr(spread / 2 - epsilon / spread)
        return float(above - math.exp(epsilon + log_ndtr(-spread / 2 - epsilon / spread)) - delta)

    return float(brentq(excess, 0, 1e4))


def test_the_usual_setting_spends_what_two_accountants_state() -> None:
    history = ((1.0, 0.1, 200),)
    assert by_prv(history) == pytest.approx(9.98, abs=0.05)
    assert by_library(history, ADD) == pytest.approx(9.97, abs=0.05)
    assert spent(history, ADD) == pytest.approx(by_library(history, ADD), rel=1e-3)
    assert spent(history, ADD) == pytest.approx(by_prv(history), abs=0.02)


def test_full_participation_spends_what_the_closed_form_states() -> None:
    assert spent(((10.0, 1.0, 20),), ADD) == pytest.approx(1.760, abs=0.005)


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-10])
@pytest.mark.parametrize(("relation", "moved"), [("add_remove", 1), ("replace", 2)])
@pytest.mark.parametrize(("noise", "steps"), [(0.3, 2), (1.0, 5), (10.0, 20), (300.0, 20)])
def test_an_account_is_never_below_the_truth_and_a_thousandth_above_at_most(
    noise: float, steps: int, relation: str, moved: int, delta: float
) -> None:
    if noise == 300 and delta == 1e-3:
        pytest.skip("as good as nothing is spent")
    truth = gaussian(moved * math.sqrt(steps) / noise, delta)
    found = spent(((noise, 1.0, steps),), Terms(relation, delta))
    assert truth <= found <= 1.001 * truth


@pytest.mark.parametrize("terms", [ADD, REPLACE], ids=lambda terms: terms.relation)
@pytest.mark.parametrize(
    "history",
    [
        ((0.8, 0.2, 60),),
        ((3.0, 0.5, 50),),
        ((1.0, 0.1, 30), (2.0, 0.25, 10), (1.5, 1.0, 3)),
    ],
)
def test_an_account_of_several_kinds_of_steps_is_the_librarys(
    history: tuple[Step, ...], terms: Terms
) -> None:
    assert spent(history, terms) == pytest.approx(by_library(history, terms), rel=1e-3)


@pytest.mark.parametrize(
    ("n", "batches", "expected"), [(304, 10, 9.97), (200, 7, 12.14), (123, 4, 16.29)]
)
def test_twenty_rounds_of_one_epoch_spend_more_the_smaller_the_hospital(
    n: int, batches: int, expected: float
) -> None:
    assert -(-n // 32) == batches
    assert spent(((1.0, 1 / batches, 20 * batches),), ADD) == pytest.approx(expected, rel=0.01)


def test_more_steps_less_noise_and_more_sampling_spend_more() -> None:
    least = spent(((1.0, 0.1, 50),), ADD)
    assert least < spent(((1.0, 0.1, 100),), ADD)
    assert least < spent(((0.9, 0.1, 50),), ADD)
    assert least < spent(((1.0, 0.2, 50),), ADD)
    assert least < spent(((1.0, 0.1, 50),), REPLACE)
    assert spent(((1.0, 0.1, 20), (1.0, 0.1, 30)), ADD) == pytest.approx(least, rel=1e-3)


def test_nothing_done_spends_nothing_and_much_noise_never_less() -> None:
    assert spent((), ADD) == spent(((1.0, 0.1, 0),), ADD) == 0
    for noise in (1e3, 1e5, 1e6):
        for delta in (0.01, 1e-10):
            assert 0 <= spent(((noise, 0.01, 10),), Terms("add_remove", delta)) < 0.1


@pytest.mark.parametrize(("target", "relation", "trainings"), BUDGETS)
def test_calibration_finds_the_least_noise_within_seconds_at_every_budget(
    target: float, relation: str, trainings: tuple[tuple[float, int], ...]
) -> None:
    terms = Terms(relation, DELTA)
    for rate, steps in trainings:
        start = time.process_time()
        noise = calibrated(target, rate, steps, terms)
        assert time.process_time() - start < 5
        interval = 0.02 * rate * math.sqrt(math.expm1(1 / noise**2))  # small beside a step's loss
        assert by_library(((noise, rate, steps),), terms, interval) <= target * (1 + 1e-6)
        assert by_library(((0.998 * noise, rate, steps),), terms, interval) > target


@pytest.mark.parametrize("target", [LEAST_TARGET, 0.002, 0.005])
def test_small_budgets_are_answered_too(target: float) -> None:
    start = time.process_time()
    noise = calibrated(target, 1 / 6, 90, ADD)
    assert time.process_time() - start < 5
    assert 0.999 * target <= spent(((noise, 1 / 6, 90),), ADD) <= target


@pytest.mark.parametrize(("target", "rate"), [(0.1, 1e-3), (8.0, 2e-4)])
def test_rare_sampling_over_many_steps_is_answered_within_seconds(
    target: float, rate: float
) -> None:
    terms = REPLACE
    start = time.process_time()
    noise = calibrated(target, rate, 20_000, terms)
    assert time.process_time() - start < 10
    assert 0.998 * target <= spent(((noise, rate, 20_000),), terms) <= target


def test_sampling_that_is_too_rare_is_refused() -> None:
    training = experiment("training.rounds=1", "training.batch_size=1").plan.training
    with pytest.raises(InputError, match="a ten-thousandth of the records"):
        private(noise_multiplier=1.0, target_epsilon=None).check({"a": 20_000}, training)


def test_a_budget_that_no_noise_gives_is_refused_and_not_searched_for_long() -> None:
    start = time.process_time()
    with pytest.raises(InputError, match=r"^dp\.target_epsilon=0\.001: expected a budget that "):
        calibrated(LEAST_TARGET, 1.0, 10**5, Terms("add_remove", 1e-10))
    with pytest.raises(InputError, match=r"^dp\.target_epsilon=1000\.0: expected a budget that "):
        calibrated(1000.0, 1e-4, 1, Terms("add_remove", 1e-3))
    assert time.process_time() - start < 5


def test_noise_too_small_to_account_for_is_refused() -> None:
    with pytest.raises(InputError, match=r"^dp=.*: expected more noise or fewer steps: of "):
        spent(((1e-30, 0.1, 10),), ADD)


def test_hospitals_with_the_same_question_share_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    first = calibrated(3.0, 0.2, 25, ADD)
    assert ("calibrated", 3.0, 0.2, 25, ADD) in ANSWERS
    monkeypatch.setattr("clients.accounting.composed", None)
    assert calibrated(3.0, 0.2, 25, ADD) == first


@pytest.mark.parametrize(("terms", "moved"), [(ADD, 1), (REPLACE, 2)])
@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (10.0, 20), (30.0, 20)])
def test_what_an_attacker_reaches_is_the_gaussians_trade_off(
    noise: float, steps: int, terms: Terms, moved: int
) -> None:
    spread = moved * math.sqrt(steps) / noise
    history = ((noise, 1.0, steps),)
    truth = 2 * ndtr(spread / 2) - 1
    assert truth - 1e-12 <= advantage(history, terms) <= 1.002 * truth
    for false in (0.01, 0.001):
        truth = ndtr(spread + ndtri(false))
        assert truth - 1e-12 <= true_positives(history, terms, false) <= 1.005 * truth


def test_the_bound_of_one_epsilon_and_delta_is_looser_than_that_of_all() -> None:
    history = ((1.0, 0.1, 200),)
    epsilon = spent(history, ADD)
    assert advantage(history, ADD) < math.tanh(epsilon / 2)
    for false in (0.01, 0.001):
        assert true_positives(history, ADD, false) < math.exp(epsilon) * false + DELTA


def test_whoever_was_sent_nothing_reaches_no_more_than_chance() -> None:
    assert advantage((), ADD) == 0
    assert true_positives((), ADD, 0.01) == 0.01


def test_what_an_attacker_reaches_is_what_a_simulated_one_reaches_and_no_less() -> None:
    """The best test of one subsampled step: the ratio of likelihoods, by plain integration."""
    noise = 0.7
    rate = 0.3
    x = np.linspace(-12, 13, 2_000_001)
    out = np.exp(-(x**2) / 2 / noise**2)
    out /= out.sum()
    shifted = np.exp(-((x - 1) ** 2) / 2 / noise**2)
    member = (1 - rate) * out + rate * shifted / shifted.sum()
    truth = np.maximum(member - out, 0).sum()
    found = advantage(((noise, rate, 1),), ADD)
    assert truth <= found + 1e-9
    assert found == pytest.approx(truth, rel=5e-3)
    for false in (0.01, 0.001):
        above = np.cumsum(out[::-1]) <= false  # the ratio grows with x
        reached = member[::-1][above].sum()
        assert reached <= true_positives(((noise, rate, 1),), ADD, false) <= 1.05 * reached


@pytest.mark.parametrize("terms", [ADD, REPLACE], ids=["add_remove", "replace"])
@pytest.mark.parametrize(
    "history",
    [((2.517, 1 / 9, 360),), ((10.0, 1.0, 20),), ((0.7, 0.05, 100), (1.5, 0.2, 50))],
    ids=["training", "full", "two noises"],
)
def test_what_an_attacker_reaches_is_what_riskcal_computes(
    history: tuple[tuple[float, float, int], ...], terms: Terms
) -> None:
    """Another implementation, from the same distribution of losses; ours is an upper bound."""
    analysis = pytest.importorskip("riskcal.analysis")
    interval = min(accounting._interval(noise, rate) for noise, rate, _ in history)
    losses = accounting.composed(history, terms.relation, interval / 2)
    theirs = float(analysis.get_advantage_from_pld(losses))
    assert advantage(history, terms) == pytest.approx(theirs, rel=1e-9)
    for false in (0.01, 0.001):
        missed = float(np.asarray(analysis.get_beta_from_pld(losses, alpha=false)))
        found = true_positives(history, terms, false)
        assert 1 - missed - 1e-9 <= found <= (1 - missed) * (1 + 2e-4)


@pytest.mark.parametrize("terms", [ADD, REPLACE], ids=["add_remove", "replace"])
@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(2.5, 1 / 9, 360), (1.0, 0.1, 200), (1.5, 0.25, 30)]
)
def test_gaussians_of_the_same_epsilon_and_delta_give_more_away_than_private_training(
    noise: float, rate: float, steps: int, terms: Terms
) -> None:
    """So an audit in the f-DP form, which takes them for the claim, does not accuse too much."""
    history = ((noise, rate, steps),)
    mu = distance(spent(history, terms), terms.delta)
    for false in (1e-3, 0.01, 0.1, 0.5):
        reached = true_positives(history, terms, false)
        assert reached <= ndtr(mu + ndtri(false)) * (1 + 2e-4)
