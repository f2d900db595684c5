"""What epsilon means for a patient, as the page states it in numbers of a hundred."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from reports import sections
from reports.text import words


def row(
    hospital: str, epsilon: float, *bounds: float, defense: str = "dp_record"
) -> dict[str, Any]:
    names = ("advantage", "tpr_at_1fpr", "tpr_at_01fpr")
    return {
        "defense": defense,
        "hospital": hospital,
        "run": f"of {hospital}",
        "epsilon": epsilon,
        **dict(zip(names, bounds, strict=True)),
    }


def test_the_least_and_the_best_protected_hospital_are_stated() -> None:
    spent = [
        row("a", 3.0, 0.5, 0.2, 0.05),
        row("b", 9.0, 0.9, 0.61, 0.305),
        row("c", 5.0, 0.7, 0.3, 0.1),
    ]
    found = sections.meaning(pl.DataFrame(spent))
    assert [(one["hospital"], one["epsilon"]) for one in found] == [("b", 9.0), ("a", 3.0)]
    assert [(one["right"], one["at_1"], one["at_01"]) for one in found] == [
        (95, 61, 31),
        (75, 20, 5),
    ]


def test_hospitals_that_are_alike_share_a_row() -> None:
    spent = [row("a", 7.999, 0.5941, 0.2531, 0.0761), row("b", 7.998, 0.5939, 0.2529, 0.0765)]
    (found,) = sections.meaning(pl.DataFrame(spent))
    assert (found["hospital"], found["epsilon"]) == ("every hospital", 7.999)
    assert (found["right"], found["at_1"], found["at_01"], found["run"]) == (80, 26, 8, "of a")


def test_each_defense_has_rows_of_its_own() -> None:
    spent = [row("a", 1.0, 0.1, 0.02, 0.01), row("a", 2.0, 0.2, 0.03, 0.02, defense="other")]
    found = sections.meaning(pl.DataFrame(spent))
    assert [(one["defense"], one["hospital"]) for one in found] == [
        ("dp_record", "a"),
        ("other", "a"),
    ]


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 0), (0.0001, 1), (0.07, 7), (0.0701, 8), (0.9999, 100), (1.0, 100)],
)
def test_a_share_of_a_hundred_is_rounded_up(share: float, expected: int) -> None:
    assert words.of_100(share) == expected
