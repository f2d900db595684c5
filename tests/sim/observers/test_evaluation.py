"""Figures of quality equal scikit-learn's and a count by hand, ties and absent classes included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    roc_auc_score,
    roc_curve,
)

from sim.evidence import Outcome
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.models.store import load, unload
from sim.observers.evaluation import (
    Evaluator,
    average_precision,
    curve,
    segmented_auroc,
    sensitivity_at,
)
from sim.seeds import stream
from sim.types import Consortium, Hospital, Records
from tests.federation import experiment

FAST = settings(max_examples=60, deadline=None)
Scored = tuple[np.ndarray, np.ndarray]  # labels and scores


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores, full of ties."""
    n = draw(st.integers(2, 40))
    labels = draw(
        st.lists(st.booleans(), min_size=n, max_size=n).filter(
            lambda values: 0 < sum(values) < len(values)
        )
    )
    scores = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
    return np.array(labels, dtype=np.float64), np.array(scores, dtype=np.float64) / 4


@FAST
@given(parts=st.lists(scored(), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_auroc_of_all_segments_at_once_equals_scikit_learns_one_by_one(
    parts: list[tuple[np.ndarray, np.ndarray]], seed: int
) -> None:
    labels, scores = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    segment = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    order = np.random.default_rng(seed).permutation(len(labels))
    found = segmented_auroc(scores[order], labels[order], segment[order], len(parts))
    np.testing.assert_allclose(found, [roc_auc_score(*part) for part in parts], atol=1e-12)


def test_auroc_does_not_exist_where_a_class_or_everybody_is_absent() -> None:
    labels, segment = np.array([1.0, 1, 0, 0, 1, 0]), np.array([0, 0, 1, 1, 3, 3])
    found = segmented_auroc(np.array([0.1, 0.2, 0.3, 0.4, 2.0, 1.0]), labels, segment, 5)
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 1.0, np.nan])


def test_equal_scores_are_no_better_than_chance() -> None:
    labels = np.array([1.0, 0, 1, 0, 0])
    assert segmented_auroc(np.zeros(5), labels, np.zeros(5, dtype=int), 1) == [0.5]


def cases(digits: int | None, of: tuple[int, ...] = (0, 1)) -> Iterator[Scored]:
    """Random labels of the classes ``of``, each of them there, and scores with few digits.

    Where ``digits`` is None, all patients of a case have the same score.
    """
    rng = np.random.default_rng(digits)
    for n in range(2, 200):
        labels = np.array([*of, *rng.choice(of, n - len(of))], dtype=np.float64)
        scores = rng.normal(size=n) + labels
        yield labels, np.full(n, scores[0]) if digits is None else scores.round(digits)


@pytest.mark.parametrize("of", [(0, 1), (1,)])
@pytest.mark.parametrize("digits", [None, 0, 1, 9])
def test_average_precision_has_the_digits_of_scikit_learn(
    digits: int | None, of: tuple[int, ...]
) -> None:
    for labels, scores in cases(digits, of):
        assert average_precision(labels, scores) == average_precision_score(labels, scores)


@pytest.mark.parametrize("digits", [None, 0, 1, 9])
def test_sensitivity_has_the_digits_of_scikit_learns_curve(digits: int | None) -> None:
    for labels, scores in cases(digits):
        false_alarms, found, _ = roc_curve(labels, scores, drop_intermediate=False)
        for specificity in (0.0, 0.5, 0.8, 0.9, 1.0):
            best = found[false_alarms <= 1 - specificity + 1e-12].max()
            assert sensitivity_at(specificity, labels, scores) == best


@FAST
@given(data=scored(), specificity=st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]))
def test_sensitivity_at_a_specificity_is_the_best_of_all_thresholds(
    data: tuple[np.ndarray, np.ndarray], specificity: float
) -> None:
    labels, scores = data
    best = 0.0
    for threshold in [*scores, np.inf]:
        alarmed = scores >= threshold
        if np.mean(~alarmed[labels == 0]) >= specificity - 1e-12:
            best = max(best, float(np.mean(alarmed[labels == 1])))
    assert sensitivity_at(specificity, labels, scores) == pytest.approx(best)


DESIGN = experiment("consortium=heart12")
WEIGHTS = DESIGN.plan.network.initialize(stream(0, "weights"))


def evaluation(consortium: Consortium = DESIGN.consortium, min_class_rows: int = 5) -> Evaluator:
    return Evaluator(consortium, DESIGN.plan.network, min_class_rows)


def pooled(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """The outcomes of all hospitals together, by metric."""
    return {one.metric: one for one in outcomes if one.subject is None}


def scores_of(hospital: Hospital) -> np.ndarray:
    return DESIGN.plan.network.scores(WEIGHTS, hospital.test.features)


def test_each_hospitals_figures_equal_scikit_learns_on_its_test_patients() -> None:
    found = evaluation().by_hospital(WEIGHTS)
    for i, hospital in enumerate(DESIGN.consortium.hospitals):
        labels, scores = hospital.test.labels.astype(np.float64), scores_of(hospital)
        assert found["brier"][i] == pytest.approx(brier_score_loss(labels, expit(scores)))
        assert found["accuracy"][i] == pytest.approx(accuracy_score(labels, scores > 0))
        if min(labels.sum(), len(labels) - labels.sum()) >= 5:
            assert found["auroc"][i] == pytest.approx(roc_auc_score(labels, scores))
        else:
            assert np.isnan(found["auroc"][i])
    assert np.isnan(found["auroc"]).any()
    assert not np.isnan(found["auroc"]).all()


def test_the_pooled_outcome_equals_scikit_learns_on_all_test_patients() -> None:
    hospitals = DESIGN.consortium.hospitals
    labels = np.concatenate([hospital.test.labels for hospital in hospitals]).astype(np.float64)
    scores = np.concatenate([scores_of(hospital) for hospital in hospitals])
    found = pooled(evaluation().outcomes(WEIGHTS))
    last = {name: values[-1] for name, values in evaluation().by_hospital(WEIGHTS).items()}
    assert (
        found["auroc"].value
        == pytest.approx(roc_auc_score(labels, scores))
        == pytest.approx(last["auroc"])
    )
    assert found["auprc"].value == pytest.approx(average_precision_score(labels, scores))
    assert (
        found["brier"].value
        == pytest.approx(brier_score_loss(labels, expit(scores)))
        == pytest.approx(last["brier"])
    )
    assert (
        found["accuracy"].value
        == pytest.approx(accuracy_score(labels, scores > 0))
        == pytest.approx(last["accuracy"])
    )
    assert {one.n for one in found.values()} == {len(labels)}


def test_the_worst_hospital_is_the_worst_of_those_with_enough_patients() -> None:
    each = evaluation().by_hospital(WEIGHTS)["auroc"][:-1]
    found = pooled(evaluation().outcomes(WEIGHTS))
    assert found["worst_hospital_auroc"].value == np.nanmin(each)
    lacking = pooled(evaluation(min_class_rows=10_000).outcomes(WEIGHTS))["worst_hospital_auroc"]
    assert lacking.value is None
    assert (
        lacking.undefined == "no hospital has 10000 test patients of each class and finite scores"
    )


def test_the_worst_hospital_is_not_known_where_one_of_those_is_left_with_no_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = evaluation()
    scores = whole.scores(WEIGHTS)
    each = whole.by_hospital(WEIGHTS)["auroc"][:-1]
    for hospital in range(len(DESIGN.consortium)):
        broken = np.where(whole._site == hospital, np.nan, scores)
        monkeypatch.setattr(Evaluator, "scores", lambda *_, broken=broken: broken)
        found = pooled(whole.outcomes(WEIGHTS))["worst_hospital_auroc"]
        if np.isnan(each[hospital]):
            assert found.value == np.nanmin(each)
        else:
            assert found.value is None
            assert found.undefined is not None
            assert "test patients are not finite" in found.undefined


FIGURES = (
    "auroc",
    "auprc",
    "accuracy",
    "sensitivity_at_90_specificity",
    "brier",
    "worst_hospital_auroc",
)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_is_not_finite_has_no_figures_and_a_reason(value: float) -> None:
    found = pooled(evaluation().outcomes(np.full_like(WEIGHTS, value)))
    assert [found[name].value for name in FIGURES] == [None] * len(FIGURES)
    n = found["auroc"].n
    assert found["auroc"].undefined == f"the scores of {n} of {n} test patients are not finite"


def test_a_run_without_a_trained_model_has_no_figures_and_a_reason() -> None:
    found = pooled(evaluation().outcomes(None))
    assert [found[name].value for name in FIGURES] == [None] * len(FIGURES)
    assert found["auroc"].undefined is not None
    assert "no trained model" in found["auroc"].undefined


def test_scores_that_float32_cannot_hold_are_those_of_float64() -> None:
    large = (WEIGHTS * np.float32(1e20)).astype(np.float32)
    scores, fits = evaluation().scored(large)
    features = np.concatenate([hospital.test.features for hospital in DESIGN.consortium.hospitals])
    assert not fits
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(
        scores, DESIGN.plan.network.scores(large.astype(float), features.astype(float))
    )
    labels = np.concatenate([hospital.test.labels for hospital in DESIGN.consortium.hospitals])
    assert pooled(evaluation().outcomes(large))["auroc"].value == pytest.approx(
        roc_auc_score(labels, scores)
    )


@pytest.mark.parametrize("label", [0, 1])
def test_test_patients_of_one_class_leave_what_ranks_them_undefined_and_the_rest_stated(
    label: int,
) -> None:
    hospitals = tuple(
        replace(h, test=h.test.take(h.test.labels == label)) for h in DESIGN.consortium.hospitals
    )
    found = pooled(evaluation(replace(DESIGN.consortium, hospitals=hospitals)).outcomes(WEIGHTS))
    assert [
        found["auroc"].value,
        found["auprc"].value,
        found["sensitivity_at_90_specificity"].value,
        found["worst_hospital_auroc"].value,
    ] == [None] * 4
    scores = np.concatenate([scores_of(hospital) for hospital in hospitals])
    assert found["brier"].value == pytest.approx(np.mean((expit(scores) - label) ** 2))
    assert found["accuracy"].value == pytest.approx(np.mean((scores > 0) == label))
    assert (
        found["auroc"].undefined
        == f"all {len(scores)} test patients are {'with' if label else 'without'} the condition"
    )


def test_a_hospital_without_test_patients_changes_no_other_hospitals_figures() -> None:
    whole = evaluation().by_hospital(WEIGHTS)
    n = len(DESIGN.consortium)
    for empty in (0, n // 2, n - 1):
        hospitals = [
            replace(h, test=h.test.take([])) if i == empty else h
            for i, h in enumerate(DESIGN.consortium.hospitals)
        ]
        found = evaluation(replace(DESIGN.consortium, hospitals=tuple(hospitals))).by_hospital(
            WEIGHTS
        )
        for metric, values in found.items():
            assert np.isnan(values[empty])
            others = [i for i in range(n) if i != empty]
            np.testing.assert_allclose(values[others], whole[metric][others], rtol=1e-6)
            assert np.isfinite(values[n])


def test_without_any_test_patients_no_figure_is_defined() -> None:
    hospitals = tuple(replace(h, test=h.test.take([])) for h in DESIGN.consortium.hospitals)
    found = pooled(evaluation(replace(DESIGN.consortium, hospitals=hospitals)).outcomes(WEIGHTS))
    assert [found[name].value for name in FIGURES] == [None] * len(FIGURES)
    assert found["auroc"].undefined == "there are no test patients"


def test_a_hospital_of_one_class_has_no_auroc_but_the_other_figures() -> None:
    first, *rest = DESIGN.consortium.hospitals
    ill = first.test.take(first.test.labels == 1)
    found = evaluation(
        replace(DESIGN.consortium, hospitals=(replace(first, test=ill), *rest)), 1
    ).by_hospital(WEIGHTS)
    assert np.isnan(found["auroc"][0])
    assert np.isfinite(found["brier"][0])


def test_the_figures_of_many_rounds_at_once_are_those_of_each_round() -> None:
    models = [DESIGN.plan.network.initialize(stream(i, "weights")) for i in range(3)]
    together = evaluation().by_round([evaluation().scores(model) for model in models])
    for i, model in enumerate(models):
        for metric, values in evaluation().by_hospital(model).items():
            np.testing.assert_array_equal(together[metric][i], values)


def test_curves_leave_out_what_does_not_exist_and_start_before_the_first_round() -> None:
    columns = curve(
        DESIGN.consortium.names, evaluation().by_round([evaluation().scores(WEIGHTS)] * 3)
    )
    assert set(columns["round"]) == {0, 1, 2}
    assert set(columns["hospital"]) == {*DESIGN.consortium.names, "all"}
    assert len({len(column) for column in columns.values()}) == 1
    assert all(value == value for value in columns["value"])


# --- models


@pytest.mark.parametrize("hidden", [[], [5], [7, 3]])
def test_the_network_and_the_vector_give_the_same(hidden: list[int]) -> None:
    network = FullyConnected((4, *hidden, 1))
    vector = network.initialize(stream(0, "model"))
    module = network.module()
    load(module, vector)
    features = stream(0, "rows").normal(size=(9, 4)).astype(np.float32)
    np.testing.assert_array_equal(unload(module), vector)
    outputs = module(torch.from_numpy(features))[:, 0].detach()
    np.testing.assert_allclose(outputs, network.scores(vector, features), atol=1e-6)
    np.testing.assert_allclose(outputs, Network.scores(network, vector, features), atol=1e-6)
    assert [(name, tuple(p.shape)) for name, p in module.named_parameters()] == list(network.layout)
    assert network.n_params == len(vector) == sum(p.numel() for p in module.parameters())


def test_the_first_weights_are_spread_as_torchs_own_and_differ_by_seed() -> None:
    network = FullyConnected((100, 64, 1))
    vector = network.initialize(stream(0, "model"))
    first = vector[: 64 * 100]
    assert np.abs(first).max() <= 0.1
    assert first.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.05)
    assert (vector != network.initialize(stream(1, "model"))).all()


def test_records_take_rows() -> None:
    records = Records(np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 1, 0], np.float32))
    taken = records.take([2, 0])
    assert (len(taken), taken.features.tolist(), taken.labels.tolist()) == (
        2,
        [[4, 5], [0, 1]],
        [0, 0],
    )
