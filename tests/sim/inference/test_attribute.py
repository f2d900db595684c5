"""Attribute inference is imputation where patients are known, and more than a guess without."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.evidence import RunRecord
from sim.study.run import run
from tests.federation import experiment

HEART = ("consortium=heart4", "training.rounds=10")
NOBODY = "attack.attribute_inference.known=0"


def inferred(*words: str) -> RunRecord:
    return run(experiment("attack=attribute_inference", *words))


@pytest.mark.parametrize("seed", [0, 1])
def test_answers_of_the_model_tell_a_field_that_goes_with_the_label(seed: int) -> None:
    words = ("attack.attribute_inference.field=exang", NOBODY, f"seed={seed}")
    found = inferred(*HEART, *words)
    assert found.value("attribute_accuracy") > found.value("attribute_accuracy_alone") + 0.05


def test_they_tell_nothing_of_a_field_that_does_not() -> None:
    found = inferred(*HEART, "attack.attribute_inference.field=fbs", NOBODY)
    assert found.value("attribute_accuracy") < found.value("attribute_accuracy_alone")


def test_with_patients_known_it_is_imputation() -> None:
    found = inferred(*HEART, "attack.attribute_inference.known=200")
    assert found.value("attribute_accuracy_alone") > 0.75
    gap = found.value("attribute_accuracy") - found.value("attribute_accuracy_alone")
    assert abs(gap) < 0.02


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("consortium=heart4", "attack.attribute_inference.field=age"), "age"),
        (("consortium=heart4", "attack.attribute_inference.field=nobody"), "nobody"),
        (("consortium=digits",), "None"),
    ],
)
def test_a_field_that_is_none_is_refused(words: tuple[str, ...], shown: str) -> None:
    expected = f"^attack.attribute_inference.field={shown}: expected a categorical field"
    with pytest.raises(InputError, match=expected):
        experiment("attack=attribute_inference", *words)
