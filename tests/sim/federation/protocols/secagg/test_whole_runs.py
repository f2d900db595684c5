"""Whole runs under SecAgg+: the model of plain addition to the last digit, on every engine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.errors import InputError, UndefinedError
from sim.federation import wire
from sim.federation.driver import drive
from sim.observers.privacy import _is_untrained
from sim.study import checkpoints, unmasking
from sim.study.experiment import Experiment
from sim.study.missing import may_be_missing
from sim.study.run import FederatedRun, _grid, advance, client_app, run, run_together
from tests.federation import experiment, finished

NO_RAY = find_spec("ray") is None and "Ray is not installed: pip install 'wardround[ray]'"
ROUNDS = 3
SMALL = ("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic")
TWELVE = ("consortium=heart12", "training.rounds=2")
KEYS = wire.Content(values={})
PRIVATE = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1.0")


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
    assert record.missing == may_be_missing(design)
    assert record.unmasking == unmasking.sentences(design)
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
    step = 2.0**-20
    np.testing.assert_allclose(*models, atol=4 * step)
    assert [(lost.round, lost.hospital) for lost in there.screened] == [
        (lost.round, lost.hospital) for lost in here.screened
    ]
    assert there.skipped_rounds == here.skipped_rounds == []


def test_the_protocol_costs_less_than_five_thousandths_of_auroc() -> None:
    words = ("consortium=heart12", "training.rounds=40")
    seeds = [f"seed={seed}" for seed in range(3)]
    runs = [make(*words, seed) for make in (protocol, experiment) for seed in seeds]
    records = run_together(runs)
    for one, plain in zip(records[:3], records[3:], strict=True):
        assert one.skipped_rounds == []
        there, here = one.value("auroc"), plain.value("auroc")
        assert there is not None
        assert here is not None
        assert abs(there - here) < 0.005


def test_a_run_goes_on_from_its_progress_to_the_same_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", -1.0)
    monkeypatch.setattr(checkpoints, "DEAREST", float("inf"))
    designs = [protocol(*SMALL, "attack=[honest_absence]"), experiment(*SMALL)]
    whole = [record.model_dump(exclude={"seconds"}) for record in run_together(designs)]

    def stop(number: int) -> None:
        if number == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(advance(designs, stop, tmp_path))
    again = [record.model_dump(exclude={"seconds"}) for record in advance(designs, None, tmp_path)]
    assert again == whole


def test_a_hospital_answers_no_round_before_its_last_one() -> None:
    design = protocol(*SMALL)
    one = FederatedRun(design)
    grid = _grid([one])
    drive([one], grid, lambda _: None)
    nodes = one.roster.nodes
    for number, reason in ((ROUNDS - 1, "over"), (ROUNDS, "phase"), (ROUNDS + 1, "round")):
        asked = wire.ask(
            number, None, one.task, nodes.values(), type_=wire.TRIP, kind="keys", common=KEYS
        )
        for reply in grid.send_and_receive(asked):
            assert vars(reply.content["refusal"])["_data"] == {"why": reason}


def test_the_same_site_masks_differently_under_another_plan() -> None:
    """Masks of one round are never those of another plan, whatever the aggregator asks."""
    one, other = (protocol(*SMALL, f"training.lr={lr}") for lr in (0.1, 0.2))
    name = one.consortium.names[0]
    keys = [design.truth.sites[0].key for design in (one, other)]
    assert keys[0] == keys[1]
    secrets = {
        key.secret("secagg", "seed", design.plan.digest, 1)
        for key, design in zip(keys, (one, other), strict=True)
    }
    assert len(secrets) == 2
    assert one.plan.terms.enrolled[name] == other.plan.terms.enrolled[name]


def test_epsilon_is_spent_by_whoever_trains_and_by_nobody_who_refuses_before() -> None:
    words = (*SMALL, *PRIVATE)
    (record,) = run_together([protocol(*words)])
    assert record.privacy is not None
    assert all(one.steps for one in record.privacy.hospitals)
    asking = (*SMALL, "policy.dp=true", f"policy.hospitals=[{record.hospitals[0].hospital}]")
    (refusing,) = run_together([protocol(*asking)])
    assert {lost.hospital for lost in refusing.screened} == {record.hospitals[0].hospital}
    assert refusing.screened[0].reason.startswith("keys: the hospital refuses: its policy asks")
    assert refusing.skipped_rounds == []


@pytest.mark.parametrize(
    ("reason", "is_untrained"),
    [
        ("the hospital refuses: the plan has no such round", True),
        ("keys: the hospital refuses: the message is not of the form that was agreed on", True),
        (
            "shares: the hospital refuses: the task is of another plan than the one agreed on",
            True,
        ),
        ("train: the hospital refuses: it has answered in a later round already", True),
        (
            "train: the hospital refuses: fewer hospitals take part than the threshold asks for",
            False,
        ),
        (
            "agree: the hospital refuses: fewer hospitals take part than the threshold asks for",
            False,
        ),
        ("keys: no reply", False),
        ("no reply", False),
    ],
)
def test_a_refusal_before_training_spends_no_epsilon(reason: str, is_untrained: bool) -> None:
    trips = ("keys", "shares", "train", "agree", "unmask")
    assert _is_untrained(reason, trips) == is_untrained


def test_a_phase_that_the_secure_aggregation_does_not_have_is_refused() -> None:
    with pytest.raises(UndefinedError, match="phase=keys: expected a trip of this secure"):
        experiment(*SMALL, "attack=[honest_absence]", "attack.honest_absence.phase=keys")
    with pytest.raises(UndefinedError, match="train, unmask"):
        protocol(
            *SMALL,
            "attack=[honest_absence]",
            "attack.honest_absence.phase=agree",
            "secagg.consistency=false",
        )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("secagg.threshold=2",), "threshold=2: expected more than half of the 4"),
        (("secagg.threshold=5",), "at most all: 3 to 4"),
        (("secagg.neighbors=2", "secagg.threshold=4"), "half of the 3 hospitals"),
        ((*TWELVE, "secagg.neighbors=1"), "falls apart into sums of few; expected more"),
        ((*TWELVE, "secagg.neighbors=2"), "expected a threshold of at least 3, or"),
        (
            (*TWELVE, "secagg.neighbors=4", "secagg.threshold=3"),
            "threshold of at least 4, or",
        ),
        (
            (
                "secagg.bits=24",
                "secagg.clip=8",
                "consortium=synthetic",
                "consortium.n_hospitals=300",
            ),
            "overflows",
        ),
        (
            ("consortium=synthetic", "consortium.n_hospitals=9", "secagg.neighbors=3"),
            "an even number",
        ),
    ],
)
def test_a_protocol_that_cannot_work_is_refused_before_round_1(
    words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        protocol(*SMALL, *words)


def test_explain_states_what_unmasking_withstands() -> None:
    twelve = protocol(*TWELVE)
    first, second, last = unmasking.sentences(twelve)
    assert "8 of them recover it; the sum of the others is exact whichever 4 vanish" in first
    assert "with 7 a single update; with 4 if it lies" in second
    assert last.startswith("a hospital has 10 messages in a round, sends 19,966 bytes")
    assert may_be_missing(twelve).startswith("4 of 12 may be missing in a round")
    few = protocol(*TWELVE, "secagg.neighbors=6")
    assert may_be_missing(few).startswith("2 of 12 may be missing in a round")
    assert "with a probability of at most" in unmasking.sentences(few)[2]
    assert unmasking.sentences(clear_sum(*TWELVE)) == []
