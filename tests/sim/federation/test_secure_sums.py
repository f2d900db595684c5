"""Secure aggregation in whole runs: what is added up, to the last integer, and when nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from aggregators.secagg.quantization import Quantization
from clients.app import fit
from reports.analysis import quantized
from sim.design import plan as plans
from sim.errors import InputError
from sim.federation import rounding, wire
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.protocols.plain import LEFT_OUT, ROUNDING
from sim.federation.rounds import Weights
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, run, run_together
from sim.types import View
from tests.federation import (
    SEEDED,
    aggregated,
    asked,
    client_app,
    drawn_update,
    experiment,
    finished,
    uploads,
)

SMALL = ("consortium=heart12", "model=logistic", "training.rounds=3")
GROUPS = ("secagg=groups", "secagg.size=3")
DESIGNS = [("secagg=sum",), GROUPS, (*GROUPS, "secagg.by=size"), (*GROUPS, "secagg.redraw=fixed")]
ATTACKS = [(), ("attack=[sign_flip]",), ("attack=[alie]",), ("attack=[gaussian,inflated_count]",)]


class Views:
    """An observer that holds the view of each round."""

    seen: list[View]

    def __init__(self, subject: Subject) -> None:
        self.state = subject
        Views.seen = []

    def start(self, weights: Weights) -> None:
        """Nothing is seen yet."""

    def round(self, seen: Round) -> None:
        """Hold a view."""
        assert seen.aggregated.view is not None
        Views.seen.append(seen.aggregated.view)

    def findings(self, ended: Ended) -> Findings:
        """None."""
        return Findings()


def views(one: Experiment) -> Sequence[View]:
    run_together([one], observers=[Views])
    return Views.seen


# --- what is added up


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
@pytest.mark.parametrize("words", DESIGNS, ids=str)
def test_each_row_is_the_integer_sum_of_what_its_hospitals_quantize_after_the_attack(
    words: tuple[str, ...], attack: tuple[str, ...]
) -> None:
    federated = FederatedRun(experiment(*SMALL, *words, *attack))
    sites = {site.name: site for site in federated.experiment.truth.sites}
    n_params = len(federated.weights)
    seeds = {name: rounding.seed(site.key, 1) for name, site in sites.items()}
    trained = {
        name: wire.answer(drawn_update(n_params, i, 1), 50, {ROUNDING: seeds[name]}, message)
        for i, (name, message) in enumerate(asked(federated).items())
    }
    sent = uploads(federated, 1, trained)
    view = aggregated(federated, 1, sent)[1].view
    assert view is not None
    assert view.weights is None
    assert view.members == federated.plan.groups(1)
    quantization = Quantization()
    for row, group in zip(view.rows, view.members, strict=True):
        steps = [
            quantization.quantize(wire.sent(sent[name]), rounding.generator(seeds[name]))[0]
            for name in group
        ]
        np.testing.assert_array_equal(row, quantization.value(sum(steps), len(group)))


def test_each_hospital_rounds_by_its_own_key_in_each_round_anew() -> None:
    one = experiment(*SMALL, "secagg=sum")
    seen: dict[str, list[float]] = {}

    def noted(message, context):
        reply = fit(one.source, message, context)
        report = wire.read_report(reply, one.plan.network.n_params, 10**6)
        name = one.plan.hospitals[int(context.node_config[wire.PARTITION])]
        seen.setdefault(name, []).append(report.numbers[ROUNDING])
        return reply

    finished(one, noted)
    assert seen == {
        site.name: [rounding.seed(site.key, number) for number in (1, 2, 3)]
        for site in one.truth.sites
    }
    assert len({seed for seeds in seen.values() for seed in seeds}) == 36
    draws = rounding.noise(rounding.seed(one.truth.sites[0].key, 1), 1000)
    np.testing.assert_array_equal(draws, draws.astype(np.float32))
    assert 0 <= draws.min() < draws.max() < 1


@pytest.mark.parametrize("words", DESIGNS[:2], ids=str)
def test_a_run_is_the_same_hospital_by_hospital_and_in_lockstep_with_others(
    words: tuple[str, ...],
) -> None:
    designs = [experiment(*SMALL, *words, *attack) for attack in ATTACKS[:3]]
    for design, record in zip(designs, run_together(designs), strict=True):
        by_hospital = run(design, app=lambda source: client_app(partial(fit, source)))
        assert record.value("auroc") == pytest.approx(by_hospital.value("auroc"), abs=1e-3)


def test_quantization_costs_no_accuracy() -> None:
    words = ("consortium=heart12", "training.rounds=20", "adversary.n_hostile=0")
    designs = [experiment(*words, f"secagg={name}") for name in ("none", "sum")]
    none, summed = run_together(designs)
    assert summed.value("auroc") == pytest.approx(none.value("auroc"), abs=0.005)
    assert summed.value("coordinates_clipped") == 0


# --- too few replies


@pytest.mark.parametrize("n_replies", range(4))
def test_a_sum_over_one_usable_reply_is_refused(n_replies: int) -> None:
    federated = FederatedRun(experiment(*SMALL, "secagg=sum"))
    n_params = len(federated.weights)
    replies = {
        name: wire.answer(drawn_update(n_params, i, 1), 50, SEEDED, message)
        for i, (name, message) in enumerate(asked(federated).items())
        if i < n_replies
    }
    weights, found = aggregated(federated, 1, replies)
    if n_replies > 1:
        assert found.skipped is None
        return
    assert (weights == federated.weights).all()
    assert found.view is None
    assert found.skipped is not None
    reasons = ["no usable reply", "1 usable reply: no group has the 2 that a sum needs"]
    assert (found.skipped.cause, found.skipped.reason) == ("absent", reasons[n_replies])
    assert federated.plan.quorum.needed == 2


def test_a_group_with_one_usable_reply_is_left_out_and_its_hospital_is_named() -> None:
    federated = FederatedRun(experiment(*SMALL, *GROUPS))
    n_params = len(federated.weights)
    first = federated.plan.groups(1)[0]
    replies = {
        name: wire.answer(drawn_update(n_params, i, 1), 50, SEEDED, message)
        for i, (name, message) in enumerate(asked(federated).items())
        if name not in first[1:]
    }
    _, found = aggregated(federated, 1, replies)
    assert found.view is not None
    assert found.view.members == federated.plan.groups(1)[1:]
    reasons = {one.hospital: one.reason for one in found.screened}
    assert reasons == {first[0]: LEFT_OUT, **dict.fromkeys(first[1:], "no reply")}


def test_a_reply_without_the_seed_of_its_rounding_is_not_used() -> None:
    federated = FederatedRun(experiment(*SMALL, "secagg=sum"))
    numbers = [{}, {ROUNDING: -1}, {ROUNDING: 0.5}, {ROUNDING: 1 << rounding.BITS}]
    replies = {
        name: wire.answer(
            drawn_update(len(federated.weights), i, 1),
            50,
            numbers[i] if i < len(numbers) else SEEDED,
            message,
        )
        for i, (name, message) in enumerate(asked(federated).items())
    }
    _, found = aggregated(federated, 1, replies)
    assert [one.hospital for one in found.screened] == list(federated.plan.hospitals[:4])
    assert all("expected the seed of its rounding" in one.reason for one in found.screened)


# --- groups


def test_groups_are_drawn_anew_in_each_round_or_stay() -> None:
    redrawn = views(experiment(*SMALL, *GROUPS))
    assert len({view.members for view in redrawn}) == 3
    fixed = views(experiment(*SMALL, *GROUPS, "secagg.redraw=fixed"))
    assert len({view.members for view in fixed}) == 1
    assert all(view.rows.shape == (4, 36) for view in [*redrawn, *fixed])


def test_groups_by_size_publish_record_counts_in_the_plan_and_others_do_not() -> None:
    one = experiment(*SMALL, *GROUPS, "secagg.by=size")
    counts = [len(site.records) for site in one.truth.sites]
    assert list(one.plan.terms.sizes) == counts
    assert experiment(*SMALL, *GROUPS).plan.terms.sizes is None
    again = plans.read(one.plan.text)
    assert again.digest == one.plan.digest
    assert again.groups(2) == one.plan.groups(2)
    by_name = dict(zip(one.plan.hospitals, counts, strict=True))
    sizes = [[by_name[name] for name in group] for group in one.plan.groups(1)]
    assert all(max(few) <= min(many) for few, many in pairwise(sizes))


def test_a_rule_on_groups_withstands_what_the_mean_of_a_sum_does_not() -> None:
    words = (
        "consortium=heart12",
        "training.rounds=10",
        "attack=[sign_flip]",
        "adversary.n_hostile=1",
    )
    summed, grouped = run_together(
        [
            experiment(*words, "secagg=sum", "attack.sign_flip.scale=20"),
            experiment(*words, *GROUPS, "aggregator=median", "attack.sign_flip.scale=20"),
        ]
    )
    assert grouped.value("auroc") > summed.value("auroc") + 0.1
    assert grouped.engagement.defense_engaged


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("secagg=groups", "secagg.size=13"), "^secagg=Groups: size=13: expected at most n_hosp"),
        (("secagg=groups", "secagg.size=1"), "^secagg.size=1: expected a whole number"),
        (("secagg=sum", "secagg.least=1"), "^secagg.least=1: expected a whole number"),
        ((*GROUPS, "aggregator=krum", "adversary.n_hostile=1"), "^aggregator=Krum: n_rows=4, n_h"),
        ((*GROUPS, "aggregator=median", "adversary.n_hostile=2"), "^aggregator=Median: n_rows=4"),
    ],
)
def test_groups_that_cannot_be_or_are_too_few_for_the_rule_are_refused_before_round_1(
    words: tuple[str, ...], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        experiment(*SMALL, *words)


def test_a_sum_that_could_overflow_is_refused_before_round_1() -> None:
    words = ("consortium=synthetic", "consortium.n_records=20", "model=logistic", "secagg=sum")
    experiment(*words, "consortium.n_hospitals=255", "secagg.bits=24")
    with pytest.raises(
        InputError, match=r"^secagg=Sum: bits=24: the sum of 256 hospitals x 8,388,"
    ):
        experiment(*words, "consortium.n_hospitals=256", "secagg.bits=24")


# --- clipping


@pytest.mark.parametrize(
    "words",
    [
        ("consortium=heart12", "model=mlp"),
        ("consortium=heart12", "model=logistic"),
        ("consortium=heart4", "model=mlp"),
        ("consortium=digits", "model=cnn", "training.rounds=10"),
    ],
    ids=" ".join,
)
def test_no_coordinate_of_an_honest_update_is_clipped_by_default(words: tuple[str, ...]) -> None:
    record = run(experiment("secagg=sum", "adversary.n_hostile=0", *words))
    assert record.value("coordinates_clipped") == 0.0


def test_clipped_coordinates_are_counted_for_each_hospital_and_reported() -> None:
    words = ("attack=[gaussian]", "secagg.clip=0.5", "adversary.n_hostile=2")
    record = run(experiment(*SMALL, "secagg=sum", *words))
    shares = {
        name.hospital: record.value("coordinates_clipped", name.hospital)
        for name in record.hospitals
    }
    assert {name for name, share in shares.items() if share} == set(record.hostile)
    assert record.value("coordinates_clipped") == pytest.approx(sum(shares.values()) / 12)
    (text,) = quantized.sentences([record])
    assert all(name in text for name in record.hostile)
    assert quantized.sentences([run(experiment(*SMALL, "secagg=sum"))]) == []
