"""The four values of a run: what is in each, what is in none, and that a plan is what its text
states.
"""

import hashlib
import json
import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any

import numpy as np
import pytest

from sim.design import plan as plans
from sim.design.plan import FederationPlan
from sim.errors import InputError, UndefinedError
from sim.seeds import Key, key, stream
from sim.types import Records
from tests.federation import experiment
from tests.searching import encodings, reached

SEED = 7_340_918_273_645_111_999
DESIGNS = (
    [],
    ["dp=record", "secagg=sum"],
    ["defense=bucketing_median", "server_optimizer=fedadam", "adversary.n_hostile=1"],
    ["consortium=synthetic", "steps=[clip,nnm]", "adversary.n_hostile=1"],
    ["consortium=digits", "model=cnn"],
)


@pytest.mark.parametrize("words", DESIGNS)
def test_a_plan_is_rebuilt_from_its_text(words: list[str]) -> None:
    agreed = experiment(*words).plan
    again = plans.read(agreed.text)
    assert again.text == agreed.text
    assert again.digest == agreed.digest
    assert (again.chain, again.secagg, again.dp) == (agreed.chain, agreed.secagg, agreed.dp)
    assert again.columns == agreed.columns
    assert again.network == agreed.network


@pytest.mark.parametrize(
    "word",
    [
        "training.lr=0.05",
        "training.rounds=3",
        "model=logistic",
        "dp=record",
        "secagg=sum",
        "aggregator=median",
        "steps=[clip]",
        "server_optimizer=fedadam",
        "server.weight_cap=2.0",
        "consortium=heart4",
    ],
)
def test_plans_that_differ_have_different_digests(word: str) -> None:
    assert experiment(word).plan.digest != experiment().plan.digest


def test_what_is_not_agreed_on_is_no_part_of_the_plan() -> None:
    same = [
        "attack=[sign_flip,label_flip]",
        "adversary.n_hostile=2",
        "adversary.knowledge=updates",
        "device=auto",
    ]
    assert experiment(*same).plan.digest == experiment().plan.digest


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model": {"_target_": "os.getcwd"}}, "model._target_"),
        (
            {"aggregator": {"_target_": "attacks.byzantine.sign_flip.SignFlip", "scale": 1.0}},
            "aggregator._target_",
        ),
        ({"steps": [["clip", {"_target_": "os.system"}]]}, "steps.clip._target_"),
        ({"dp": {"_target_": "clients.dp_sgd.RecordDP", "wrong": 1}}, "dp.wrong"),
        (
            {"model": {"_target_": "sim.models.mlp.MLP", "hidden": [{"_target_": "os.getcwd"}]}},
            "model.hidden[0]._target_",
        ),
        ({"seed": 3}, "seed"),
        ({"training": None}, "training"),
        ({"hospitals": ["b", "a"]}, "hospitals"),
        ({"hospitals": []}, "hospitals"),
        ({"columns": {"fields": [], "n_features": "many"}}, "columns.TableSchema.n_features"),
        ({"plugins": {"nobody_has_it": "0" * 16}}, "plugins"),
    ],
)
def test_a_plan_from_somebody_else_is_checked(change: dict[str, Any], key: str) -> None:
    text = json.dumps({**json.loads(experiment().plan.text), **change})
    with pytest.raises(InputError) as error:
        plans.read(text)
    assert error.value.key.startswith(key) or key in str(error.value), error.value


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"a": 1}', "[" * 100_000])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        plans.read(text)


def test_a_plan_whose_rule_cannot_work_is_refused() -> None:
    values = json.loads(experiment("aggregator=krum", "adversary.n_hostile=1").plan.text)
    with pytest.raises(UndefinedError, match="Krum needs"):
        plans.read(json.dumps({**values, "hospitals": values["hospitals"][:4]}))


def test_values_are_frozen() -> None:
    run = experiment()
    for value in (run.plan, run.truth.sites[0], run.attack_plan, run.truth, run.aggregator_key):
        with pytest.raises(FrozenInstanceError):
            setattr(value, fields(value)[0].name, None)


def test_the_plan_holds_no_seed_no_key_and_no_record() -> None:
    run = experiment(f"seed={SEED}", "attack=backdoor", "dp=record")
    agreed = run.plan
    assert agreed.digest
    held = reached(agreed, set())
    assert not [one for one in held if isinstance(one, (Key, Records))]
    assert not [one for one in held if type(one) is int and one == SEED]
    content = pickle.dumps(agreed.terms) + agreed.text.encode()
    site = run.truth.sites[0]
    for secret in (SEED, site.key._secret):
        assert not [one for one in encodings(secret) if one in content]
    # as the search must find one
    assert [one for one in encodings(site.key._secret) if one in pickle.dumps(site.key)]
    assert "backdoor" not in agreed.text


def test_a_secret_is_the_digest_of_seed_party_and_name_and_draws_follow_from_it_by_name() -> None:
    for made, text in (
        (key(5, "hospital", "hospital_03"), '[5, "hospital", "hospital_03"]'),
        (key(5, "aggregator"), '[5, "aggregator", ""]'),
    ):
        secret = int(hashlib.sha256(text.encode()).hexdigest(), 16)
        own, whole = made.stream("dp-noise", 2), stream(secret, "dp-noise", 2)
        np.testing.assert_array_equal(own.random(5), whole.random(5))
        assert f"{secret}" not in repr(made)
        assert f"{secret:x}" not in repr(made)


def test_each_site_has_its_own_records_and_key() -> None:
    run = experiment("consortium=heart4")
    draws = {site.name: site.key.stream("batches", 1).random() for site in run.truth.sites}
    assert len(set(draws.values())) == 4
    for site, hospital in zip(run.truth.sites, run.consortium.hospitals, strict=True):
        assert site.name == hospital.name
        assert site.records is hospital.train


def test_a_hostile_hospital_trains_on_what_its_attack_gives() -> None:
    run = experiment("attack=[label_flip,constrain]", "adversary.n_hostile=2")
    hostile = [site for site in run.truth.sites if site.name in run.attack_plan.hostile]
    assert len(hostile) == 2
    for site in hostile:
        changed = run.attack_plan.corrupted(site, run.plan)
        assert not np.array_equal(changed.records.labels, site.records.labels)
        assert changed.training != run.plan.training
        assert (changed.name, changed.key, changed.policy) == (site.name, site.key, site.policy)


def test_only_the_truth_holds_test_records() -> None:
    run = experiment()
    tests = {id(hospital.test) for hospital in run.truth.consortium.hospitals}
    for value in (run.plan, run.attack_plan, *run.truth.sites):
        assert not tests & {id(one) for one in reached(value, set())}
    assert isinstance(run.plan, FederationPlan)
