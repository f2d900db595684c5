"""Other models to other hospitals: the victim's update alone is left in a sum."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.protocol.model_inconsistency import last_hidden_bias
from sim.errors import InputError, RefusedError
from sim.evidence import RunRecord
from sim.study.run import run
from tests.federation import experiment

SUMMED = ("consortium=heart4", "training.rounds=2", "secagg=sum", "adversary.n_hostile=0")
ATTACKED = (*SUMMED, "attack=[model_inconsistency]")


def ran(*words: str) -> RunRecord:
    return run(experiment(*words))


def test_the_victims_layers_are_left_in_the_sum_to_float_tolerance() -> None:
    record = ran(*ATTACKED)
    first, second = (one.hospital for one in record.hospitals[:2])  # a round each
    for victim in (first, second):
        error = record.value("update_error", victim)
        assert error is not None
        assert error < 1e-6
    assert record.value("updates_recovered") == 0.5
    assert record.value("smallest_sum") == 1
    assert record.engagement.attack_engaged
    assert record.isolation is not None
    assert not record.isolation.reads_only


@pytest.mark.parametrize(
    "words",
    [
        ("training.optimizer=adam", "training.lr=0.01"),
        ("model.hidden=[16,8]",),
        ("consortium=digits", "model=cnn", "training.local_steps=2"),
    ],
)
def test_dead_layers_stay_dead_whatever_hospitals_train(words: tuple[str, ...]) -> None:
    record = ran(*ATTACKED, "training.rounds=1", *words)
    error = record.value("update_error")
    assert error is not None
    assert error < 1e-6


def test_records_of_the_victim_are_read_from_a_sum_of_many() -> None:
    fine = ("secagg.bits=24", "secagg.clip=0.5")  # steps below the tolerance of a recovered record
    words = (*fine, "training.rounds=1", "training.batch_size=4", "training.local_steps=1")
    alone = ran(*SUMMED, *words, "attack=[analytic_inversion]")
    led = ran(*SUMMED, *words, "attack=[model_inconsistency,analytic_inversion]")
    assert (alone.n_attacked, led.n_attacked) == (16, 4)
    assert led.n_recovered == 4 > alone.n_recovered / 4


def test_a_victim_can_be_named_and_has_to_be_a_hospital() -> None:
    record = ran(*ATTACKED, "attack.model_inconsistency.victim=hungary")
    assert record.value("update_error", "hungary") is not None
    assert record.value("updates_recovered") == 0.25
    with pytest.raises(InputError, match=r"victim=nowhere: expected one of "):
        experiment(*ATTACKED, "attack.model_inconsistency.victim=nowhere")


def test_a_model_without_a_hidden_layer_is_refused_before_round_1() -> None:
    with pytest.raises(InputError, match="needs a hidden layer with a bias"):
        experiment(*ATTACKED, "model=logistic")
    with pytest.raises(RefusedError):
        last_hidden_bias((("0.weight", (1, 3)), ("0.bias", (1,))))


@pytest.mark.parametrize(
    ("unprotected", "protected"),
    [
        (("secagg=sum",), ("secagg=sum", "secagg.agreement=true")),
        (
            ("secagg=groups", "secagg.size=2"),
            ("secagg=groups", "secagg.size=2", "secagg.agreement=true"),
        ),
        (("secagg=protocol", "secagg.consistency=false"), ("secagg=protocol",)),
    ],
)
def test_hospitals_that_compare_what_they_were_sent_stop_it(
    unprotected: tuple[str, ...], protected: tuple[str, ...]
) -> None:
    words = (*ATTACKED, "training.rounds=1")
    open_ = ran(*words, *unprotected)
    assert (open_.value("update_error") or 0.0) < 1e-6
    assert open_.value("updates_recovered") == 0.25
    closed = ran(*words, *protected)
    assert closed.value("updates_recovered") == 0.0
    assert closed.value("update_error") is None
    assert closed.value("smallest_sum") is None  # no sum at all
    assert closed.skipped_rounds == [1]
    assert len(closed.screened) >= 3  # each that was sent another model is found
    assert closed.engagement.attack_engaged


def test_noise_of_record_level_privacy_hides_the_victims_update_among_the_others() -> None:
    record = ran(*ATTACKED, "dp=record")
    assert record.value("updates_recovered") == 0.0
    assert np.isfinite(record.value("update_error") or 0.0)
