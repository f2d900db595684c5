"""Changes of a record are possible only within its room, with one level for each field."""

from __future__ import annotations

import numpy as np
import pytest

from sim import feasible
from sim.errors import InputError
from sim.types import Field, TableSchema

# age, fixed; a dose that may be absent; a level of three; a sex, fixed
SCHEMA = TableSchema(
    (
        Field("age", "continuous", (0,)),
        Field("dose", "continuous", (1,), missing=2),
        Field("pain", "categorical", (3, 4, 5), ("a", "b", "c")),
        Field("sex", "categorical", (6, 7), ("f", "m")),
    ),
    8,
)
THERE = [0.3, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
ABSENT = [-0.2, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
RECORDS = np.array([THERE, ABSENT], dtype=np.float32)
LIMITS = np.array([[-1.0, -0.5, 0, 0, 0, 0, 0, 0], [1.0, 1.25, 1, 1, 1, 1, 1, 1]])
SPACE = feasible.room(SCHEMA, RECORDS, ("age", "sex"), 0.5, LIMITS)


def possible(row: list[float], of: int = 0, n_levels: int = 1) -> bool:
    changed = RECORDS.astype(np.float64)
    changed[of] = row
    return bool(feasible.is_possible(SCHEMA, RECORDS, changed, SPACE, n_levels)[of])


def test_the_room_of_a_value_is_its_reach_within_the_limits_of_the_data() -> None:
    assert (SPACE.low[0, 1], SPACE.high[0, 1]) == (0.5, 1.25)
    movable = SPACE.high > SPACE.low
    assert movable.sum() == 1
    assert movable[0, 1]  # age is fixed, and an absent value stays absent
    assert SPACE.levels == ((3, 4, 5),)


def test_a_value_beyond_the_limits_of_others_may_stay_and_come_back() -> None:
    space = feasible.room(SCHEMA, np.array([[0.0, 2.0, *THERE[2:]]]), (), 0.5, LIMITS)
    assert (space.low[0, 1], space.high[0, 1]) == (1.5, 2.0)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (THERE, True),
        ([0.3, 1.25, *THERE[2:]], True),
        ([0.3, 1.3, *THERE[2:]], False),  # beyond the limits of the data
        ([0.3, 0.45, *THERE[2:]], False),  # beyond its reach
        ([0.4, *THERE[1:]], False),  # nobody gets older
        ([*THERE[:2], 1.0, *THERE[3:]], False),  # a value does not vanish
        ([*THERE[:3], 0.0, 0.0, 1.0, 0.0, 1.0], True),
        ([*THERE[:3], 0.5, 0.5, 0.0, 0.0, 1.0], False),  # half of a level
        ([*THERE[:3], 1.0, 1.0, 0.0, 0.0, 1.0], False),  # two levels
        ([*THERE[:3], 0.0, 0.0, 0.0, 0.0, 1.0], False),  # none
        ([*THERE[:6], 1.0, 0.0], False),  # sex is fixed
    ],
)
def test_a_change_is_possible_or_is_not(row: list[float], expected: bool) -> None:
    assert possible(row) is expected


def test_no_more_levels_change_than_may() -> None:
    other = [*THERE[:3], 0.0, 1.0, 0.0, 0.0, 1.0]
    assert possible(other, n_levels=1)
    assert not possible(other, n_levels=0)


def test_blind_changes_are_possible_and_as_large_as_can_be() -> None:
    many = np.repeat(RECORDS, 40, axis=0)
    space = feasible.room(SCHEMA, many, ("age", "sex"), 0.5, LIMITS)
    made = feasible.at_random(space, many, 1, np.random.default_rng(0))
    assert feasible.is_possible(SCHEMA, many, made, space, 1).all()
    assert {*np.unique(made[:40, 1])} == {0.5, 1.25}
    assert (made[:, 3:6] != many[:, 3:6]).any(axis=1).all()


def test_inside_leaves_what_cannot_move() -> None:
    far = RECORDS + 3.0
    made = feasible.inside(SPACE, far)
    assert made[0, 1] == 1.25
    assert np.array_equal(np.delete(made[0], 1), np.delete(far[0], 1).astype(np.float64))


def test_fixed_fields_are_those_asked_for_or_age_and_sex() -> None:
    assert feasible.fixed_fields(SCHEMA, None) == ("age", "sex")
    assert feasible.fixed_fields(SCHEMA, ["pain"]) == ("pain",)
    with pytest.raises(InputError, match=r"^fixed=aeg: expected fields of the data, as age, dose"):
        feasible.fixed_fields(SCHEMA, ["aeg"])
