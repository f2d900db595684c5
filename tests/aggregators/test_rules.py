"""What single rules promise beyond the table of test_rules_table, and where each stops holding."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.multikrum import select_multikrum
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregators.checks import refusal
from aggregators.pipeline import Chain
from aggregators.rules.bulyan import Bulyan
from aggregators.rules.caf import Caf
from aggregators.rules.centered_clipping import CenteredClipping
from aggregators.rules.clipped_clustering import ClippedClustering
from aggregators.rules.dnc import Dnc
from aggregators.rules.flame import Flame
from aggregators.rules.fltrust import Fltrust
from aggregators.rules.foolsgold import Foolsgold
from aggregators.rules.geometric_median import GeometricMedian
from aggregators.rules.krum import Krum, krum_scores
from aggregators.rules.mda import Mda
from aggregators.rules.mean import Mean
from aggregators.rules.median import Median
from aggregators.rules.monna import Monna
from aggregators.rules.rfa import Rfa
from aggregators.rules.rlr import Rlr
from aggregators.rules.signguard import Signguard
from aggregators.rules.smea import Smea
from aggregators.rules.trimmed_mean import TrimmedMean
from aggregators.secagg.clear import Clear
from aggregators.secagg.sum import Sum
from sim.config.settings import Server
from sim.design.views import averages
from sim.errors import InputError, RefusedError
from sim.federation.protocols.plain import capped
from sim.seeds import stream
from sim.types import Roll, Rule, SecureAggregation, Updates, View
from tests import oracles
from tests.drawn import RNG, clear, normal
from tests.rounds import Rounds


def seen_under(secagg: SecureAggregation, updates: Updates) -> View:
    """What a form of secure aggregation leaves to see of updates."""
    names = tuple(f"h{i:02}" for i in range(len(updates)))
    groups = secagg(Roll(names), RNG)
    return averages(groups, secagg.least, names, updates, np.ones(len(names)))


# --- refusals


@pytest.mark.parametrize(
    ("rule", "n_rows", "text"),
    [
        (Krum(2), 6, "n_rows=6, n_hostile=2: Krum needs n_rows >= 2*n_hostile + 3 = 7"),
        (Median(3), 6, "n_rows=6, n_hostile=3: Median needs n_rows >= 2*n_hostile + 1 = 7"),
        (
            TrimmedMean(1),
            2,
            "n_rows=2, n_hostile=1: TrimmedMean needs n_rows >= 2*n_hostile + 1 = 3",
        ),
        (
            GeometricMedian(4),
            8,
            "n_rows=8, n_hostile=4: GeometricMedian needs n_rows >= 2*n_hostile + 1 = 9",
        ),
        (Mean(), 0, "n_rows=0: Mean needs n_rows >= 1"),
    ],
)
def test_refusal_names_the_numbers_and_the_limit(rule: Rule, n_rows: int, text: str) -> None:
    assert refusal(rule, n_rows, n_rows) == text
    with pytest.raises(RefusedError) as refused:
        rule(clear(np.zeros((n_rows, 2))), RNG)
    assert str(refused.value) == text


@pytest.mark.parametrize("rule", [Krum(1), Median(1), TrimmedMean(1), GeometricMedian(1)])
def test_robust_rules_refuse_one_secure_sum(rule: Rule) -> None:
    view = seen_under(Sum(), normal(12, 3))
    with pytest.raises(RefusedError, match=r"; secure aggregation leaves 1 of 12 rows to see$"):
        rule(view, RNG)
    assert rule(seen_under(Clear(), normal(12, 3)), RNG).shape == (3,)


@pytest.mark.parametrize("value", [-1, 1.0, True, "2"])
@pytest.mark.parametrize("kind", [Median, TrimmedMean, Krum, GeometricMedian])
def test_n_hostile_must_be_a_whole_number(kind: type, value: object) -> None:
    with pytest.raises(InputError, match=r"^n_hostile=.*: expected a whole number of at least 0$"):
        kind(value)


# --- mean


def test_mean_by_count_weighs_rows_by_records() -> None:
    rows = np.array([[0.0], [10.0]])
    assert Mean("count")(clear(rows, np.array([3.0, 1.0])), RNG) == pytest.approx([2.5])
    assert Mean("uniform")(clear(rows, np.array([3.0, 1.0])), RNG) == pytest.approx([5.0])


def test_mean_counts_hospitals_and_not_groups() -> None:
    groups = View(np.array([[1.0], [4.0]]), (("a", "b"), ("c",)))
    assert Mean()(groups, RNG) == pytest.approx([2.0])


def test_mean_by_count_refuses_where_counts_are_hidden_or_void() -> None:
    hidden = seen_under(Sum(), normal(4, 2))
    with pytest.raises(
        RefusedError, match=r"^weighting=count: Mean .* this party does not learn record counts$"
    ):
        Mean("count")(hidden, RNG)
    for weights in (np.zeros(2), np.array([-1.0, 5.0])):
        with pytest.raises(RefusedError, match="at least 0 and a sum above 0"):
            Mean("count")(clear(normal(2, 2), weights), RNG)


def test_mean_knows_only_two_weightings() -> None:
    with pytest.raises(InputError, match=r"^weighting=records: expected one of uniform, count$"):
        Mean("records")


def test_secure_sum_changes_nothing_for_the_mean() -> None:
    updates = normal(12, 50)
    in_the_clear = Mean()(seen_under(Clear(), updates), RNG)
    np.testing.assert_allclose(
        Mean()(seen_under(Sum(), updates), RNG), in_the_clear, rtol=1e-12, atol=1e-15
    )


# --- rules against outside implementations


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(9, 15), f=st.integers(0, 3), d=st.integers(1, 60))
def test_krum_chooses_as_flower_does_in_float64(seed: int, n: int, f: int, d: int) -> None:
    rows = normal(n, d, seed=seed)
    contents = [RecordDict({"arrays": ArrayRecord({"0": Array(row)})}) for row in rows]
    chosen = select_multikrum(contents, f, 1)[0]["arrays"]["0"].numpy()
    np.testing.assert_array_equal(Krum(f)(clear(rows), RNG), chosen)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(7, 15), f=st.integers(0, 3), d=st.integers(1, 60))
def test_trimmed_mean_and_median_equal_scipy_and_numpy(seed: int, n: int, f: int, d: int) -> None:
    rows = normal(n, d, seed=seed)
    outside = scipy.stats.trim_mean(rows, (f + 0.5) / n)
    np.testing.assert_allclose(TrimmedMean(f)(clear(rows), RNG), outside, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(Median(f)(clear(rows), RNG), np.median(rows, axis=0), rtol=1e-12)


# --- where each robust rule holds and where it fails


@pytest.mark.parametrize("rule", [Median(2), TrimmedMean(2), Krum(2), GeometricMedian(2)])
def test_robust_rules_hold_against_two_and_fail_against_five_of_nine(rule: Rule) -> None:
    rows = normal(9, 20)
    honest = np.linalg.norm(rows[5:] - rows[5:].mean(axis=0), axis=1).max()
    moved = []
    for n_hostile in (2, 5):
        attacked = rows.copy()
        attacked[:n_hostile] = 50.0
        moved.append(np.linalg.norm(rule(clear(attacked), RNG) - rows[5:].mean(axis=0)))
    assert moved[0] < 3 * honest
    assert moved[1] > 10 * honest


# --- weights


@pytest.mark.parametrize("kind", [Median, TrimmedMean, GeometricMedian, Rfa])
def test_rules_by_count_refuse_where_the_heaviest_could_outweigh_the_others(kind: type) -> None:
    rows, rule = normal(7, 3), kind(2, weighting="count")
    assert np.isfinite(rule(clear(rows, np.array([3.0, 3, 2, 2, 2, 2, 1])), RNG)).all()
    with pytest.raises(
        RefusedError, match=r"^n_rows=7, n_hostile=2, weighting=count: .* they weigh 8 of 16$"
    ):
        rule(clear(rows, np.array([4.0, 4, 2, 2, 2, 1, 1])), RNG)
    with pytest.raises(
        RefusedError, match=r"^weighting=count: .* this party does not learn record counts$"
    ):
        rule(clear(rows), RNG)


@pytest.mark.parametrize(
    "rule",
    [
        Median(2, weighting="count"),
        TrimmedMean(2, weighting="count"),
        GeometricMedian(2, weighting="count"),
    ],
)
def test_rules_by_count_hold_against_two_heavy_liars_and_follow_the_large_hospitals(
    rule: Rule,
) -> None:
    rows = 0.1 * normal(9, 20)
    rows[5:] += 1
    weights = np.array([3.0, 3, 1, 1, 1, 3, 3, 3, 3])
    attacked = rows.copy()
    attacked[:2] = -1e6
    assert rule(clear(attacked, weights), RNG).mean() > -0.5
    uniform = dataclasses.replace(rule, weighting="uniform")
    assert rule(clear(rows, weights), RNG).mean() > uniform(clear(rows), RNG).mean() + 0.2


@pytest.mark.parametrize("kind", [Median, TrimmedMean, GeometricMedian, Rfa])
def test_a_row_by_size_counts_as_often_as_it_has_hospitals(kind: type) -> None:
    members = (("a",), ("b", "c", "d"), ("e", "f"), ("g",), ("h", "i"))
    sizes = [len(group) for group in members]
    rows = normal(5, 4)
    got = kind(1, weighting="size")(View(rows, members), RNG)
    repeated = clear(np.repeat(rows, sizes, axis=0))
    np.testing.assert_allclose(got, kind(max(sizes))(repeated, RNG), rtol=1e-6, atol=1e-9)
    by_count = View(rows, members, np.array(sizes, float))
    np.testing.assert_array_equal(got, kind(1, weighting="count")(by_count, RNG))
    assert not np.allclose(got, kind(1)(View(rows, members), RNG))


@pytest.mark.parametrize("kind", [Median, TrimmedMean, GeometricMedian, Rfa])
def test_rules_by_size_refuse_where_the_largest_groups_make_half(kind: type) -> None:
    members = (("a", "b", "c"), ("d",), ("e", "f"))
    with pytest.raises(
        RefusedError, match=r"^n_rows=3, n_hostile=1, weighting=size: .* they weigh 3 of 6$"
    ):
        kind(1, weighting="size")(View(normal(3, 2), members), RNG)


# --- trust in one hospital


@pytest.mark.parametrize("rule", [Monna(2, "h06"), Fltrust("h06")])
def test_rules_with_a_root_hold_while_it_is_honest_and_fail_when_it_is_not(
    rule: Monna | Fltrust,
) -> None:
    rows = 0.3 * normal(9, 20) + 1
    rows[:2] = -5
    assert rule(clear(rows), RNG).min() > 0
    assert dataclasses.replace(rule, root="h00")(clear(rows), RNG).mean() < 0


def test_fltrust_trusts_nobody_who_points_elsewhere() -> None:
    rows = np.vstack([np.ones((1, 4)), -np.ones((8, 4))])
    np.testing.assert_array_equal(Fltrust("h00")(clear(rows), RNG), np.zeros(4))


@pytest.mark.parametrize("kind", [partial(Monna, 2), Fltrust])
def test_rules_with_a_root_refuse_without_it(kind: Callable[[str | None], Rule]) -> None:
    with pytest.raises(
        RefusedError, match=r"^root=null: .* needs the name of the trusted hospital$"
    ):
        kind(None)(clear(normal(7, 3)), RNG)
    with pytest.raises(
        RefusedError, match=r"^root=nowhere: .* needs a hospital with a row of its own: h00, h01"
    ):
        kind("nowhere")(clear(normal(7, 3)), RNG)
    assert "root=null" in str(Chain((), kind(None)).refusal(7, 7))


# --- rules against sybils, backdoors and noise


def test_foolsgold_silences_sybils_and_not_a_lone_attacker() -> None:
    rows = normal(9, 200)
    rows[:3] = 5 + 0.01 * normal(3, 200, seed=1)
    assert Foolsgold().shares(clear(rows), RNG)[:3].sum() < 1e-6
    rows[1:3] = normal(2, 200, seed=2)
    assert Foolsgold().shares(clear(rows), RNG)[0] > 0.1


def test_foolsgold_remembers_sybils_that_hide_in_one_round() -> None:
    chain, states = Chain((), Foolsgold()), ()
    for seed in range(2):
        rows = normal(9, 200, seed=seed)
        rows[:3] = 5 if seed == 0 else rows[:3]
        found = chain.run(clear(rows), RNG, states)
        states = found.states
    assert found.shares is not None
    assert found.shares[:3].sum() < 1e-6
    assert Foolsgold().shares(clear(rows), RNG)[:3].sum() > 0.1


def test_rlr_turns_a_minority_backdoor_around_and_a_majority_one_not() -> None:
    rows = np.hstack([np.ones((9, 5)), 0.01 * np.sign(normal(9, 20))])
    rows[:2, 5:] = 1.0
    rows[2:, 5:] = 0.01 * np.array([1, -1, 1, -1, 1, -1, -1])[:, None]
    turned = Rlr(2)(clear(rows), RNG)
    assert turned[:5].min() > 0.9
    assert turned[5:].max() < 0
    rows[:5, 5:] = 1.0
    assert Rlr(2)(clear(rows), RNG)[5:].min() > 0


def test_flame_leaves_out_models_of_another_direction_and_needs_the_model() -> None:
    rows = 0.2 * normal(9, 50) + 1
    rows[:2] *= -20
    view = dataclasses.replace(clear(rows), model=np.zeros(50))
    assert Flame().shares(view, RNG)[:2].sum() == 0
    hidden_by_a_large_model = dataclasses.replace(view, model=np.full(50, 1e9))
    assert Flame().shares(hidden_by_a_large_model, RNG).sum() == pytest.approx(1)
    with pytest.raises(RefusedError, match="needs the weights that were sent out"):
        Flame()(clear(rows), RNG)


def test_dnc_leaves_out_what_stands_out_and_may_leave_out_everything() -> None:
    rows = normal(9, 50)
    rows[:2] += 5
    assert Dnc(2, n_dims=20).shares(clear(rows), stream(0, "dnc"))[:2].sum() == 0
    picky = Dnc(3, iterations=50, n_dims=3)
    assert not picky.shares(clear(normal(7, 50)), stream(0, "dnc")).any()


def test_signguard_leaves_out_odd_lengths_and_odd_signs() -> None:
    rows = normal(11, 400) + 0.5
    rows[0] *= 10
    rows[1] = -np.abs(rows[1])
    shares = Signguard(fraction=1.0).shares(clear(rows), stream(0, "signguard"))
    assert shares[:2].sum() == 0
    assert np.count_nonzero(shares) >= 5


def test_clipped_clustering_leaves_out_the_smaller_side() -> None:
    rows = normal(11, 50) + 1
    rows[:3] *= -1
    assert ClippedClustering().shares(clear(rows), RNG)[:3].sum() == 0
    rows[:7] = -np.abs(rows[:7])
    assert ClippedClustering()(clear(rows), RNG).mean() < 0


# --- states


def test_centered_clipping_starts_where_it_ended_and_comes_closer_each_round() -> None:
    rows = normal(9, 20) + 3
    view, rule, from_start = (
        clear(rows),
        Rounds(CenteredClipping(1.0, 1)),
        Rounds(CenteredClipping(1.0, 1, "zero")),
    )
    gaps = [np.linalg.norm(rule(view, RNG) - rows.mean(axis=0)) for _ in range(5)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > gaps[-1]
    from_zero = [from_start(view, RNG) for _ in range(2)]
    np.testing.assert_array_equal(from_zero[0], from_zero[1])


def test_smea_refuses_more_sets_than_it_can_look_at() -> None:
    with pytest.raises(
        RefusedError,
        match=(
            r"^n_rows=30, n_hostile=10: Smea looks at all 30045015 sets of rows, more than 100000$"
        ),
    ):
        Smea(10)(clear(normal(30, 3)), RNG)


def test_mda_is_exact_where_listing_all_sets_is_not_feasible() -> None:
    rows = normal(40, 10)
    rows[:12] += 8
    np.testing.assert_array_equal(
        np.flatnonzero(Mda(12).shares(clear(rows), RNG)), np.arange(12, 40)
    )


# --- disagreements that docs/rules.md states


@pytest.mark.parametrize(
    ("variant", "differs"), [("byzfl", 0.081), ("ndss21", 0.101), ("distance4", 0.021)]
)
def test_krums_variants_choose_another_row_as_often_as_documented(
    variant: Any, differs: float
) -> None:
    draws = [normal(10, 50, seed=seed) for seed in range(1000)]
    other = [
        krum_scores(rows, 2, variant).argmin() != krum_scores(rows, 2, "paper").argmin()
        for rows in draws
    ]
    assert np.mean(other) == pytest.approx(differs, abs=1e-9)


def flowers_choice(rows: np.ndarray, n_hostile: int, n_chosen: int) -> list[int]:
    contents = [
        RecordDict({"arrays": ArrayRecord({"0": Array(row)}), "row": MetricRecord({"i": i})})
        for i, row in enumerate(rows)
    ]
    return [int(content["row"]["i"]) for content in select_multikrum(contents, n_hostile, n_chosen)]


def test_krum_on_updates_is_right_where_krum_on_float32_weights_is_not() -> None:
    wrong = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        updates, weights = (
            (1e-4 * rng.normal(size=(10, 5000))).astype(np.float32),
            rng.normal(size=5000).astype(np.float32),
        )
        exact = oracles.krum_scores((1e4 * updates.astype(np.float64)).tolist(), 2)
        assert krum_scores(updates, 2, "paper").argmin() == np.argmin(exact)
        wrong += flowers_choice(weights + updates, 2, 1)[0] != np.argmin(exact)
    assert wrong > 40


def test_bulyan_chooses_one_after_another_where_flower_takes_all_at_once() -> None:
    one_shot = iterated = 0
    for seed in range(100):
        rows = normal(15, 20, seed=seed)
        theirs = {*flowers_choice(rows, 3, 9)}
        one_shot += theirs != {*Bulyan(3)._one_shot(rows).tolist()}
        iterated += theirs != {*Bulyan(3)._iterated(rows).tolist()}
    assert one_shot == 0
    assert iterated > 30


# --- rows that tie


def test_foolsgold_counts_a_row_that_resembles_nobody_like_rows_that_resemble_little() -> None:
    rows = np.eye(4) + 0.1
    rows = np.vstack([rows, -rows.sum(axis=0)])
    np.testing.assert_allclose(Foolsgold().shares(clear(rows), RNG), 0.2)
    np.testing.assert_allclose(
        Foolsgold(variant="signed").shares(clear(rows), RNG), [0.25, 0.25, 0.25, 0.25, 0]
    )


def test_foolsgold_forgets_no_hospital_after_rounds_of_the_greatest_numbers() -> None:
    rule, sums = Foolsgold(), None
    for size in (3e38, 3e38, 1.0, 1.0):
        rows = normal(9, 20).astype(np.float32)
        rows[:2] = size
        sums = rule.remember(clear(rows), sums)
        shares = rule.weigh_by(clear(rows), sums, RNG)
        assert shares[:2].sum() == 0
        assert shares[2:].min() > 0.1


@pytest.mark.parametrize("n_alike", [2, 3, 4, 6])
def test_signguard_leaves_out_a_minority_of_other_signs_however_few_rows_there_are(
    n_alike: int,
) -> None:
    for n_other in {1, n_alike - 1}:
        rows = np.vstack([np.ones((n_alike, 5)), -np.ones((n_other, 5))])
        shares = Signguard(fraction=1.0).shares(clear(rows), stream(0, "signguard"))
        np.testing.assert_allclose(shares, [1 / n_alike] * n_alike + [0] * n_other)


def test_signguard_takes_rows_that_are_exactly_the_bandwidth_apart_for_neighbors() -> None:
    rows = np.array([[1.0] * n + [-1.0] * (8 - n) for n in (2, 3, 4)])
    np.testing.assert_allclose(Signguard(fraction=1.0).shares(clear(rows), RNG), 1 / 3)


def test_signguard_uses_rows_of_zeros() -> None:
    np.testing.assert_allclose(Signguard().shares(clear(np.zeros((5, 8))), RNG), 0.2)


def test_centered_clipping_refuses_a_radius_of_zero() -> None:
    with pytest.raises(InputError, match=r"^tau=0\.0: expected a number above 0$"):
        CenteredClipping(0.0)


@pytest.mark.parametrize("n_rows", [3, 4, 7])
def test_clipped_clustering_always_leaves_out_a_smaller_cluster(n_rows: int) -> None:
    shares = ClippedClustering().shares(clear(np.eye(n_rows, n_rows + 2)), RNG)
    assert 0 < np.count_nonzero(shares) < n_rows


def test_caf_takes_all_weight_of_equal_rows_at_once() -> None:
    rows = np.array([2, 2, -4, -3, -5, -4, -1.0])[:, None]
    assert Caf(2)(clear(rows), RNG) == pytest.approx([-3.042895], abs=1e-6)


def test_the_weight_cap_limits_a_reported_count_and_makes_small_hospitals_weigh_more() -> None:
    counts, server = [10, 50, 60, 5000], Server(max_records=10_000, weight_cap=3.0)
    free, bounded = (np.asarray(one) / np.sum(one) for one in (counts, capped(counts, server)))
    assert bounded[3] == 165 / 285
    assert bounded[0] > 10 * free[0]
