"""Structural risk, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.release.structural import StructuralRisk, group_sizes
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.study.run import run
from sim.types import Field, Records, TableSchema
from tests.federation import experiment

# a dose that may be absent (column 1 flags it), and a level of two
SCHEMA = TableSchema(
    (
        Field("dose", "continuous", (0,), missing=1),
        Field("pain", "categorical", (2, 3), ("a", "b")),
    ),
    4,
)


def records(rows: list[tuple[float, float, float, float]], labels: list[int]) -> Records:
    return Records(np.array(rows, np.float32), np.array(labels, np.float32))


A = records([(1, 0, 1, 0), (0, 1, 1, 0), (2, 0, 0, 1)], [1, 0, 1])
B = records([(1, 0, 1, 0), (2, 0, 1, 0)], [0, 0])
SCORES = [np.array([0.991, 0.41, 0.992]), np.array([0.414, 0.003])]
UNSEEN = (records([(1, 0, 1, 0), (1, 0, 0, 1)], [1, 1]), np.array([0.2, 0.999]))


def found(**values: float | None):
    check = StructuralRisk(**{"least": 2, "digits": 2, "certainty": 0.99, **values})
    return check([(A, SCORES[0]), (B, SCORES[1])], UNSEEN, SCHEMA, 4, [3, 2])


def test_the_groups_of_a_hospital_are_counted_with_all_their_kinds() -> None:
    # all 3; with the condition 2, without 1; dose absent 1; level a 2, level b 1
    assert list(group_sizes(A, SCHEMA)) == [3, 2, 1, 1, 2, 1]
    # all 2; nobody with the condition; without it 2; no dose absent; level a 2; nobody with b
    assert list(group_sizes(B, SCHEMA)) == [2, 2, 2]


def test_every_figure_of_a_small_consortium_is_that_counted_by_hand() -> None:
    structure = found()
    assert structure.freedom == (3 - 4, 2 - 4)
    assert structure.freedom_of_all == 5 - 4
    # released: .99, .41, .99 and .41, .00
    assert structure.least_sharing == 1
    assert structure.singled_out == 1 / 5
    # .991 and .992 of patients with the condition, .003 of one without it
    assert structure.disclosed == 3 / 5
    assert structure.disclosed_unseen == 1 / 2
    assert structure.groups == (6, 3)
    assert structure.small_groups == (3, 0)
    assert (structure.n_records, structure.n_unseen) == (5, 2)


def test_predictions_with_all_their_digits_single_everybody_out() -> None:
    structure = found(digits=None)
    assert (structure.least_sharing, structure.singled_out) == (1, 1.0)
    assert found(digits=0).least_sharing == 2


def test_a_larger_threshold_finds_more() -> None:
    structure = found(least=3)
    assert structure.small_groups == (5, 3)
    assert structure.singled_out == 1.0


@pytest.mark.parametrize(
    "values", [{"least": 0}, {"digits": 16}, {"certainty": 0.4}, {"certainty": 1.5}]
)
def test_a_wrong_value_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(values))}="):
        StructuralRisk(**values)


def checked(*words: str) -> RunRecord:
    return run(experiment("consortium=heart4", "attack=structural_risk", *words))


def test_a_run_states_it_of_each_hospital_and_of_all() -> None:
    record = checked("training.rounds=3", "model=logistic")
    sizes = {one.hospital: one.n_train for one in record.hospitals}
    for name, n in sizes.items():
        assert record.value("residual_freedom", name) == n - 36
    assert record.value("residual_freedom") == sum(sizes.values()) - 36
    each = [record.value("small_groups", name) for name in sizes]
    assert record.value("small_groups") == sum(each)
    assert record.engagement.attack_engaged


def test_stated_numbers_of_records_are_those_that_privacy_allows() -> None:
    words = ("dp=record", "dp.relation=add_remove", "dp.nominal_records=50", "dp.target_epsilon=8")
    record = checked("training.rounds=1", "model=logistic", *words)
    assert record.value("residual_freedom", "va") == 50 - 36
