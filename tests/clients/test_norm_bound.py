"""A bound on the length of updates in the hospital: it holds for honest ones and no others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clients.app import hospital_app, shortened
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.study.experiment import Experiment
from sim.study.run import run, run_together
from sim.study.visibility import conflicts
from tests.federation import experiment

HEART = ("consortium=heart12", "model=logistic", "training.rounds=3", "adversary.n_hostile=1")
BOUND = 0.05
BOUNDED = f"training.max_norm={BOUND}"


class Lengths:
    """An observer of the lengths of all rows of the views, and of the steps of the model."""

    rows: list[float]
    steps: list[float]

    def __init__(self, subject: Subject) -> None:
        Lengths.rows = []
        Lengths.steps = []

    def start(self, weights: Weights) -> None:
        """Nothing is seen yet."""

    def round(self, seen: Round) -> None:
        """Note the lengths of a round."""
        assert seen.aggregated.view is not None
        assert seen.aggregated.aggregate is not None
        Lengths.rows += np.linalg.norm(seen.aggregated.view.rows, axis=1).tolist()
        Lengths.steps.append(float(np.linalg.norm(seen.aggregated.aggregate)))

    def findings(self, ended: Ended) -> Findings:
        """None."""
        return Findings()


ENGINES: dict[str, Callable[[Experiment], RunRecord]] = {
    "lockstep": lambda design: run_together([design], observers=[Lengths])[0],
    "one by one": lambda design: run(design, app=hospital_app, observers=[Lengths]),
}


@pytest.mark.parametrize("length", [0.0, 0.5, 1.0, 3.0, 1e30])
def test_an_update_keeps_its_direction_and_is_no_longer_than_the_bound(length: float) -> None:
    direction = np.random.default_rng(1).normal(size=50)
    update = (length * direction / np.linalg.norm(direction)).astype(np.float32)
    found = shortened(update, 1.0)
    assert np.linalg.norm(found) <= 1 + 1e-6
    if length <= 1 - 1e-6:
        np.testing.assert_array_equal(found, update)
    else:
        np.testing.assert_allclose(found, update / length, rtol=1e-5)


def test_an_update_that_is_not_finite_is_left_to_the_aggregator() -> None:
    update = np.array([1.0, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(shortened(update, 0.1), update)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_update_of_an_honest_hospital_is_within_the_bound(engine: str) -> None:
    ENGINES[engine](experiment(*HEART, BOUNDED))
    assert len(Lengths.rows) == 36
    assert max(Lengths.rows) <= BOUND * (1 + 1e-5)
    ENGINES[engine](experiment(*HEART))
    assert min(Lengths.rows) > BOUND


@pytest.mark.parametrize("secagg", ["sum", "protocol"])
def test_it_holds_under_secure_aggregation_and_a_run_goes_on(secagg: str) -> None:
    record = ENGINES["lockstep"](experiment(*HEART, BOUNDED, f"secagg={secagg}"))
    assert max(Lengths.steps) <= BOUND * (1 + 1e-2)  # and quantization
    assert record.skipped_rounds == []
    plain = ENGINES["lockstep"](experiment(*HEART, BOUNDED))
    assert record.value("auroc") == pytest.approx(plain.value("auroc"), abs=0.01)


def test_an_honest_hospital_whose_training_runs_away_moves_the_sum_by_its_part_alone() -> None:
    words = (*HEART, "secagg=sum", "secagg.clip=8.0", "secagg.bits=20", "training.lr=50")
    ENGINES["lockstep"](experiment(*words, BOUNDED))
    held = max(Lengths.steps)
    ENGINES["lockstep"](experiment(*words))
    assert held <= BOUND * (1 + 1e-2) < max(Lengths.steps) / 100


@pytest.mark.parametrize("secagg", ["sum", "protocol"])
@pytest.mark.parametrize("attack", ["gaussian", "label_flip"])
def test_a_hostile_hospital_ignores_it_and_no_sum_shows_that(attack: str, secagg: str) -> None:
    scale = ("attack.gaussian.std=5",) if attack == "gaussian" else ("training.lr=5",)
    words = (*HEART, BOUNDED, f"secagg={secagg}", *scale)
    ENGINES["lockstep"](experiment(*words, f"attack=[{attack}]"))
    assert max(Lengths.steps) > 2 * BOUND


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "1e38", "true"])
def test_a_bound_is_a_length(value: str) -> None:
    with pytest.raises(InputError, match=r"^training\.max_norm="):
        experiment(*HEART, f"training.max_norm={value}")


def test_the_plan_has_the_bound_and_the_design_states_that_nobody_proves_it() -> None:
    bounded = experiment(*HEART, BOUNDED, "secagg=sum")
    assert bounded.plan.digest != experiment(*HEART, "secagg=sum").plan.digest
    found = {one.id: one.text for one in conflicts(bounded)}
    assert "none proves the length of what it sends" in found["bound-unproven"]
    in_the_clear = {one.id: one.text for one in conflicts(experiment(*HEART, BOUNDED))}
    assert "steps=[clip]" in in_the_clear["bound-unproven"]
    assert "bound-unproven" not in {one.id for one in conflicts(experiment(*HEART))}
