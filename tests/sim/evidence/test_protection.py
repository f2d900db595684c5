"""A statement of privacy names how records are counted."""

from __future__ import annotations

import pytest

from sim.evidence.protection import RELATIONS, statement
from tests.records import make_privacy


@pytest.mark.parametrize(
    ("nominal", "counted"), [(None, ""), (1200, "; counted as 1,200 records in each hospital")]
)
def test_a_nominal_number_of_records_is_stated_where_there_is_one(
    nominal: int | None, counted: str
) -> None:
    details, _ = make_privacy()
    details = details.model_copy(update={"nominal_records": nominal})
    assert f"neighbors: {RELATIONS['replace']}{counted}; " in statement(details)
