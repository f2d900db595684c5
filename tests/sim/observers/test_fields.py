"""Rows of tables are scored field by field, beside rows that need no attack."""

from __future__ import annotations

import numpy as np
import pytest

from sim.evidence import FieldScores
from sim.observers.fields import MOST, Behind, coded, field_outcomes, field_scores, typical
from sim.seeds import stream
from sim.types import Field, Guess, TableSchema

SCHEMA = TableSchema(
    (
        Field("value", "continuous", (0,), missing=1),
        Field("level", "categorical", (2, 3, 4), ("a", "b", "c")),
        Field("other", "continuous", (5,)),
    ),
    6,
)
PATIENTS = np.array(
    [
        [0.5, 0, 1, 0, 0, -1.0],
        [0.0, 1, 0, 1, 0, 0.0],
        [-1.0, 0, 0, 1, 0, 2.0],
        [0.5, 0, 0, 1, 0, -1.0],
    ],
    dtype=np.float32,
)
NOTHING = Guess(np.zeros((0, 6)))


def scored(
    records: np.ndarray, guess: Guess, null: Guess = NOTHING, everybody: np.ndarray = PATIENTS
) -> FieldScores:
    behind = Behind(["a"] * len(records), records, PATIENTS, guess, null)
    found = field_scores(SCHEMA, [behind], everybody, stream(0, "fields"))
    assert found is not None
    return found


def test_a_value_is_right_within_the_tolerance_and_an_absent_one_where_it_is_absent() -> None:
    near, far = PATIENTS[:1].copy(), PATIENTS[:1].copy()
    near[0, [0, 5]] += 0.319
    far[0, [0, 5]] += 0.33
    assert scored(PATIENTS[:1], Guess(near)).guess.right == [1.0]
    assert scored(PATIENTS[:1], Guess(far)).guess.right == pytest.approx([1 / 3], abs=1e-6)
    absent = PATIENTS[1:2].copy()
    absent[0, 0] = 9.0
    assert scored(PATIENTS[1:2], Guess(absent)).guess.exact == [True]
    absent[0, 1] = 0.0
    assert scored(PATIENTS[1:2], Guess(absent)).guess.right == pytest.approx([2 / 3], abs=1e-6)


def test_guesses_are_laid_beside_the_records_that_they_agree_with() -> None:
    order = [2, 0, 1]
    found = scored(PATIENTS[:3], Guess(PATIENTS[order], certainty=np.eye(3)))
    assert found.guess.exact == [True, True, True]
    # the record in row i has the guess of which row ``order.index(i)`` is sure
    assert [one.certainty for one in found.fields] == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert (found.surest, found.least_sure) == (1.0, 1.0)


def test_the_typical_row_counts_where_there_is_no_guess_left() -> None:
    found = scored(PATIENTS[:3], Guess(PATIENTS[2:3]))
    assert found.guess.exact == [False, False, True]
    assert found.guess.right[:2] == found.typical.right[:2]
    assert found.shuffled == found.typical
    assert found.surest is None


def test_the_typical_row_has_means_and_the_most_common_levels() -> None:
    row = typical(SCHEMA, PATIENTS)
    np.testing.assert_allclose(row, [0, 0, 0, 1, 0, 0], atol=1e-9)
    mostly_absent = PATIENTS[[1, 1, 0]]
    assert typical(SCHEMA, mostly_absent)[:2].tolist() == [0, 1]
    assert coded(SCHEMA, row[None])[:, 0].tolist() == [0, 1, 0]


def test_a_record_is_singled_out_where_no_other_agrees_as_far() -> None:
    # the record in row 3 differs from the one in row 0 in its level alone
    vague = PATIENTS[3:4].copy()
    vague[0, 2:5] = [0, 0, 1]
    found = scored(PATIENTS[[0, 3]], Guess(np.concatenate([PATIENTS[:1], vague])))
    assert found.guess.singled_out == [True, False]
    assert found.guess.exact == [True, False]
    twice = np.concatenate([PATIENTS, PATIENTS[:1]])
    one = scored(PATIENTS[:1], Guess(PATIENTS[:1]), everybody=twice)
    assert (one.guess.exact, one.guess.singled_out) == ([True], [False])


def test_a_record_that_no_hospital_holds_can_be_singled_out() -> None:
    poisoned = np.array([[3.0, 0, 0, 0, 1, 3.0]], dtype=np.float32)
    assert scored(poisoned, Guess(poisoned)).guess.singled_out == [True]


def test_outcomes_are_means_with_their_null() -> None:
    found = scored(PATIENTS[:2], Guess(PATIENTS[:2]), Guess(PATIENTS[2:4]))
    outcomes = {one.metric: one for one in field_outcomes(found)}
    assert outcomes["exact_match_rate"].value == 1
    assert outcomes["exact_match_rate_shuffled"].value == 0
    assert outcomes["feature_accuracy"].value == 1
    gain = 1 - max(np.mean(found.random.right), np.mean(found.typical.right))
    assert outcomes["feature_gain"].value == pytest.approx(gain)
    assert {one.n for one in outcomes.values()} == {2}


def test_nothing_is_scored_where_nothing_was_guessed_or_among_too_many() -> None:
    for records, guess in (
        (PATIENTS, NOTHING),
        (PATIENTS[:0], Guess(PATIENTS)),
        (np.repeat(PATIENTS, MOST // 4 + 1, axis=0), Guess(PATIENTS)),
    ):
        behind = Behind(["a"] * len(records), records, PATIENTS, guess, NOTHING)
        assert field_scores(SCHEMA, [behind], PATIENTS, stream(0, "fields")) is None
    assert field_outcomes(None) == []
