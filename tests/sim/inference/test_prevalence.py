"""Property inference reads how common the condition is at a hospital, unless a sum hides it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import expit

from attacks.inference.property_inference import PropertyInference
from sim.evidence import RunRecord
from sim.seeds import stream
from sim.study.run import run
from sim.types import Records
from tests.federation import experiment

HEART = ("consortium=heart4", "training.rounds=3")


def inferred(*words: str, name: str = "property_inference") -> RunRecord:
    return run(experiment(f"attack={name}", *words))


def test_first_updates_tell_the_prevalence_of_each_hospital() -> None:
    found = inferred(*HEART)
    assert found.value("property_found") == 1.0
    assert found.value("property_error") < 0.03
    assert found.value("property_error_alone") > 0.15  # 36 to 93 % of patients have the condition
    assert found.value("property_found_alone") == 0.0
    each = [found.value("property_error", one.hospital) for one in found.hospitals]
    assert len(each) == 4
    assert max(each) < 0.05


def test_a_sum_tells_no_hospital_from_another() -> None:
    found = inferred(*HEART, "secagg=sum")
    assert found.value("property_found") == found.value("property_found_alone") == 0.0
    assert found.value("property_error") > 0.15


def test_a_trained_model_tells_less() -> None:
    late = ("consortium=heart4", "training.rounds=40")
    first = inferred(*HEART).value("property_error")
    words = ("attack.property_inference.n_rounds=40",)
    assert inferred(*late, *words).value("property_error") > 3 * first


def test_another_hospital_reads_the_consortium_from_common_models() -> None:
    found = inferred(*HEART, "secagg=sum", name="property_from_model")
    one = found.outcome("property_error")
    assert (one.n, one.subject) == (1, None)
    assert one.value < 0.5 * found.value("property_error_alone")
    assert [of for of in found.outcomes if of.metric == "property_error" and of.subject] == []


def test_who_saw_no_update_takes_what_the_final_model_makes_of_known_patients() -> None:
    known = Records(np.array([[-1.0], [0.0], [3.0]]), np.array([0, 1, 1], np.float32))
    asked: Any = SimpleNamespace(known=known, hospitals=("a", "b"))
    seen: Any = SimpleNamespace(rounds=(), outputs=lambda features: 2 * features[:, 0])
    found = PropertyInference()(seen, asked, stream(0, "attack"))
    np.testing.assert_allclose(found, np.full((2, 1), expit([-2.0, 0.0, 6.0]).mean()))


def test_who_knows_patients_of_one_kind_alone_learns_nothing() -> None:
    found = inferred(
        "consortium=breast8", "training.rounds=1", "seed=0", name="property_from_model"
    ).outcome("property_found")
    assert found.value is None
    assert "one kind" in found.undefined


def test_where_every_round_is_refused_there_is_no_prevalence_to_find() -> None:
    words = ("consortium=heart4", "training.rounds=1")
    found = inferred(*words, name="[malicious_aggregator,property_from_model]")
    asked = found.outcome("property_found")
    assert (asked.value, asked.n) == (None, 0)
    assert asked.undefined.startswith("no record was trained on")
