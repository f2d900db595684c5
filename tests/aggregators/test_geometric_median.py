"""The geometric median against geometry: where it is, how it is found, when it refuses."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregators.rules.geometric_median import GeometricMedian, Pulls
from sim.errors import InputError, RefusedError
from tests import oracles
from tests.drawn import RNG, clear, normal


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(5, 20), d=st.integers(2, 30))
@example(seed=22083, n=5, d=2)  # a thousandth away from a row
def test_geometric_median_is_where_the_directions_to_all_rows_cancel(
    seed: int, n: int, d: int
) -> None:
    rows = normal(n, d, seed=seed) * np.random.default_rng(seed).uniform(0.01, 10, size=(n, 1))
    found = GeometricMedian(2)(clear(rows), RNG)
    gaps = rows - found
    lengths = np.linalg.norm(gaps, axis=1)
    here = lengths < 1e-9
    pull = np.linalg.norm((gaps[~here] / lengths[~here, None]).sum(axis=0))
    blur = (
        1e-7 * np.abs(rows).max() * (1 / lengths[~here]).sum()
    )  # what moving the point by 1e-7 of the rows' size does to the pull
    assert pull <= here.sum() + 1e-8 + blur


def test_geometric_median_returns_a_row_that_is_the_minimizer_exactly() -> None:
    middle = normal(1, 5)
    arms = normal(3, 5, seed=1)
    rows = np.vstack([middle + arms, middle, middle - arms])
    np.testing.assert_array_equal(GeometricMedian(1)(clear(rows), RNG), middle[0])


def test_geometric_median_sees_equal_rows_as_one_point_with_their_joint_hold() -> None:
    rows = normal(10, 300)
    rows[:5] = rows[0]
    np.testing.assert_allclose(GeometricMedian(2)(clear(rows), RNG), rows[0], rtol=1e-12)
    rows[5:] = rows[9]
    rows[4] = rows[0] + 1.0
    corners = rows[[0, 4, 9]].tolist()
    weighed = oracles.total_distance(GeometricMedian(2)(clear(rows), RNG).tolist(), rows.tolist())
    assert weighed <= min(oracles.total_distance(corner, rows.tolist()) for corner in corners)


def test_geometric_median_leaves_the_best_row_when_that_is_not_the_minimizer() -> None:
    triangle = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    np.testing.assert_allclose(
        GeometricMedian(1)(clear(triangle), RNG), triangle.mean(axis=0), rtol=1e-9
    )


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_geometric_median_of_rows_of_any_size_has_the_same_digits(size: float) -> None:
    rows = normal(9, 4)
    found = GeometricMedian(2)(clear(size * rows), RNG) / size
    np.testing.assert_allclose(found, GeometricMedian(2)(clear(rows), RNG), rtol=1e-10)


@pytest.mark.parametrize("short_of_120_degrees", [1e-3, 1e-5, 1e-7, -1e-7])
def test_geometric_median_close_to_a_row_is_found_there(short_of_120_degrees: float) -> None:
    turn = np.array([0.3, 0.3 + 2 * np.pi / 3 - short_of_120_degrees])
    rows = np.vstack([[0.0, 0.0], np.column_stack([np.cos(turn), np.sin(turn)])]) + 1.0
    found = GeometricMedian(1)(clear(rows), RNG)
    assert np.linalg.norm(found - rows[0]) < max(10 * short_of_120_degrees, 1e-5)


def test_geometric_median_descends_with_every_step_and_newtons_steps_end_it() -> None:
    rows = normal(9, 4)
    pulls = Pulls(rows, np.ones(9), 1e-10)
    places = [pulls.at(pulls.lightest_row())]
    for _ in range(3):
        places.append(pulls.weiszfeld(places[-1]))
        places.append(pulls.refined(places[-1]))
    costs = [oracles.total_distance(place.point.tolist(), rows.tolist()) for place in places]
    assert costs == sorted(costs, reverse=True)
    assert pulls.balanced(places[-1])


def test_geometric_median_refuses_to_call_an_iteration_converged_that_did_not() -> None:
    with pytest.raises(
        RefusedError, match=r"^max_steps=1: GeometricMedian did not converge to tolerance=1e-10$"
    ):
        GeometricMedian(2, max_steps=1)(clear(normal(9, 4)), RNG)


def test_geometric_median_of_a_majority_at_one_point_is_that_point_whatever_the_rest() -> None:
    rows = np.full((7, 3), 0.25)
    rows[0], rows[1] = 0.0, 2.0**51
    np.testing.assert_array_equal(GeometricMedian(2)(clear(rows), RNG), rows[2])


@pytest.mark.parametrize(
    "changes", [{"tolerance": 0.0}, {"tolerance": float("nan")}, {"max_steps": 0}]
)
def test_geometric_median_refuses_an_iteration_that_cannot_end_or_begin(
    changes: dict[str, float],
) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(changes))}="):
        GeometricMedian(1, **changes)


@pytest.mark.parametrize("spread", [1e-2, 1e-3, 1e-5])
def test_geometric_median_between_two_tight_clusters_is_where_the_directions_cancel(
    spread: float,
) -> None:
    rows = spread * normal(8, 30)
    rows[4:] += 1
    shares = GeometricMedian(2).shares(clear(rows), RNG)
    gaps = rows - shares @ rows
    units = gaps / np.linalg.norm(gaps, axis=1, keepdims=True)
    across = np.linalg.norm(units.sum(axis=0))
    assert across < 1e-4 * spread**2
    assert 0.2 < shares[:4].sum() < 0.8
