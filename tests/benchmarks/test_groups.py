"""Membership inference by group size: it finds something without secure aggregation, less in one
sum, and is left out where an attack is not defined.
"""

import pytest

from benchmarks import groups


def test_single_updates_tell_who_was_trained_on_beyond_the_null_and_one_sum_tells_less() -> None:
    single = groups.inferred(1, "gradient_cosine", n_seeds=3, rounds=5)
    whole = groups.inferred(12, "gradient_cosine", n_seeds=3, rounds=5)
    assert single is not None
    assert whole is not None
    assert (single["rows"], whole["rows"]) == (12, 1)
    assert single["membership AUC from"] > single["null AUC"] + 0.03
    assert single["membership AUC"] > whole["membership AUC"] + 0.03
    for row in (single, whole):
        for name in ("membership AUC", "null AUC"):
            assert row[f"{name} from"] <= row[name] <= row[f"{name} to"]


@pytest.mark.parametrize(("size", "rows"), [(4, 3), (6, None), (12, None)])
def test_an_attack_that_needs_three_rows_is_left_out_where_there_are_fewer(
    size: int, rows: int | None
) -> None:
    found = groups.inferred(size, "fedmia", n_seeds=2, rounds=1)
    assert (None if found is None else found["rows"]) == rows
