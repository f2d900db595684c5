"""Rows of tables are found by matching their update: without noise, and hardly with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from time import process_time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from attacks._shared.relaxed import Relaxation
from attacks.inversion.tableak import TabLeak, certainty
from sim.design.plan import FederationPlan
from sim.errors import InputError, RefusedError
from sim.evidence import FieldScores
from sim.models.unrolled import Unrolled
from sim.observers.fields import Behind, field_scores
from sim.observers.reconstruction import shuffled
from sim.seeds import stream
from sim.study.run import run
from sim.types import Field, ImageSchema, Observation, Records, TableSchema, View
from tests.federation import experiment

WORDS = (
    "consortium=heart4",
    "model.hidden=[100,100]",
    "training.optimizer=sgd",
    "training.rounds=1",
    "training.local_steps=1",
    "training.batch_size=64",
)
QUICK = TabLeak(iterations=400, ensemble=4)


@dataclass(frozen=True, eq=False)
class Leak:
    """Records of one hospital, all of its records, and the update that they give."""

    records: Records
    own: np.ndarray
    everybody: np.ndarray
    seen: Observation


@cache
def made() -> tuple[FederationPlan, np.ndarray, tuple[Records, ...]]:
    one = experiment(*WORDS)
    sites = tuple(hospital.train for hospital in one.consortium.hospitals)
    return one.plan, one.plan.first_weights(one.aggregator_key), sites


def leak(
    n: int,
    number: int = 0,
    *,
    n_hospitals: int = 1,
    clip: float | None = None,
    noise: float = 0.0,
    steps: int = 1,
) -> Leak:
    """The update of ``n`` records of the hospital of that ``number``.

    ``clip``: to which each record's gradient is clipped; ``noise``: its standard deviation on the
    sum of the gradients, as a multiple of ``clip``.
    """
    plan, weights, sites = made()
    site = sites[number % len(sites)]
    records = site.take(stream(0, "batch", number).permutation(len(site))[:n])
    training = plan.training.model_copy(update={"local_steps": steps})
    unrolled = Unrolled(plan.network, weights, training, clip)
    features = records.features.astype(np.float64)[None]
    (row,) = unrolled(features, records.labels.astype(np.float64)[None], n_hospitals)
    if noise:
        assert clip is not None
        drawn = stream(0, "noise", number).normal(size=row.size)
        row = row + training.lr / n * noise * clip * drawn
    view = View(row[None].astype(np.float32), (tuple("abcd"[:n_hospitals]),))
    seen = Observation(view, weights, plan.network.layout, plan.columns, unrolled, (n,))
    everybody = np.concatenate([one.features for one in sites])
    return Leak(records, site.features, everybody, seen)


def scores(one: Leak, attack: TabLeak, seen: Observation | None = None) -> FieldScores:
    (guess,) = attack(one.seen if seen is None else seen, stream(0, "tableak"))
    assert guess.records.shape == one.records.features.shape
    behind = Behind(["a"] * len(one.records), one.records.features, one.own, guess, guess)
    columns = made()[0].columns
    assert isinstance(columns, TableSchema)
    found = field_scores(columns, [behind], one.everybody, stream(0, "random"))
    assert found is not None
    return found


def accuracy(found: FieldScores) -> float:
    return float(np.mean(found.guess.right))


@pytest.mark.parametrize(("n", "least"), [(1, 1.0), (4, 0.95)])
def test_records_are_found_from_their_update(n: int, least: float) -> None:
    found = scores(leak(n), QUICK)
    assert accuracy(found) >= least
    assert accuracy(found) > found.baseline + 0.2
    assert np.mean(found.guess.singled_out) >= 0.75


def test_records_are_found_behind_the_sum_of_two_hospitals() -> None:
    assert accuracy(scores(leak(2, n_hospitals=2), QUICK)) >= 0.95


@pytest.mark.slow
def test_records_are_found_behind_several_local_steps() -> None:
    attack = replace(QUICK, iterations=60, ensemble=2, lr=0.15, refinements=20)
    assert accuracy(scores(leak(1, steps=2), attack)) >= 0.9


def test_clipping_alone_protects_no_record_and_noise_does() -> None:
    clipped = leak(2, clip=0.1)
    assert np.linalg.norm(clipped.seen.view.rows) < 0.1 * 0.1 * 1.001
    assert accuracy(scores(clipped, QUICK)) >= 0.95
    noisy = scores(leak(2, clip=0.1, noise=3.0), QUICK)
    assert accuracy(noisy) < noisy.baseline + 0.05


def test_nothing_is_found_in_a_shuffled_update() -> None:
    one = leak(2)
    found = scores(one, QUICK, shuffled(one.seen, stream(0, "shuffle")))
    assert accuracy(found) < found.baseline
    assert not any(found.guess.singled_out)


def test_a_known_share_with_the_condition_takes_the_place_of_the_guessed_one() -> None:
    one = leak(4)
    share = float(one.records.labels.mean())
    guessed, known, wrong = (
        replace(QUICK, prevalence=prevalence)(one.seen, stream(0, "tableak"))[0]
        for prevalence in (None, share, 1 - share)
    )
    assert guessed.prevalence == known.prevalence == share != wrong.prevalence
    assert accuracy(scores(one, replace(QUICK, prevalence=share))) >= 0.95


def test_of_sure_fields_more_are_right() -> None:
    found = scores(leak(8, clip=1.0, noise=0.03), replace(QUICK, ensemble=6))
    assert found.surest is not None
    assert found.least_sure is not None
    assert found.surest > found.least_sure + 0.05


def test_one_member_is_sure_of_nothing() -> None:
    (guess,) = replace(QUICK, ensemble=1, iterations=10)(leak(1).seen, stream(0, "tableak"))
    assert guess.certainty is None


def test_certainty_is_one_where_members_agree_and_none_where_they_know_nothing() -> None:
    fields = (
        Field("level", "categorical", (0, 1), ("a", "b")),
        Field("value", "continuous", (2,), missing=3),
        Field("one", "categorical", (4,), ("only",)),
    )
    alike = np.tile([1.0, 0.0, 0.7, 0.0, 1.0], (3, 2, 1))
    assert certainty(alike, fields).tolist() == [[1.0, 1.0, 1.0]] * 2
    apart = np.array([[[1.0, 0.0, 2.0, 1.0, 1.0]], [[0.0, 1.0, -2.0, 0.0, 1.0]]])
    assert certainty(apart, fields).tolist() == [[0.0, 0.0, 1.0]]
    unsure_flag = np.array([[[1.0, 0.0, 0.0, 1.0, 1.0]], [[1.0, 0.0, 0.0, 0.0, 1.0]]])
    assert certainty(unsure_flag, fields).tolist() == [[1.0, 0.0, 1.0]]


def test_nothing_is_guessed_among_too_many_records_nor_where_they_are_images() -> None:
    (guess,) = replace(QUICK, most_records=2)(leak(3).seen, stream(0, "tableak"))
    assert guess.records.shape == (0, 35)
    images = replace(leak(1).seen, schema=ImageSchema(5, 7, 1, 0.0, 1.0))
    with pytest.raises(RefusedError, match=r"^consortium: TabLeak needs records that are rows"):
        QUICK(images, stream(0, "tableak"))
    with pytest.raises(InputError, match=r"^most_records=65: expected"):
        TabLeak(most_records=65)


@pytest.mark.parametrize("key", ["lr", "bound"])
def test_a_step_or_a_bound_of_no_length_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key}=0: expected"):
        TabLeak(**{key: 0})


SCHEMA = TableSchema(
    (
        Field("level", "categorical", (3, 1, 5), ("a", "b", "c")),
        Field("value", "continuous", (0,), missing=4),
        Field("other", "continuous", (2,)),
    ),
    6,
)
ONLY_NUMBERS = TableSchema((Field("x", "continuous", (0,)), Field("y", "continuous", (1,))), 2)
ONLY_LEVELS = TableSchema((Field("x", "categorical", (1, 0), ("a", "b")),), 2)


@pytest.mark.parametrize("schema", [SCHEMA, ONLY_NUMBERS, ONLY_LEVELS])
@pytest.mark.parametrize("bound", [3.0, None])
def test_derivatives_of_relaxed_records_are_those_of_small_steps(schema, bound) -> None:
    relaxation = Relaxation.of(schema, bound)
    rng = stream(0, "relaxed")
    free, slope, way = rng.normal(size=(3, 2, 4, schema.n_features))
    records = relaxation.records(free)
    found = (relaxation.pulled_back(free, records, slope) * way).sum()
    step = 1e-6
    ahead, behind = (relaxation.records(free + sign * step * way) for sign in (1, -1))
    assert found == pytest.approx((slope * (ahead - behind)).sum() / (2 * step), rel=1e-6)


def test_projected_records_are_such_as_patients_have() -> None:
    relaxation = Relaxation.of(SCHEMA, 3.0)
    relaxed = relaxation.records(5 * stream(0, "projected").normal(size=(50, 6)))
    found = relaxation.projected(relaxed)
    assert (np.sort(found[:, [1, 3, 5]], axis=1) == [0, 0, 1]).all()
    assert set(found[:, 4]) == {0.0, 1.0}
    assert (found[found[:, 4] == 1, 0] == 0).all()
    assert (relaxation.is_free(found)[:, 0] == (found[:, 4] == 0)).all()
    assert np.abs(relaxed[:, 2]).max() <= 3
    np.testing.assert_array_equal(relaxation.projected(found), found)


def test_a_run_scores_each_field_beside_rows_that_need_no_attack() -> None:
    words = (*WORDS[:-1], "training.batch_size=2", "attack=[tableak]")
    quick = ("attack.tableak.iterations=300", "attack.tableak.ensemble=3")
    record = run(experiment(*words, *quick))
    assert record.inversion is not None
    found = record.inversion.fields
    assert found is not None
    assert len(found.hospital) == record.n_attacked == 8
    assert [one.field for one in found.fields] == [one.name for one in made()[0].columns.fields]
    assert record.value("feature_accuracy") > 0.9
    assert record.value("feature_accuracy_shuffled") < 0.6
    assert record.value("feature_gain") > 0.25
    assert record.value("exact_match_rate") > 0.5
    assert record.value("exact_match_rate_shuffled") == 0
    assert record.value("singled_out_rate") > 0.7 > record.value("singled_out_rate_shuffled")


# --- at full size: 1500 steps of ten members


def measured(
    n: int, n_batches: int, attack: TabLeak, capsys, **changes: float
) -> list[FieldScores]:
    """The scores of batches of the four hospitals in turn, printed with their baselines."""
    found = []
    seconds = []
    with threadpool_limits(1):
        for number in range(n_batches):
            one = leak(n, number, **changes)
            share = float(one.records.labels.mean())
            before = process_time()
            found.append(scores(one, replace(attack, prevalence=share)))
            seconds.append(process_time() - before)
    with capsys.disabled():
        print(
            f"\n{n} records, {n_batches} batches{changes or ''}: fields {mean(found, 'guess'):.3f},"
            f" all fields {np.mean([one.guess.exact for one in found]):.3f},"
            f" singled out {np.mean([one.guess.singled_out for one in found]):.3f};"
            f" random {mean(found, 'random'):.3f}, typical {mean(found, 'typical'):.3f};"
            f" at most {max(seconds):.1f} s",
            end="",
        )
    assert max(seconds) <= 10 * max(1, n / 8)
    return found


def mean(found: list[FieldScores], side: str) -> float:
    return float(np.mean([getattr(one, side).right for one in found]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "n_batches", "least", "least_exact"),
    [(1, 8, 0.99, 0.9), (8, 4, 0.93, 0.6), (16, 4, 0.85, 0.0)],
)
def test_fields_and_records_are_recovered_at_full_size(
    n: int, n_batches: int, least: float, least_exact: float, capsys
) -> None:
    found = measured(n, n_batches, TabLeak(), capsys)
    assert mean(found, "guess") >= least
    assert np.mean([one.guess.exact for one in found]) >= least_exact
    assert max(mean(found, "random"), mean(found, "typical")) < 0.65


@pytest.mark.slow
def test_little_noise_protects_little_and_more_noise_leaves_what_random_rows_have(capsys) -> None:
    little = measured(8, 4, TabLeak(), capsys, clip=1.0, noise=0.01)
    assert mean(little, "guess") >= 0.85
    more = measured(8, 4, TabLeak(), capsys, clip=1.0, noise=0.1)
    assert abs(mean(more, "guess") - mean(more, "random")) <= 0.05
    assert not any(exact for one in more for exact in one.guess.exact)
