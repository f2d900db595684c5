"""Sums, lengths and distances of rows are right in all of the range of float32."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from aggregators.linalg import (
    embedded,
    lengths,
    mixed,
    ranks,
    ranks_by_row,
    sorted_columns,
    squared_distances,
)
from aggregators.rules.krum import Krum
from tests import oracles
from tests.drawn import RNG, clear, normal


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1.0, 1e18, 1e30, 3e38])
@pytest.mark.parametrize("share", [1e-40, 1e-6, 0.25])
def test_sums_and_lengths_of_float32_rows_are_right_in_all_of_its_range(
    size: float, share: float
) -> None:
    rows = np.clip(size * normal(4, 5000) / 5, -3.4e38, 3.4e38).astype(np.float32)
    rows[2] = 0
    exact = rows.astype(np.float64)
    shares = np.array([share, 0.0, 0.25, 0.5])
    np.testing.assert_allclose(
        mixed(shares, rows), shares @ exact, rtol=1e-6, atol=1e-7 * np.abs(exact).max() + 1e-44
    )
    np.testing.assert_allclose(lengths(rows), np.linalg.norm(exact, axis=1), rtol=1e-6)
    np.testing.assert_allclose(
        lengths(rows, rows[1]), np.linalg.norm(exact - exact[1], axis=1), rtol=1e-6
    )
    np.testing.assert_allclose(
        lengths(rows, exact[1] / 3), np.linalg.norm(exact - exact[1] / 3, axis=1), rtol=1e-6
    )


def test_sums_that_float32_cannot_hold_are_float64() -> None:
    rows = np.full((3, 4), 3e38, np.float32)
    np.testing.assert_allclose(mixed(np.ones(3), rows), 9e38, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([1e-6, 1.0, 1e30]),
    offset=st.sampled_from([0.0, 1e4]),
)
def test_distances_equal_the_plain_sum(seed: int, size: float, offset: float) -> None:
    rows = (size * (normal(6, 30, seed=seed) + offset)).astype(np.float32)
    got = squared_distances(rows)
    expected = [[oracles.squared_distance(left, right) for right in rows] for left in rows]
    np.testing.assert_allclose(got, expected, rtol=1e-11)
    np.testing.assert_array_equal(got, got.T)
    assert (np.diag(got) == 0).all()
    assert (got >= 0).all()


def test_distances_between_honest_rows_keep_their_digits_beside_a_row_of_1e30() -> None:
    honest = normal(6, 30).astype(np.float32) * np.float32(1e-6)
    rows = np.vstack([honest, np.full((2, 30), 1e30, np.float32)])
    np.testing.assert_allclose(
        squared_distances(rows)[:6, :6], squared_distances(honest), rtol=1e-9
    )


def test_krum_is_not_led_by_a_row_of_1e30() -> None:
    honest = normal(8, 30).astype(np.float32)
    rows = np.vstack([honest, np.full((1, 30), 1e30, np.float32)])
    np.testing.assert_array_equal(Krum(1)(clear(rows), RNG), oracles.krum(rows.tolist(), 1))


def test_points_keep_the_distance_of_rows_that_nearly_coincide_far_from_the_others() -> None:
    axes = np.eye(6)
    far = 1e6 * axes[3]
    rows = np.array([0.3 * axes[0], 0.6 * axes[1], axes[2], far, far + 1e-3 * axes[4]])
    points = embedded(rows)
    assert np.linalg.norm(points[3] - points[4]) == pytest.approx(1e-3, abs=1e-5)


def test_ranks_of_each_row_are_dense_ranks_of_its_values() -> None:
    rows = np.random.default_rng(3).integers(0, 5, (6, 11)).astype(np.float64)
    expected = rankdata(rows, "dense", axis=1) - 1
    assert (ranks_by_row(rows) == expected).all()
    assert (ranks(rows[2]) == expected[2]).all()


@pytest.mark.parametrize("n_rows", [3, 12, 17])
def test_columns_are_sorted_in_blocks_that_cover_all_of_them(n_rows: int) -> None:
    updates = np.random.default_rng(4).normal(size=(n_rows, 9001)).astype(np.float32)
    found = np.full(updates.T.shape, np.nan, np.float32)
    for block, columns in sorted_columns(updates):
        found[block] = columns
    assert (found == np.sort(updates.T, axis=1)).all()
