"""What a patient with several records loses is what other computations state, or above it."""

import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.privacy_accountant import NeighboringRelation
from numpy.typing import NDArray
from scipy.stats import binom, norm

from clients.accounting import Step, Terms, spent
from clients.several import _divergences, _joined
from sim.errors import InputError
from sim.study.run import run_together
from tests.clients.test_relations import private
from tests.federation import experiment

DELTA = 1e-5
USUAL: Step = (2.0, 0.1, 200)


def mixture(at: NDArray[np.float64], noise: float, rate: float, records: int) -> NDArray:
    """The density of one step's sum in clipping norms, where each record joins on its own."""
    shares = binom.pmf(np.arange(records + 1), records, rate)
    return sum(share * norm.pdf(at, joined, noise) for joined, share in enumerate(shares))


def by_library(step: Step, records: int) -> float:
    """Epsilon by dp-accounting's own mixtures, for records more or less."""
    noise, rate, steps = step
    shares = [float(share) for share in binom.pmf(range(records + 1), records, rate)]
    one = privacy_loss_distribution.from_mixture_gaussian_mechanism(
        noise, list(range(records + 1)), shares, value_discretization_interval=2e-3
    )
    return float(one.self_compose(steps).get_epsilon_for_delta(DELTA))


@pytest.mark.parametrize(("records", "alone"), [(2, 9.98), (3, 23.1)])
def test_records_that_join_on_their_own_are_the_librarys_mixture(
    records: int, alone: float
) -> None:
    found = spent((USUAL,), Terms("add_remove", DELTA, records))
    assert found == pytest.approx(by_library(USUAL, records), rel=2e-3)
    # records that always join together lose what a noise that many times smaller loses
    together = spent(((USUAL[0] / records, *USUAL[1:]),), Terms("add_remove", DELTA))
    assert together == pytest.approx(alone, abs=0.05)
    assert spent((USUAL,), Terms("add_remove", DELTA)) < found < together


def test_one_step_has_the_delta_that_integration_gives() -> None:
    noise, rate, records = 1.0, 0.3, 3
    at = np.linspace(-12.0, 15.0, 400_001)
    width = at[1] - at[0]
    with_records = mixture(at, noise, rate, records)
    without = norm.pdf(at, 0, noise)
    for epsilon in (0.5, 1.5, 3.0):
        grown = math.exp(epsilon)
        delta = max(
            float(np.maximum(with_records - grown * without, 0).sum() * width),
            float(np.maximum(without - grown * with_records, 0).sum() * width),
        )
        found = spent(((noise, rate, 1),), Terms("add_remove", delta, records))
        assert found == pytest.approx(epsilon, rel=2e-3)


@pytest.mark.parametrize("removed", [True, False])
def test_divergences_are_those_that_integration_gives(removed: bool) -> None:
    noise, rate, records = 1.0, 0.3, 2
    at = np.linspace(-15.0, 25.0, 200_001)
    with_records = np.log(mixture(at, noise, rate, records))
    without = norm.logpdf(at, 0, noise)
    one, other = (with_records, without) if removed else (without, with_records)
    for order in (1.5, 4.0):
        powers = np.exp(order * one + (1 - order) * other)
        exact = math.log(float(powers.sum() * (at[1] - at[0]))) / (order - 1)
        found = _divergences(noise, _joined(rate, records), np.array([order]), removed=removed)
        assert found[0] == pytest.approx(exact, rel=1e-6)


def test_records_that_are_replaced_lose_no_less_than_the_closed_form_states() -> None:
    noise, rounds, records = 20.0, 20, 2
    mu = 2 * records / noise * math.sqrt(rounds)  # all join each batch: one Gaussian after another
    closed = spent(((1 / mu, 1.0, 1),), Terms("add_remove", DELTA))
    found = spent(((noise, 1.0, rounds),), Terms("replace", DELTA, records))
    assert closed < found < 1.2 * closed
    replaced = spent((USUAL,), Terms("replace", DELTA, 2))
    pair = NeighboringRelation.REPLACE_ONE
    joined = privacy_loss_distribution.from_gaussian_mechanism(
        USUAL[0] / 2, sampling_prob=USUAL[1], neighboring_relation=pair
    )
    assert replaced > spent((USUAL,), Terms("replace", DELTA))
    assert replaced < 1.2 * joined.self_compose(USUAL[2]).get_epsilon_for_delta(DELTA)


def test_one_record_a_patient_is_the_record_and_more_lose_more() -> None:
    history = [USUAL]
    found = [private(records_per_patient=n).patient_epsilon(history) for n in (1, 2, 4)]
    assert found[0] == private().epsilon(history)
    assert found == sorted(found)
    for wrong in (0, 65):
        with pytest.raises(InputError, match="records_per_patient"):
            private(records_per_patient=wrong)


@pytest.mark.parametrize("step", [(0.3, 0.3, 50), (0.05, 0.1, 10), (1e4, 1e-3, 10), (5.0, 1.0, 3)])
@pytest.mark.parametrize("relation", ["add_remove", "replace"])
def test_little_and_much_noise_are_counted_or_refused(step: Step, relation: str) -> None:
    one = Terms(relation, DELTA)
    try:
        found = spent((step,), Terms(relation, DELTA, 5))
    except InputError:
        assert step[0] < 1
    else:
        assert math.isfinite(found)
        assert found >= spent((step,), one)


def test_evidence_states_patients_beside_records() -> None:
    words = ("consortium=heart4", "model=logistic", "training.rounds=2", "training.local_steps=2")
    noise = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=4.0")
    record = run_together([experiment(*words, *noise, "dp.records_per_patient=3")])[0]
    by_unit = {one.unit: one for one in record.statements}
    assert set(by_unit) == {"record", "patient"}
    assert by_unit["record"].epsilon == record.value("epsilon")
    assert by_unit["patient"].epsilon == record.value("patient_epsilon")
    worst = by_unit["patient"].hospital
    assert worst is not None
    assert record.value("patient_epsilon", worst) == record.value("patient_epsilon")
    assert by_unit["patient"].epsilon > by_unit["record"].epsilon
    assert "up to 3 records of one patient" in by_unit["patient"].relation
