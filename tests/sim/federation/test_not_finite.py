"""A run whose values leave the range of float32 is recorded like any other, and harms no run beside
it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.page import write_report
from sim import evidence
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.federation.observing import Round
from sim.federation.rounds import Aggregated
from sim.observers.evaluation import Evaluated, Evaluation
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, answering, run, run_together
from tests.federation import experiment

BASE = ("consortium=heart4", "model.hidden=[8]", "training.rounds=2", "training.local_steps=2")
BREAKING = {
    "plain": ("training.lr=1e37",),
    "adam": ("training.lr=1e37", "training.optimizer=adam"),
    "private": ("training.lr=1e20", "defense=dp_record"),
    "a proximal term": ("training.lr=1", "training.proximal=1e37"),
    "label_flip": ("training.lr=1e37", "attack=[label_flip]"),
    "backdoor": ("training.lr=1e37", "attack=[backdoor]"),
    "constrain": ("training.lr=1e37", "attack=[constrain]"),
    "sign_flip": ("attack=[sign_flip]", "attack.sign_flip.scale=1e37"),
    "analytic_inversion": ("training.lr=1e37", "attack=[analytic_inversion]"),
    "median": ("training.lr=1e37", "defense=median"),
    "secagg": ("training.lr=1e37", "defense=secagg"),
    **{
        f"{name} of {rate}": (f"server_optimizer={name}", f"server_optimizer.lr={rate}")
        for name in ("fedavgm", "fedadam", "fedyogi", "fedadagrad")
        for rate in ("1e30", "1e37")
    },
}


@lru_cache(maxsize=1)
def designs() -> dict[str, Experiment]:
    return {name: experiment(*BASE, *words) for name, words in BREAKING.items()}


@lru_cache(maxsize=1)
def together() -> tuple[list[RunRecord], dict[str, RunRecord]]:
    """The records of two sound runs, and of all breaking ones between them, in one lockstep."""
    first, *rest = run_together(
        [experiment(*BASE), *designs().values(), experiment(*BASE, "seed=1")]
    )
    return [first, rest[-1]], dict(zip(designs(), rest[:-1], strict=True))


def assert_storable(record: RunRecord) -> None:
    line = record.model_dump_json()
    json.dumps(record.model_dump(mode="json"), allow_nan=False)
    assert RunRecord.model_validate_json(line) == record


@pytest.mark.parametrize("name", BREAKING)
def test_a_run_beyond_float32_is_recorded_with_its_round(name: str) -> None:
    record = together()[1][name]
    assert_storable(record)
    assert record.not_finite_from in (1, 2)
    if len(record.skipped_rounds) == 2:
        assert (
            record.value("auroc")
            is record.value("brier")
            is record.value("worst_hospital_auroc")
            is None
        )
        of_hospitals = [
            one
            for one in record.outcomes
            if one.metric in ("auroc", "brier", "accuracy") and one.subject
        ]
        assert len(of_hospitals) == 3 * record.n_hospitals
        assert all(one.value is None and one.undefined for one in of_hospitals)
        assert (
            record.outcome("auroc").undefined
            == "no round gave a new model, so there is no trained model to score"
        )
    else:
        assert record.value("auroc") is not None


def test_there_are_runs_without_a_trained_model_and_runs_that_have_one() -> None:
    trained = [record.value("auroc") is not None for record in together()[1].values()]
    assert sum(trained) > 2
    assert len(trained) - sum(trained) > 5


def test_sound_runs_are_what_they_are_without_broken_ones_beside_them() -> None:
    for found, alone in zip(
        together()[0], (run(experiment(*BASE)), run(experiment(*BASE, "seed=1"))), strict=True
    ):
        assert found.not_finite_from is None
        assert found.curve["value"] == pytest.approx(alone.curve["value"], abs=1e-5)
        assert found.value("auroc") == pytest.approx(alone.value("auroc"), abs=1e-6)


@pytest.mark.parametrize("name", ["plain", "private", "sign_flip", "fedadam of 1e37"])
def test_one_by_one_the_record_is_the_same(name: str) -> None:
    alone, beside = run(designs()[name]), together()[1][name]
    assert_storable(alone)
    for key in ("outcomes", "skipped_rounds", "not_finite_from", "screened"):
        assert getattr(alone, key) == getattr(beside, key)


def test_a_comparison_with_broken_runs_ends_in_a_report_that_states_it(tmp_path: Path) -> None:
    sound, broken = together()
    for record in (sound[0], broken["label_flip"], broken["sign_flip"], broken["median"]):
        evidence.append(tmp_path, record)
    records = evidence.read(tmp_path)
    evidence.write_tables(tmp_path, records)
    page = write_report(tmp_path).read_text()
    assert "gave a new model" in page
    assert "NaN" not in (tmp_path / "results.csv").read_text()


@pytest.mark.parametrize("attack", ["none", "backdoor"])
@settings(max_examples=25)
@given(
    value=st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e-45, 1e-30, 1e10, 3.4e38, -3.4e38]),
    share=st.sampled_from([0.0, 0.01, 0.5, 1.0]),
    seed=st.integers(0, 50),
)
def test_whatever_the_weights_a_record_can_be_written_and_read_again(
    attack: str, value: float, share: float, seed: int
) -> None:
    federated, weights = fresh(attack)
    rng = np.random.default_rng(seed)
    final = np.where(rng.random(len(weights)) < share, np.float32(value), weights).astype(
        np.float32
    )
    evaluation = federated.observer(Evaluation)
    evaluation.state = Evaluated()
    with np.errstate(all="ignore"):
        evaluation.start(weights)
        for number in (1, 2):
            evaluation.round(Round(number, weights, weights, final, Aggregated()))
        federated.weights = final
        record = federated.record(answering(None), 0.1, final if attack == "backdoor" else None)
    assert_storable(record)
    finite = bool(np.isfinite(final).all())
    assert (record.value("auroc") is not None) == finite
    assert (record.outcome("auroc").undefined is None) == finite
    if record.not_finite_from is None:
        assert finite


@lru_cache(maxsize=2)
def fresh(attack: str) -> tuple[FederatedRun, np.ndarray]:
    federated = FederatedRun(experiment(*BASE, f"attack=[{attack}]"))
    return federated, federated.initial


OUT_OF_RANGE = {
    "training.lr=1e38": "training.lr=1e+38: expected a finite number of at most 1e+37",
    "training.proximal=1e38": "training.proximal=1e+38: expected a finite number of at most 1e+37",
    "training.lr=inf": "training.lr=inf: expected a finite number",
    "training.lr=nan": "training.lr=nan: expected",
    "training.lr=1e308": "training.lr=1e+308: expected a finite number of at most 1e+37",
    "dp.max_grad_norm=1e300": "dp.max_grad_norm=1e+300: expected a finite number of at most 1e+37",
    "dp.max_grad_norm=1e37": (
        "dp.max_grad_norm=1e+37: expected a number of at least 1e-10 and at most 1e+10"
    ),
    "dp.max_grad_norm=1e-300": (
        "dp.max_grad_norm=1e-300: expected a number of at least 1e-10 and at most 1e+10"
    ),
    "dp.target_epsilon=1e37": (
        "dp.target_epsilon=1e+37: expected a number of at least 0.001 and at most 1000"
    ),
}


@pytest.mark.parametrize("word", OUT_OF_RANGE)
def test_what_float32_cannot_hold_is_refused_before_round_1(word: str) -> None:
    words = ["defense=dp_record"] if word.startswith("dp") else []
    with pytest.raises(InputError) as refusal:
        experiment(*BASE, *words, word)
    assert str(refusal.value).startswith(OUT_OF_RANGE[word])


def test_a_rate_and_a_proximal_term_that_are_too_large_together_are_refused() -> None:
    with pytest.raises(InputError, match="expected lr \\* proximal of at most 1e\\+37"):
        experiment(*BASE, "training.lr=1e20", "training.proximal=1e20")


def test_an_attack_that_makes_a_value_of_training_too_large_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=(
            r"^attack\.constrain: training\.proximal=2e\+40: expected a finite number of at most"
            r" 1e\+37"
        ),
    ):
        experiment(*BASE, "attack=[constrain]", "attack.constrain.alpha=1e-40")
