"""What a privacy statement is about: which neighbors, and that no message or evidence tells the
neighbors apart that it is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld
from dp_accounting.privacy_accountant import NeighboringRelation
from flwr.app import Message

from clients.app import hospital_app
from clients.dp_sgd import RecordDP
from sim.design.batches import sample_rate
from sim.errors import InputError
from sim.evidence import RunRecord, statement
from sim.federation.engines.local import LocalGrid
from sim.study.experiment import Experiment
from sim.study.run import run, run_together
from sim.training import Training
from sim.types import Records
from tests.federation import experiment

SMALL = ("consortium=heart4", "model=logistic", "training.rounds=2", "dp=record", "dp.delta=1e-4")
NOMINAL = ("dp.relation=add_remove", "dp.nominal_records=120")
ENGINES = {
    "lockstep": lambda design: run_together([design])[0],
    "one by one": lambda design: run(design, app=hospital_app),
}
each_engine = pytest.mark.parametrize("engine", ENGINES)
TRAINING = Training(
    rounds=5, local_epochs=1, local_steps=None, batch_size=16, lr=0.1, optimizer="sgd"
)


def without_one(design: Experiment, hospital: str) -> Experiment:
    """The same run where one hospital has one record less."""

    def less(records: Records) -> Records:
        return Records(records.features[:-1], records.labels[:-1])

    consortium = design.truth.consortium
    hospitals = tuple(
        replace(one, train=less(one.train)) if one.name == hospital else one
        for one in consortium.hospitals
    )
    sites = tuple(
        replace(site, records=less(site.records)) if site.name == hospital else site
        for site in design.truth.sites
    )
    truth = replace(design.truth, consortium=replace(consortium, hospitals=hospitals), sites=sites)
    return replace(design, truth=truth)


@contextmanager
def captured() -> Iterator[list[Message]]:
    """Every message to a hospital and every reply, in order."""
    found, inner = list[Message](), LocalGrid.answer

    def answer(grid: LocalGrid, messages: Sequence[Message]) -> list[Message]:
        replies = inner(grid, messages)
        found.extend((*messages, *replies))
        return replies

    with patch.object(LocalGrid, "answer", answer):
        yield found


def visible(message: Message) -> dict[str, object]:
    """All that a message states but for values of weights, which the noise is in."""
    shown: dict[str, object] = {}
    for name, record in message.content.items():
        for key, value in record.items():
            array = getattr(value, "numpy", None)
            shown[f"{name}.{key}"] = (
                value if array is None else (array().shape, array().dtype.name, len(value.data))
            )
    metadata = message.metadata
    return {**shown, "from": metadata.src_node_id, "type": metadata.message_type}


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for key, item in enumerate(value):
            yield from leaves(item, f"{path}[{key}]")
    else:
        yield path, value


def distinguished(one: RunRecord, other: RunRecord) -> set[str]:
    """The fields in which two records differ, but for figures of the models, and times."""
    first, second = (dict(leaves(record.model_dump())) for record in (one, other))
    of_models = {"value", "low", "high"}
    return {
        path
        for path in first.keys() | second.keys()
        if first.get(path) != second.get(path)
        and path.rpartition(".")[2].partition("[")[0] not in of_models
        and path != ".seconds"
    }


@each_engine
@pytest.mark.parametrize("noise", [(), ("dp.target_epsilon=null", "dp.noise_multiplier=1")])
def test_neither_messages_nor_evidence_tell_one_record_more_or_less(
    engine: str, noise: tuple[str, ...]
) -> None:
    design = experiment(*SMALL, *NOMINAL, *noise)
    hospital = design.consortium.names[1]
    found = list[tuple[list[Message], RunRecord]]()
    for one in (design, without_one(design, hospital)):
        with captured() as messages:
            record = ENGINES[engine](one)
        found.append((messages, record))
    (messages, record), (others, other) = found
    assert len(messages) == 2 * 2 * 4
    assert [visible(one) for one in messages] == [visible(one) for one in others]
    assert distinguished(record, other) == set()
    own = {len(site.records) for site in design.truth.sites}
    assert own.isdisjoint({one.n_train for one in record.hospitals})
    stated = {value for message in messages for value in visible(message).values()}
    assert own.isdisjoint(value for value in stated if type(value) is int)


@each_engine
def test_where_sizes_are_public_a_record_less_is_seen_at_once(engine: str) -> None:
    design = experiment(*SMALL)
    hospital = design.consortium.names[1]
    found = []
    for one in (design, without_one(design, hospital)):
        with captured() as messages:
            record = ENGINES[engine](one)
        found.append(([visible(one) for one in messages], record))
    assert found[0][0] != found[1][0]
    assert ".hospitals[1].n_train" in distinguished(found[0][1], found[1][1])


def by_library(history: tuple[float, float, int], relation: NeighboringRelation) -> float:
    noise, rate, steps = history
    one = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    accountant = pld.PLDAccountant(relation, 1e-3)
    accountant.compose(dp_accounting.SelfComposedDpEvent(one, steps))
    return float(accountant.get_epsilon(1e-5))


def private(**changes: Any) -> RecordDP:
    given = {
        "target_epsilon": 8.0,
        "noise_multiplier": None,
        "max_grad_norm": 1.0,
        "delta": 1e-5,
        **changes,
    }
    return RecordDP(**given)


def test_replacing_a_record_is_accounted_for_as_such() -> None:
    n = 86
    steps = TRAINING.rounds * TRAINING.steps(n)
    rate = sample_rate(n, TRAINING)
    noise = private().noise(n, TRAINING)
    history = (noise, rate, steps)
    assert private().epsilon([history]) == pytest.approx(8, rel=1e-3)
    replaced = by_library(history, NeighboringRelation.REPLACE_ONE)
    assert replaced == pytest.approx(8, rel=2e-3)
    # noise that is right for one record more or less is not for one that is replaced
    nominal = private(relation="add_remove", nominal_records=n)
    less = (nominal.noise(n, TRAINING), rate, steps)
    added = by_library(less, NeighboringRelation.ADD_OR_REMOVE_ONE)
    assert added == pytest.approx(8, rel=2e-3)
    assert by_library(less, NeighboringRelation.REPLACE_ONE) > 10


@pytest.mark.parametrize("nominal", [20, 86, 1000])
def test_with_an_agreed_number_nothing_follows_from_a_hospitals_own(nominal: int) -> None:
    dp = private(relation="add_remove", nominal_records=nominal)
    assert {dp.counted(n) for n in (20, 86, 87, 500)} == {nominal}


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (("dp.relation=add_remove",), "dp.nominal_records=None: expected null with relation="),
        (("dp.nominal_records=100",), "dp.nominal_records=100: expected null with relation="),
        (("dp.relation=swap",), "dp.relation=swap: expected one of replace, add_remove"),
        ((*NOMINAL, "dp.delta=0.009"), "dp.delta=0.009: expected less than 1/"),
        (("training.batch_size=100",), "training.batch_size=100: expected at most 87, the records"),
        (
            ("dp.relation=add_remove", "dp.nominal_records=10"),
            "training.batch_size=16: expected at most 10, the records",
        ),
        (("dp.max_grad_norm=0",), "dp.max_grad_norm=0: expected a number of at least 1e-10"),
        (("dp.max_grad_norm=1e11",), "dp.max_grad_norm=1e+11: expected a number of at least"),
        (("dp.target_epsilon=-0.0134",), "dp.target_epsilon=-0.0134: expected a number of at "),
    ],
)
def test_terms_that_cannot_be_met_are_refused_before_round_1(
    words: tuple[str, ...], stated: str
) -> None:
    with pytest.raises(InputError) as refused:
        experiment(*SMALL, *words)
    assert str(refused.value).startswith(stated.split(":")[0].split("=")[0])
    assert stated.partition(": ")[2] in str(refused.value)


def test_evidence_states_the_terms_with_all_digits_of_delta() -> None:
    record = run_together([experiment(*SMALL, *NOMINAL, "dp.delta=0.00135")])[0]
    assert record.privacy is not None
    text = statement(record.privacy)
    for part in (
        "one record;",
        "one record more or less",
        "120 records",
        "δ = 0.00135;",
        "Poisson",
        "privacy loss distributions (dp-accounting)",
    ):
        assert part in text
    assert {one.n_train for one in record.hospitals} == {120}
    spent = {record.value("epsilon", one.hospital) for one in record.privacy.hospitals}
    assert len(spent) == 1
    assert np.isfinite(spent.pop())


def test_groups_by_size_would_publish_the_counts_and_are_refused() -> None:
    groups = ("secagg=groups", "secagg.by=size", "secagg.size=2")
    experiment(*SMALL, *groups)
    with pytest.raises(InputError, match=r"^secagg=Groups: expected groups that do not go by "):
        experiment(*SMALL, *NOMINAL, *groups)


@each_engine
def test_private_training_that_leaves_float32_is_recorded_and_not_lost(engine: str) -> None:
    record = ENGINES[engine](experiment(*SMALL, "training.lr=1e36", "dp.max_grad_norm=1e10"))
    assert record.not_finite_from == 1
    assert record.privacy is not None
    assert record.value("epsilon") == pytest.approx(8, rel=1e-3)
