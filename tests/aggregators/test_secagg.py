"""Forms of secure aggregation: who is added up with whom, and from how many updates on."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregators.secagg.clear import Clear
from aggregators.secagg.groups import By, Groups, Redraw, region
from aggregators.secagg.quantization import Quantization
from aggregators.secagg.sum import Sum
from sim.design.views import averages, present
from sim.errors import InputError, RefusedError
from sim.types import Members, Roll

HEART = ("cleveland_1", "cleveland_2", "hungary_1", "hungary_2", "va_1", "va_2")


def names(n: int) -> tuple[str, ...]:
    return tuple(f"h{i:03}" for i in range(n))


def drawn(secagg: Groups, n: int, seed: int = 0) -> Members:
    return secagg(Roll(names(n), tuple(range(n, 0, -1))), np.random.default_rng(seed))


@given(
    st.integers(2, 60),
    st.integers(2, 60),
    st.sampled_from(["random", "region", "size"]),
    st.sampled_from(["round", "fixed"]),
    st.integers(0, 9),
)
def test_groups_have_each_hospital_once_and_are_as_many_and_as_equal_as_can_be(
    n: int, size: int, by: By, redraw: Redraw, seed: int
) -> None:
    if size > n:
        with pytest.raises(RefusedError, match=rf"^size={size}: expected at most n_hospitals={n}$"):
            drawn(Groups(size, by, redraw), n, seed)
        return
    groups = drawn(Groups(size, by, redraw), n, seed)
    assert sorted(itertools.chain.from_iterable(groups)) == list(names(n))
    sizes = [len(group) for group in groups]
    assert min(sizes) >= size
    assert max(sizes) - min(sizes) <= 1
    assert len(groups) == n // size
    assert all(list(group) == sorted(group) for group in groups)


def test_random_groups_follow_their_draw_and_each_pair_meets_equally_often() -> None:
    secagg = Groups(3)
    assert drawn(secagg, 12, 1) == drawn(secagg, 12, 1)
    assert drawn(secagg, 12, 1) != drawn(secagg, 12, 2)
    met = np.zeros((12, 12))
    for seed in range(2000):
        for group in drawn(secagg, 12, seed):
            for one, other in itertools.combinations(group, 2):
                met[int(one[1:]), int(other[1:])] += 1
    pairs = met[np.triu_indices(12, 1)] / 2000
    assert abs(pairs - 2 / 11).max() < 5 * np.sqrt(2 / 11 * 9 / 11 / 2000)


def test_groups_by_region_hold_hospitals_of_one_region() -> None:
    for seed in range(5):
        groups = Groups(2, by="region")(Roll(HEART), np.random.default_rng(seed))
        assert [{region(name) for name in group} for group in groups] == [
            {"cleveland"},
            {"hungary"},
            {"va"},
        ]
    assert [region(name) for name in ("va_2", "mayo", "st-1-12", "7")] == ["va", "mayo", "st-1", ""]


def test_groups_by_size_hold_hospitals_of_like_record_counts_and_need_them() -> None:
    roll = Roll(names(6), (50, 10, 20, 60, 11, 21))
    groups = Groups(2, by="size")(roll, np.random.default_rng(0))
    assert groups == (("h001", "h004"), ("h002", "h005"), ("h000", "h003"))
    assert Groups(2, by="size").by_records
    assert not Groups(2, by="size").is_redrawn
    with pytest.raises(RefusedError, match="publish no record counts"):
        Groups(2, by="size")(Roll(names(6)), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"size": 1}, "^size=1: expected a whole number of at least 2$"),
        ({"size": 3, "least": 1}, "^least=1: expected a whole number of at least 2$"),
        ({"size": 3, "by": "name"}, "^by=name: expected one of random, region, size$"),
        ({"size": 3, "redraw": "day"}, "^redraw=day: expected one of round, fixed$"),
        ({"size": 3, "clip": 0.0}, "^clip=0.0: "),
        ({"size": 3, "bits": 30}, "^bits=30: "),
        ({"size": 3, "least": 4}, "^least=4: expected at most size=3$"),
    ],
)
def test_a_group_below_two_and_other_wrong_values_are_refused(values: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Groups(**values)


def test_a_sum_of_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"^least=1: expected a whole number of at least 2$"):
        Sum(least=1)
    groups = Sum()(Roll(names(3)), np.random.default_rng(0))
    assert groups == (names(3),)
    with pytest.raises(
        RefusedError, match=r"^1 usable reply: no group has the 2 that a sum needs$"
    ):
        averages(groups, 2, ("h001",), np.ones((1, 4)), np.ones(1))


def test_in_the_clear_each_hospital_is_a_row_with_its_record_count() -> None:
    groups = Clear()(Roll(names(3)), np.random.default_rng(0))
    counts = np.array([3.0, 7.0])
    rows = np.ones((2, 4), np.float32)
    view = averages(groups, 1, ("h000", "h002"), rows, counts)
    assert view.rows is rows
    assert view.members == (("h000",), ("h002",))
    assert view.weights is counts


def test_a_row_is_the_mean_of_the_updates_of_its_group_that_came() -> None:
    groups = (("h000", "h003"), ("h001", "h002", "h004"), ("h005", "h006"))
    there = ("h000", "h001", "h003", "h004", "h005")
    assert present(groups, 2, there) == (("h000", "h003"), ("h001", "h004"))
    updates = np.random.default_rng(1).normal(size=(5, 30)).astype(np.float32)
    one = Quantization()
    noise = [np.random.default_rng(i).random(30, dtype=np.float32) for i in range(5)]
    steps, n_clipped = one.rounded(updates, noise)
    view = averages(groups, 2, there, steps, np.ones(5), one)
    assert view.members == (("h000", "h003"), ("h001", "h004"))
    assert view.weights is None
    whole = np.array(
        [one.quantize(row, np.random.default_rng(i))[0] for i, row in enumerate(updates)]
    )
    np.testing.assert_array_equal(view.rows[0], one.value(whole[0] + whole[2], 2))
    np.testing.assert_array_equal(view.rows[1], one.value(whole[1] + whole[3], 2))
    assert n_clipped.tolist() == np.count_nonzero(np.abs(updates) > one.clip, axis=1).tolist()
