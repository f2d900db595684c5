"""Whole runs under SecAgg+: the model of plain addition to the last digit, on every engine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from sim.federation.driver import drive
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, _grid, client_app, run, run_together
from tests.federation import experiment, finished

NO_RAY = find_spec("ray") is None and "Ray is not installed: pip install 'wardround[ray]'"
ROUNDS = 3
SMALL = ("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic")
TWELVE = ("consortium=heart12", "training.rounds=2")
PRIVATE = ("dp=record", "dp.accountant=rdp", "dp.target_epsilon=null", "dp.noise_multiplier=1.0")


def protocol(*words: str) -> Experiment:
    return experiment(*words, "secagg=protocol")


def clear_sum(*words: str) -> Experiment:
    return experiment(*words, "secagg=sum")


@pytest.mark.parametrize(
    "words",
    [
        (*SMALL,),
        (*SMALL, "secagg.clip=0.01"),
        (*SMALL, "secagg.bits=8"),
        (*SMALL, "attack=[sign_flip]"),
        (*SMALL, "attack=[alie,label_flip]", "adversary.n_hostile=2"),
        (*SMALL, "attack=[inflated_count]"),
        (*SMALL, "attack=[model_replacement]", "adversary.first_round=2"),
        (*SMALL, *PRIVATE),
        (*SMALL, "attack=[honest_absence]", "attack.honest_absence.n_hospitals=1"),
        (*TWELVE, "attack=[dropout,honest_absence]", "attack.dropout.rate=0.5"),
        (*TWELVE, "steps=[clip]", "server_optimizer=fedadam"),
    ],
    ids=lambda words: " ".join(words[2:]),
)
def test_the_model_is_that_of_plain_addition_to_the_last_digit(words: tuple[str, ...]) -> None:
    one = finished(protocol(*words))
    plain = finished(clear_sum(*words, f"secagg.least={one.plan.least}"))
    assert not one.aggregator.protocol.is_clear
    assert plain.aggregator.protocol.is_clear
    assert one.weights.tobytes() == plain.weights.tobytes()
    assert (one.weights != one.initial).any()
    assert one.log.skipped == plain.log.skipped
    assert {lost.hospital for lost in one.log.screened} == {
        lost.hospital for lost in plain.log.screened
    }


def test_a_poisoned_update_moves_the_sum_as_it_does_without_masks() -> None:
    words = (*SMALL, "training.rounds=1", "attack=[sign_flip]", "attack.sign_flip.scale=5")
    honest = finished(protocol(*SMALL, "training.rounds=1"))
    one = finished(protocol(*words))
    plain = finished(clear_sum(*words))
    assert np.linalg.norm(one.weights - honest.weights) > 0.01
    np.testing.assert_array_equal(one.weights - honest.weights, plain.weights - honest.weights)
    assert one.adversary.moved == plain.adversary.moved


def test_runs_with_different_numbers_of_trips_advance_together_as_they_do_alone() -> None:
    designs = [
        experiment(*SMALL),
        protocol(*SMALL),
        protocol(*SMALL, "attack=[sign_flip,dropout]", "secagg.consistency=false"),
        clear_sum(*SMALL),
        protocol(*SMALL, "attack=[honest_absence]", "attack.honest_absence.phase=shares"),
    ]
    runs = list[FederatedRun]()
    for i, design in enumerate(designs):
        runs.append(FederatedRun(design, 1 + 4 * i))
    drive(runs, _grid(runs), lambda _: None)
    for design, together in zip(designs, runs, strict=True):
        alone = finished(design)
        np.testing.assert_array_equal(together.weights, alone.weights)
        assert together.log.screened == alone.log.screened


def test_evidence_is_the_same_in_lockstep_through_flowers_server_and_by_single_apps() -> None:
    design = protocol(*SMALL, "attack=[sign_flip]")
    (record,) = run_together([design])
    assert record.skipped_rounds == []
    assert record.screened == []
    assert record.model_dump(exclude={"seconds"}) == run(design).model_dump(exclude={"seconds"})
    apart = run(design, app=client_app())
    assert apart.screened == []
    for one, other in zip(record.outcomes, apart.outcomes, strict=True):
        assert one.metric == other.metric
        assert one.value == pytest.approx(other.value, abs=1e-4)


@pytest.mark.skipif(bool(NO_RAY), reason=str(NO_RAY))
@pytest.mark.parametrize(
    "words", [(), ("attack=[sign_flip,dropout]", "attack.dropout.rate=0.5")], ids=str
)
def test_the_same_model_comes_out_on_ray(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    models, record = list[np.ndarray](), FederatedRun.record

    def spy(one: FederatedRun, *rest: Any) -> Any:
        models.append(one.weights)
        return record(one, *rest)

    monkeypatch.setattr(FederatedRun, "record", spy)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    there = run(protocol(*SMALL, "engine=ray", *words))
    here = run(protocol(*SMALL, *words))
    step = 2.0**-16
    np.testing.assert_allclose(*models, atol=4 * step)
    assert [(lost.round, lost.hospital) for lost in there.screened] == [
        (lost.round, lost.hospital) for lost in here.screened
    ]
    assert there.skipped_rounds == here.skipped_rounds == []


def test_the_protocol_costs_less_than_five_thousandths_of_auroc() -> None:
    words = ("consortium=heart12", "training.rounds=40")
    for seed in range(3):
        one, plain = run_together(
            [protocol(*words, f"seed={seed}"), experiment(*words, f"seed={seed}")]
        )
        assert one.skipped_rounds == []
        there, here = one.value("auroc"), plain.value("auroc")
        assert there is not None
        assert here is not None
        assert abs(there - here) < 0.005
