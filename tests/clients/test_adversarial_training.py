"""Adversarial training moves records against the received model, and makes evasion harder."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from clients.adversarial_training import AdversarialTraining
from clients.app import hospital_app
from sim import feasible
from sim.devices import one_thread
from sim.errors import UndefinedError
from sim.models.released import ReleasedModel
from sim.models.store import load
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.study.run import run, run_together
from sim.types import Records
from tests import federation
from tests.commands import FAST, wardround
from tests.federation import experiment, finished

HEART = ("consortium=heart4", "training.rounds=3")
HARDENED = (*HEART, "defense=adversarial_training")
ALL = AdversarialTraining(share=1.0, levels=0)


@cache
def made(*words: str) -> Experiment:
    return experiment(*words)


def moved(
    design: Experiment, hardening: AdversarialTraining, records: Records, seed: int = 0
) -> Records:
    """What a hospital makes of its records in round 1."""
    plan = design.plan
    weights = plan.first_weights(design.aggregator_key)
    return hardening(plan.network, weights, records, plan.columns, stream(seed, "hardening"))


def of_site(design: Experiment) -> Records:
    return design.truth.sites[0].records


def slopes(design: Experiment, records: Records) -> NDArray[np.float32]:
    """The gradient of each record's loss by its columns, one record at a time."""
    module = design.plan.network.module()
    load(module, design.plan.first_weights(design.aggregator_key))
    found = []
    for features, label in zip(records.features, records.labels, strict=True):
        row = torch.tensor(features[None], requires_grad=True)
        loss = nn.functional.binary_cross_entropy_with_logits(
            module(row)[:, 0], torch.tensor([label])
        )
        (slope,) = torch.autograd.grad(loss, row)
        found.append(slope.numpy()[0])
    return np.array(found)


def test_one_step_moves_what_can_be_moved_along_the_sign_of_its_slope() -> None:
    design = made(*HEART)
    records = of_site(design)
    found = moved(design, ALL, records)
    movable = feasible.movable(design.plan.columns, records.features, ("age", "sex"))
    assert movable.any()
    assert not movable.all()
    along = np.sign(slopes(design, records)) * movable
    assert np.abs(along).sum() > len(records)
    np.testing.assert_allclose(found.features, records.features + 0.5 * along, atol=1e-6)
    np.testing.assert_array_equal(found.labels, records.labels)


@pytest.mark.parametrize("hardening", [replace(ALL, steps=3), replace(ALL, levels=2)], ids=repr)
def test_only_changes_that_somebody_could_make_are_made(hardening: AdversarialTraining) -> None:
    design = made(*HEART)
    schema = design.plan.columns
    for site in design.truth.sites:
        records = site.records
        limits = feasible.known_limits(schema)
        space = feasible.room(schema, records.features, ("age", "sex"), 0.5, limits)
        found = moved(design, hardening, records).features
        possible = feasible.is_possible(schema, records.features, found, space, hardening.levels)
        assert possible.all()
        levels = [column for columns in space.levels for column in columns]
        n_changed = (found[:, levels] != records.features[:, levels]).sum(axis=1) // 2
        assert n_changed.max() == hardening.levels
    flags = [field.missing for field in schema.fields if field.missing is not None]
    assert any(site.records.features[:, flags].any() for site in design.truth.sites)


def test_the_level_is_set_that_the_slope_favors_most() -> None:
    design = made(*HEART)
    records = of_site(design)
    found = moved(design, replace(ALL, levels=1, reach=1e-9), records).features
    slope = slopes(design, records)
    fields = [
        list(field.columns)
        for field in design.plan.columns.fields
        if field.kind == "categorical" and field.name != "sex"
    ]
    for row, before in enumerate(records.features):
        gains = {
            column: slope[row, column] - slope[row, columns] @ before[columns]
            for columns in fields
            for column in columns
        }
        best = max(gains, key=lambda column: gains[column])
        expected = before.copy()
        if gains[best] > 0:
            (columns,) = [columns for columns in fields if best in columns]
            expected[columns] = 0
            expected[best] = 1
        np.testing.assert_allclose(found[row], expected, atol=1e-6)


def test_pixels_stay_within_their_range_and_their_reach() -> None:
    design = made("consortium=digits", "training.rounds=1")
    records = of_site(design)
    found = moved(design, AdversarialTraining(share=1.0, reach=0.1, steps=4), records)
    assert found.features.min() == 0.0
    assert found.features.max() == 1.0
    assert 0.05 < np.abs(found.features - records.features).max() <= 0.1 + 1e-6


def test_several_steps_raise_the_loss_within_the_same_reach() -> None:
    design = made(*HEART)
    records = of_site(design)
    held = ReleasedModel(design.plan.network, design.plan.first_weights(design.aggregator_key))

    def loss(features: NDArray[np.float32]) -> float:
        signs = np.where(records.labels > 0.5, -1.0, 1.0)
        return float(np.logaddexp(0.0, signs * held.logits(features)).mean())

    once, often = (moved(design, replace(ALL, steps=steps), records).features for steps in (1, 10))
    assert loss(records.features) < loss(once) <= loss(often) + 1e-3
    assert np.abs(often - records.features).max() <= 0.5 + 1e-6


def test_a_share_of_the_records_is_replaced_by_draws_of_each_round() -> None:
    design = made(*HEART)
    records = of_site(design)
    one, again, other = (
        (moved(design, AdversarialTraining(share=0.3), records, seed).features
         != records.features).any(axis=1)
        for seed in (1, 1, 2)
    )  # fmt: skip
    assert 0.2 < one.mean() < 0.4
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_what_a_record_becomes_depends_on_no_other_record() -> None:
    """So neighbors stay neighbors, and private training states what it states without."""
    design = made(*HEART)
    records = of_site(design)
    hardening = AdversarialTraining(share=0.6, steps=2)
    whole = moved(design, hardening, records)
    features = records.features.copy()
    features[7] = features[8] + 3
    labels = records.labels.copy()
    labels[7] = 1 - labels[7]
    replaced = moved(design, hardening, Records(features, labels))
    rest = np.arange(len(records)) != 7
    np.testing.assert_array_equal(replaced.features[rest], whole.features[rest])
    np.testing.assert_array_equal(replaced.labels[rest], whole.labels[rest])
    fewer = moved(design, hardening, records.take(slice(-1)))
    np.testing.assert_allclose(fewer.features, whole.features[:-1], atol=1e-6)


def test_private_training_states_the_same_with_it() -> None:
    words = ("consortium=heart4", "training.rounds=1", "training.batch_size=8", "model=logistic")
    private = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=2.0")
    with_it, without = run_together(
        [made(*words, *private, "hardening=adversarial"), made(*words, *private)]
    )
    assert with_it.statements == without.statements
    assert with_it.statements
    assert with_it.engagement.defense_engaged


@pytest.mark.parametrize("words", [(), ("attack=[label_flip]",), ("secagg=sum",)], ids=" ".join)
def test_hospitals_together_train_as_each_does_alone(words: tuple[str, ...]) -> None:
    one = made(*HARDENED, *words)
    other = made(*HEART, "seed=1")
    batched, beside = run_together([one, other])
    (alone,) = run_together([one])
    assert batched.outcomes == alone.outcomes
    app = run(one, app=hospital_app)
    assert app.value("auroc") == pytest.approx(batched.value("auroc"), abs=1e-3)
    assert beside.value("auroc") != batched.value("auroc")
    ended = finished(one).weights
    by_app = finished(one, federation.alone(one)).weights
    assert np.abs(ended - by_app).max() <= 1e-4
    assert np.abs(ended - finished(made(*HEART, *words)).weights).max() > 1e-2


@one_thread()
def turned(design: Experiment) -> float:
    """The share of rightly decided test records that a change turns.

    A change sets another level of one field, or none, and then takes one step along the slope.
    """
    held = ReleasedModel(design.plan.network, finished(design).weights)
    hospitals = design.consortium.hospitals
    features = np.concatenate([hospital.test.features for hospital in hospitals])
    labels = np.concatenate([hospital.test.labels for hospital in hospitals])
    schema = design.plan.columns
    limits = feasible.known_limits(schema)
    space = feasible.room(schema, features, ("age", "sex"), 0.5, limits)
    right = (held.logits(features) > 0) == (labels > 0.5)
    assert right.mean() > 0.75
    wrong = np.zeros(len(features), dtype=bool)
    for columns, column in [((), -1), *((some, one) for some in space.levels for one in some)]:
        changed = features.copy()
        if columns:
            changed[:, list(columns)] = 0
            changed[:, column] = 1
        steps = np.sign(held.gradients(changed, labels)) * (space.high > space.low)
        wrong |= (held.logits(changed + 0.5 * steps) > 0) != (labels > 0.5)
    return float(wrong[right].mean())


def test_fewer_decisions_can_be_turned_than_without() -> None:
    words = ("consortium=heart4", "training.rounds=15")
    undefended = turned(made(*words))
    hardened = turned(made(*words, "defense=adversarial_training"))
    assert undefended > 0.4
    assert hardened < undefended - 0.15


def test_a_run_states_that_it_did_something_and_a_hostile_hospital_does_without() -> None:
    design = made(*HARDENED, "attack=[label_flip]", "adversary.n_hostile=1")
    assert run(design).engagement.defense_engaged
    place = design.plan.places[design.attack_plan.hostile[0]]
    assert not design.source.site(place, 1).complies


def test_inversions_are_refused_because_they_look_for_records_that_nobody_trained_on() -> None:
    with pytest.raises(UndefinedError, match=r"^attack\.analytic_inversion=.*hardening=none"):
        experiment(*HARDENED, "attack=analytic_inversion")


def test_a_plan_without_it_is_the_plan_that_it_was() -> None:
    assert "hardening" not in made(*HEART).plan.text
    assert "hardening" not in made(*HEART).config
    assert made(*HARDENED).plan.digest != made(*HEART).plan.digest


@pytest.mark.parametrize(
    "word",
    [
        "hardening.share=0.0", "hardening.share=1.1", "hardening.reach=0.0", "hardening.reach=-1",
        "hardening.reach=1e7", "hardening.levels=-1", "hardening.steps=0",
        "hardening.steps=1.5", "hardening.rate=1",
        "hardening._target_=clients.dp_sgd.RecordDP", "hardening=nothing_of_this_name",
    ],
)  # fmt: skip
def test_wrong_parameters_are_one_line_and_code_2(
    word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    first = () if word.startswith("hardening=") else ("hardening=adversarial",)
    assert wardround("explain", *FAST, *first, word) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("wardround: hardening")
