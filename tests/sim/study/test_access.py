"""The visibility table: what each party sees or derives, held to what the numbers give away."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from sim.design.site import spent
from sim.evidence import Access
from sim.federation import wire
from sim.study.access import access
from sim.study.run import FederatedRun, run
from sim.study.visibility import notes
from tests.federation import SEEDED, aggregated, asked, drawn_update, experiment

HEART = ("consortium=heart12", "model=logistic", "training.rounds=6", "adversary.n_hostile=1")
SIZED = ("secagg=groups", "secagg.size=3")
DP = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1")


def table(*words: str) -> Mapping[str, Access]:
    return {line.party: line for line in access(experiment(*HEART, *words))}


def cell(party: str, asset: str, *words: str) -> str:
    return table(*words)[party].cell(asset)


@pytest.mark.parametrize(
    ("party", "asset", "words", "expected"),
    [
        ("the aggregator", "single update", (), "sees"),
        ("the aggregator", "single update", ("secagg=sum",), "sees -> derives over 2 rounds"),
        ("the aggregator", "single update", ("secagg=sum", "secagg.least=12"), "sees -> no"),
        ("the aggregator", "single update", ("secagg=protocol",), "sees -> derives over 2 rounds"),
        (
            "the aggregator",
            "single update",
            ("secagg=protocol", "secagg.threshold=12"),
            "sees -> no",
        ),
        ("the aggregator", "single update", ("secagg=protocol", "secagg.least=12"), "sees -> no"),
        ("the aggregator", "single update", SIZED, "sees -> derives over 3 rounds"),
        (
            "the aggregator",
            "single update",
            (*SIZED, "secagg.redraw=fixed"),
            "sees -> derives over 2 rounds",
        ),
        (
            "the aggregator",
            "single update",
            (*SIZED, "secagg.redraw=fixed", "secagg.least=3"),
            "sees -> no",
        ),
        ("the aggregator", "single update", DP, "sees -> sees, noised"),
        ("the aggregator", "group sum", SIZED, "derives -> sees"),
        ("the aggregator", "sum of all", ("secagg=sum",), "derives -> sees"),
        ("the aggregator", "record counts", ("secagg=sum",), "sees -> no"),
        ("the aggregator", "record counts", (*SIZED, "secagg.by=size"), "sees"),
        ("the aggregator", "metrics", (), "no"),
        ("the aggregator", "metrics", DP, "no -> sees"),
        ("the aggregator", "metrics", ("secagg=sum",), "no -> sees"),
        (
            "the aggregator",
            "record counts",
            ("secagg=sum", *DP),
            "sees -> derives, to a batch",
        ),
        (
            "the aggregator",
            "record counts",
            ("secagg=sum", *DP, "dp.relation=add_remove", "dp.nominal_records=50"),
            "sees -> no",
        ),
        ("the aggregator", "metrics", ("secagg=protocol",), "no -> sees"),
        ("the network, without TLS", "metrics", ("secagg=protocol",), "no -> sees"),
        (
            "the network, without TLS",
            "single update",
            ("secagg=sum", "secagg.agreement=true"),
            "sees",
        ),
        ("a hospital", "record counts", (*SIZED, "secagg.by=size"), "no -> sees"),
        ("a hospital", "sum of all", ("secagg=sum",), "derives"),
        ("a hospital", "sum of all", ("aggregator=median",), "derives -> no"),
        ("a hospital", "single update", ("aggregator=krum",), "no -> derives, not whose"),
        (
            "a hospital",
            "group sum",
            ("secagg=groups", "secagg.size=2", "aggregator=krum"),
            "no -> derives, not whose",
        ),
        ("colluding hospitals", "single update", ("secagg=sum",), "derives, 11 of them"),
        (
            "the aggregator with colluding hospitals",
            "single update",
            ("secagg=sum",),
            "sees -> derives, 1 of them, or over 2 rounds",  # the others are left out
        ),
        (
            "the aggregator with colluding hospitals",
            "single update",
            SIZED,
            "sees -> derives, 1 of them, or over 3 rounds",
        ),
        (
            "the aggregator with colluding hospitals",
            "single update",
            ("secagg=sum", "secagg.least=12"),
            "sees -> derives, 11 of them",
        ),
        ("whoever gets the final model", "sum of all", (), "no"),
        ("whoever gets the final model", "common model", (), "sees"),
        ("the network, with TLS", "common model", (), "no"),
        ("the network, without TLS", "single update", ("secagg=sum",), "sees"),
        (
            "the network, without TLS",
            "single update",
            ("secagg=protocol",),
            "sees -> derives over 2 rounds",  # it reads the shares that unmask each sum
        ),
        (
            "the network, without TLS",
            "single update",
            ("secagg=protocol", "secagg.least=12"),
            "sees -> no",
        ),
        (
            "the aggregator with colluding hospitals",
            "single update",
            ("secagg=protocol",),
            "sees -> derives, 4 of them, or over 2 rounds",  # whom a lie about who vanished needs
        ),
    ],
)
def test_a_cell_states_what_the_party_sees_without_the_defense_and_with_it(
    party: str, asset: str, words: tuple[str, ...], expected: str
) -> None:
    assert cell(party, asset, *words) == expected


@pytest.mark.parametrize("words", [("secagg=sum",), ("secagg=sum", "secagg.agreement=true")])
def test_sums_that_the_simulator_adds_up_are_stated_to_be_simulated(words: tuple[str, ...]) -> None:
    simulated, apart, rounded = notes(experiment(*HEART, *words).plan)
    assert "simulated" in simulated
    assert "Within 2 rounds an aggregator" in apart
    assert "With secagg.least at the size of a sum" in apart
    assert "steps of 9.5e-07 for sums, which is no protection" in rounded
    assert notes(experiment(*HEART, "secagg=protocol").plan) == [apart, rounded]
    assert notes(experiment(*HEART, "secagg=protocol", "secagg.least=12").plan) == [rounded]
    assert notes(experiment(*HEART).plan) == []


def test_nobody_sees_records_and_the_undefended_design_changes_nothing() -> None:
    for words in ((), SIZED, DP):
        assert {line.cell("records") for line in table(*words).values()} == {"no"}
    assert all(line.before == line.after for line in table().values())
    assert "group sum" not in table("secagg=sum")["the aggregator"].after


@pytest.mark.parametrize("words", [("secagg=sum",), (), ("secagg=groups", "secagg.size=2")])
def test_one_of_two_hospitals_is_left_with_the_update_of_the_other(words: tuple[str, ...]) -> None:
    two = ("consortium=synthetic", "consortium.n_hospitals=2", "consortium.n_records=50")
    design = experiment(*two, "model=logistic", "adversary.n_hostile=0", *words)
    lines = {line.party: line for line in access(design)}
    assert lines["a hospital"].after["single update"] == "derives"
    federated = FederatedRun(design)
    n_params = len(federated.weights)
    before = federated.weights.copy()
    own, other = (drawn_update(n_params, i, 1) for i in range(2))
    replies = {
        name: wire.answer(update, 50, SEEDED, message)
        for (name, message), update in zip(asked(federated).items(), (own, other), strict=True)
    }
    after, _ = aggregated(federated, 1, replies)
    np.testing.assert_allclose(2 * (after - before) - own, other, atol=1e-3)


def test_krum_publishes_an_update_and_a_hospital_can_tell_that_it_is_one() -> None:
    federated = FederatedRun(experiment(*HEART, "aggregator=krum"))
    n_params = len(federated.weights)
    before = federated.weights.copy()
    updates = [drawn_update(n_params, i, 1) for i in range(12)]
    replies = {
        name: wire.answer(update, 50, SEEDED, message)
        for (name, message), update in zip(asked(federated).items(), updates, strict=True)
    }
    after, _ = aggregated(federated, 1, replies)
    gaps = [np.abs(after - before - update).max() for update in updates]
    assert min(gaps) < 1e-5


def test_the_evidence_of_a_run_has_its_table() -> None:
    record = run(experiment("consortium=heart4", "model=logistic", "training.rounds=1"))
    assert {line.party for line in record.access} == set(table())


def test_an_epsilon_that_is_sent_tells_how_many_batches_a_hospital_trains_on() -> None:
    plan = experiment(*HEART, "secagg=sum", *DP).plan
    size = plan.training.batch_size
    of_batches = [{spent(plan, n * size - less) for less in (0, 1, size - 1)} for n in (3, 4, 5)]
    assert [len(found) for found in of_batches] == [1, 1, 1]
    assert len(set.union(*of_batches)) == 3
