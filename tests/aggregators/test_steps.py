"""Steps before a rule: what each does to rows, where it holds and where it fails; and the chain."""

import dataclasses

import numpy as np
import pytest

from aggregators.pipeline import Chain
from aggregators.rules.krum import Krum
from aggregators.rules.mean import Mean
from aggregators.rules.median import Median
from aggregators.rules.trimmed_mean import TrimmedMean
from aggregators.steps.bucketing import Bucketing
from aggregators.steps.clip import Clip
from aggregators.steps.momentum import Momentum
from aggregators.steps.nnm import Nnm
from sim.errors import InputError, RefusedError
from sim.seeds import stream
from sim.types import Step, View
from tests.drawn import RNG, clear, normal
from tests.rounds import Rounds


def test_clip_leaves_short_rows_and_shortens_long_ones() -> None:
    rows = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [3e30, 4e30]], dtype=np.float32)
    np.testing.assert_allclose(
        Clip(1.0)(clear(rows), RNG).rows,
        [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.6, 0.8]],
        rtol=1e-6,
    )


def test_clip_holds_one_huge_row_and_fails_against_many_short_ones() -> None:
    honest = np.full((8, 4), 0.5)
    clipped_mean = Chain((Clip(1.0),), Mean())
    one_huge = np.vstack([honest, np.full((1, 4), -1e6)])
    assert clipped_mean(clear(one_huge), RNG).min() > 0.3
    assert Mean()(clear(one_huge), RNG).max() < -1e4
    many_short = np.vstack([honest, np.full((9, 4), -0.5)])
    assert clipped_mean(clear(many_short), RNG).max() < 0


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("inf"), float("nan")])
def test_clip_refuses_a_norm_that_is_not_positive_and_finite(max_norm: float) -> None:
    with pytest.raises(InputError, match=r"^max_norm="):
        Clip(max_norm)


def test_chain_applies_steps_in_order_then_the_rule_on_the_same_view() -> None:
    class Noise:
        about = Clip.about

        def __call__(self, view: View, rng: np.random.Generator) -> View:
            return dataclasses.replace(view, rows=view.rows + rng.normal(size=view.rows.shape))

    noise: Step = Noise()
    rows, weights = normal(5, 3), np.arange(1.0, 6.0)
    rng = stream(0, "chain")
    expected = (
        weights @ Clip(1.0)(clear(rows + rng.normal(size=rows.shape)), rng).rows / weights.sum()
    )
    np.testing.assert_allclose(
        Chain((noise, Clip(1.0)), Mean("count"))(clear(rows, weights), stream(0, "chain")), expected
    )
    swapped = Chain((Clip(1.0), noise), Mean("count"))(clear(rows, weights), stream(0, "chain"))
    assert np.abs(swapped - expected).max() > 0.01


def test_chain_needs_what_its_rule_needs() -> None:
    chain = Chain((Clip(1.0),), Krum(2))
    assert chain.min_rows == 7
    with pytest.raises(RefusedError, match="Krum needs"):
        chain(clear(normal(6, 3)), RNG)
    np.testing.assert_array_equal(
        Chain((), Krum(2))(clear(normal(7, 3)), RNG), Krum(2)(clear(normal(7, 3)), RNG)
    )


def test_momentum_averages_each_hospitals_rounds_and_waits_for_those_that_miss_one() -> None:
    step, names = Rounds(Momentum(0.75)), (("a",), ("b",))
    step(View(np.array([[4.0], [8.0]]), names), RNG)
    step(View(np.array([[0.0]]), names[:1]), RNG)
    last = step(View(np.array([[0.0], [0.0]]), names), RNG)
    np.testing.assert_allclose(last.rows, [[4 * 0.75**2], [8 * 0.75]])


def test_mixing_rescues_the_mean_of_nearest_rows_from_a_minority_and_not_from_a_majority() -> None:
    rows = normal(9, 20)
    rows[:2] = 1e3
    mixed = Chain((Nnm(2),), TrimmedMean(2))
    assert np.abs(mixed(clear(rows), RNG)).max() < 5
    rows[:7] = 1e3
    assert mixed(clear(rows), RNG).min() > 100


def test_bucketing_merges_hospitals_and_states_what_that_costs() -> None:
    view = Bucketing(2)(clear(normal(5, 3), np.arange(5.0)), stream(0, "buckets"))
    assert sorted(len(group) for group in view.members) == [1, 2, 2]
    assert view.weights is not None
    for group, row, weight in zip(view.members, view.rows, view.weights, strict=True):
        inside = [int(name[1:]) for name in group]
        np.testing.assert_allclose(row, normal(5, 3)[inside].mean(axis=0))
        assert weight == sum(inside)
    text = Chain((Bucketing(2),), Median(3)).refusal(12, 12)
    assert (
        text
        == "n_rows=6, n_hostile=3: Median needs n_rows >= 2*n_hostile + 1 = 7; Bucketing merges 12"
        " rows into 6"
    )


def test_a_chain_without_hospitals_assumes_fewer_hostile_ones_in_steps_too() -> None:
    chain = Chain((Nnm(2), Clip(1.0)), Krum(2)).without(1)
    assert chain == Chain((Nnm(1), Clip(1.0)), Krum(1))
    assert Chain((Nnm(2),), Krum(3)).without(4) == Chain((Nnm(0),), Krum(0))
