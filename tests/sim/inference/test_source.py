"""Source inference finds more than records alone tell, where updates show it, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from attacks.inference.source_inference import SourceInference
from sim.evidence import RunRecord
from sim.inference.source import permuted
from sim.study.run import run
from sim.types import Records, View
from tests.federation import experiment

# hospitals whose patients are alike, and which train long enough to know their own
ALIKE = (
    "consortium=synthetic", "consortium.n_hospitals=5", "consortium.n_records=60",
    "consortium.shift=0", "consortium.n_features=20", "training.local_epochs=20",
    "training.rounds=6", "attack.source_inference.n_rounds=3",
)  # fmt: skip


def inferred(*words: str, name: str = "source_inference") -> RunRecord:
    return run(experiment(f"attack={name}", *words))


@pytest.fixture(scope="module")
def clear() -> RunRecord:
    return inferred(*ALIKE)


def test_updates_tell_which_hospital_knows_a_record(clear: RunRecord) -> None:
    assert clear.value("source_accuracy") > 0.4
    assert clear.value("source_accuracy_alone") < 0.3  # of five hospitals that are alike
    assert clear.value("source_p_value") == 1 / 1000


def test_a_sum_tells_nothing_beyond_the_records(clear: RunRecord) -> None:
    hidden = inferred(*ALIKE, "secagg=sum")
    assert hidden.value("source_accuracy") < clear.value("source_accuracy") - 0.1
    assert hidden.value("source_accuracy") < 0.3
    assert hidden.value("source_p_value") > 0.01


def test_the_final_model_alone_tells_nothing_beyond_the_records() -> None:
    words = [word for word in ALIKE if not word.startswith("attack.")]
    found = inferred(*words, name="source_from_model")
    assert found.value("source_accuracy") < 0.3
    assert found.value("source_p_value") > 0.01


class Linear:
    """The model of two weights without a bias."""

    def logits(self, models: NDArray[np.float64], features: NDArray[np.float64]) -> Any:
        return models @ features.T


def test_the_likelihood_by_each_hospital_is_in_units_of_its_deviation() -> None:
    rng = np.random.default_rng(0)
    features, rows = rng.normal(size=(6, 2)), 9 * rng.normal(size=(3, 2))
    labels = np.array([0, 1, 1, 0, 0, 1], np.float32)
    weights = np.array([0.5, -0.5])
    view = View(rows, (("a",), ("b",), ("c",)), None, weights)
    round_ = SimpleNamespace(before=weights, view=view)
    seen: Any = SimpleNamespace(model=Linear(), rounds=(round_,))
    attack = SourceInference(party="aggregator")
    found = attack._likelihood(seen, Records(features, labels), ("a", "b", "c"))
    of_condition = special.expit((weights + rows) @ features.T).T
    exact = np.log(np.where(labels[:, None] == 1, of_condition, 1 - of_condition))
    exact -= exact.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found, exact / exact.std(), rtol=1e-6)


def test_where_records_tell_the_hospital_they_are_what_is_beside_it() -> None:
    found = inferred("consortium=heart4", "training.rounds=5")
    assert found.value("source_accuracy_alone") > 0.8  # absent values differ between hospitals
    assert found.value("source_accuracy") > 0.8


def test_permutations_stay_among_records_that_are_alike() -> None:
    places = np.array([0, 0, 1, 1] * 5)
    # each answer is what a classifier on the record states, and no more: every order is as good
    assert permuted(places, places, places, np.random.default_rng(0)) == 1.0
    alike = np.zeros(20, np.int64)
    assert permuted(places, places, alike, np.random.default_rng(0)) == 1 / 1000
    wrong = 1 - places
    assert permuted(wrong, places, alike, np.random.default_rng(0)) == 1.0
