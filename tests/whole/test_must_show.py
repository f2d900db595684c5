"""What the simulator must show, because theory predicts it: attacks that win, defenses that hold,
and where each stops.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hydra import initialize_config_module

from sim.evidence import RunRecord
from sim.study import compose
from sim.study.run import run, run_together
from tests.federation import experiment

ONE_RECORD = ("training.batch_size=1", "training.local_steps=1", "training.rounds=1")
PRIVATE = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1")
FOUR = "{cleveland:1,hungary:1,switzerland:1,va:1}"
SIXTEEN = "{cleveland:6,hungary:5,switzerland:2,va:3}"


def inverted(*words: str) -> RunRecord:
    """The run in which reconstruction reads the one record of each hospital of heart12."""
    return run(experiment("consortium=heart12", "attack=[analytic_inversion]", *ONE_RECORD, *words))


def recovered(record: RunRecord) -> tuple[int, float]:
    """How many records were attacked, and the share of them that was recovered."""
    rate = record.outcome("reconstruction_rate")
    assert rate is not None
    assert rate.n is not None
    assert rate.value is not None
    return rate.n, rate.value


def test_one_record_a_hospital_is_read_off_its_update_exactly() -> None:
    found = inverted()
    error = found.outcome("reconstruction_error")
    assert recovered(found) == (12, 1.0)
    assert error is not None
    assert (error.n, error.value < 1e-5) == (12, True)
    assert found.inversion is not None
    assert found.inversion.records_in_row == [1] * 12


def test_under_secure_aggregation_fewer_are_read_and_all_are_attacked() -> None:
    found = inverted("defense=secagg")
    n_attacked, rate = recovered(found)
    assert found.inversion is not None
    assert (n_attacked, found.inversion.records_in_row) == (12, [12])
    assert 0 < rate < 1


@pytest.mark.parametrize(
    "words", [("training.optimizer=adam",), PRIVATE], ids=["adam", "dp_record"]
)
def test_quotients_of_adam_and_of_noise_are_no_records(words: tuple[str, ...]) -> None:
    found = inverted(*words)
    n_attacked, rate = recovered(found)
    assert n_attacked > 0
    assert rate == 0


def mean_rate(sites: str, n_seeds: int = 20) -> float:
    words = [f"consortium.sites={sites}", *ONE_RECORD]
    with initialize_config_module("conf", version_base="1.3"):
        runs = compose.experiments(
            words, [compose.Cell(("analytic_inversion",), "secagg")], range(n_seeds)
        )
    return float(np.mean([record.value("reconstruction_rate") for record in run_together(runs)]))


def test_a_sum_of_few_hospitals_hides_little_and_one_of_many_hides_much() -> None:
    # Measured: 0.91 and 0.11, and 0.98 and 0.14 with secagg.clip=0.25 secagg.bits=24. A record of a
    # sum is read where it alone moves a neuron, unless rounding hides it.
    few, many = mean_rate(FOUR), mean_rate(SIXTEEN)
    assert few >= 0.85
    assert 0.03 <= many <= 0.3


SEEDS = 10  # of single seeds under flipped signs some stay above 0.8: 16 of 20 end below 0.56


@lru_cache(maxsize=1)
def sign_flipped() -> dict[tuple[str, str], list[RunRecord]]:
    words = [
        (),
        ("defense=median",),
        ("attack=[sign_flip]",),
        ("attack=[sign_flip]", "defense=median"),
    ]
    records = run_together(
        [
            experiment("consortium=heart12", f"seed={seed}", *more)
            for more in words
            for seed in range(SEEDS)
        ]
    )
    groups = [records[at : at + SEEDS] for at in range(0, len(records), SEEDS)]
    return {(group[0].attack, group[0].defense): group for group in groups}


def auroc(attack: str, defense: str) -> np.ndarray:
    """One value a seed."""
    return np.array([record.value("auroc") for record in sign_flipped()[attack, defense]])


def test_sign_flipping_by_a_quarter_of_the_hospitals_destroys_the_plain_mean() -> None:
    assert auroc("none", "none").min() > 0.82
    assert auroc("sign_flip", "none").mean() <= 0.55
    assert (auroc("none", "none") - auroc("sign_flip", "none")).min() >= 0.05


def test_the_median_withstands_sign_flipping_at_a_price() -> None:
    assert auroc("sign_flip", "median").min() > 0.75
    assert (auroc("none", "median") < auroc("none", "none")).all()


def test_attack_and_defense_are_shown_to_have_done_something() -> None:
    record = sign_flipped()["sign_flip", "median"][0]
    both = record.engagement
    assert record.value("attack_distance") == pytest.approx(5, rel=1e-6)  # from u to -4u
    assert both.attack_engaged
    assert both.defense_engaged
    neither = sign_flipped()["none", "none"][0].engagement
    assert (neither.attack_engaged, neither.defense_engaged) == (None, None)


def test_a_defense_with_nothing_to_do_states_it() -> None:
    words = (
        "consortium=heart4",
        "model=logistic",
        "training.rounds=1",
        "steps=[clip]",
        "steps.clip.max_norm=1e6",
    )
    record = run(experiment(*words))
    assert record.engagement.defense_engaged is False
    assert record.value("defense_distance") == pytest.approx(0, abs=1e-6)


def test_flipped_labels_harm_little_alone_and_are_engaged() -> None:
    design = experiment(
        "consortium=heart4", "model=logistic", "training.rounds=5", "attack=[label_flip]"
    )
    attacked, control = (
        run(design),
        run(experiment("consortium=heart4", "model=logistic", "training.rounds=5")),
    )
    assert attacked.engagement.attack_engaged
    assert attacked.value("brier") > control.value("brier")
    assert attacked.value("auroc") > 0.6
