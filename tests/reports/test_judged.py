"""Sentences of a verdict's page: how often an attack worked, and how large the harm was."""

from __future__ import annotations

import pytest

from reports.text import judged
from tests.assessed import assessed, pairs, recovered
from threats.statements import Magnitude, Statement


def statement(attack: str) -> Statement:
    losses = [0.1, 0.2, 0.0, 0.0, 0.0]
    made = assessed([*pairs("sign_flip", losses), *recovered([3] * 8)])
    ours = [one for one in made.statements if one.claim.stack == "robust"]
    return next(one for one in ours if one.claim.attack == attack)


def test_what_an_attack_did_is_stated_with_both_bounds() -> None:
    assert judged.worked(statement("sign_flip")) == (
        "Sign flipping worked in 2 of 5 runs (at least 7.6 % and at most 82 % of such runs, with"
        " 95 % confidence each)."
    )
    text = judged.worked(statement("analytic_inversion"))
    assert text.startswith("Analytic inversion recovered 24 of 128 attacked records (at least ")
    assert text.endswith(" of such records, with 95 % confidence each).")


def test_runs_that_left_no_figure_are_of_those_that_were_tried() -> None:
    one = statement("sign_flip")
    lost = one.model_copy(
        update={"trials": one.trials.model_copy(update={"successes": 0, "unknown": 5})}
    )
    assert "worked in 0 of 5 runs; 5 of them left no figure to tell by" in judged.worked(lost)


def test_runs_that_left_no_model_are_of_those_in_which_it_worked() -> None:
    made = assessed(pairs("sign_flip", [0.1, None, None, 0.0, 0.0]))
    (one,) = [one for one in made.statements if one.claim.stack == "robust"]
    assert "worked in 3 of 5 runs, 2 of which left a model with no AUROC (" in judged.worked(one)


def test_nothing_adapts_to_a_defense_that_is_not_there() -> None:
    one = statement("sign_flip")
    for defense, adaptive, text in (
        ("none", True, "there was no defense to adapt to"),
        ("median", True, "it adapted to the defense"),
        ("median", False, "it did not adapt to the defense"),
    ):
        changed = one.model_copy(update={"defense": defense, "adaptive": adaptive})
        assert judged.adapted(changed) == text


@pytest.mark.parametrize(
    ("kind", "metric", "value", "text"),
    [
        ("integrity", "worst_hospital_auroc", 0.0574, "AUROC of the worst hospital fell by 0.057"),
        (
            "integrity",
            "backdoor_success",
            1.0,
            "attack success of the backdoor rose by 100.0 points",
        ),
        (
            "availability",
            "rounds_skipped",
            0.25,
            "share of rounds that gave no new model rose by 25.0",
        ),
        ("privacy", "membership_auc", 0.75, "AUC of membership inference 0.750"),
        ("integrity", "auroc", None, "no AUROC is left"),
        ("integrity", "auroc", -0.01, "AUROC never fell"),
        (
            "availability",
            "rounds_skipped",
            0.0,
            "share of rounds that gave no new model never rose",
        ),
        ("privacy", "expected_individuals_exposed", 1350.4, "at most 1,350 people expected to be"),
        ("privacy", "expected_individuals_exposed", 0.0, "nobody expected to be exposed"),
        ("privacy", "reconstruction_rate", 0.25, "share of records recovered 25 %"),
    ],
)
def test_the_largest_harm_is_that_of_its_own_metric(
    kind: str, metric: str, value: float | None, text: str
) -> None:
    one = Magnitude.model_validate(
        {"kind": kind, "metric": metric, "value": value, "level": "high"}
    )
    found = judged.magnitude(one)
    assert found.startswith(text)
    assert found.endswith(", which is high on the consortium's scale")
