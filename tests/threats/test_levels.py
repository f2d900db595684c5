"""Levels are those that NIST SP 800-30 prints, cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from threats import levels
from threats.levels import G5, I2, LEVELS, WORDS
from threats.system import Grade, ImpactScale, Scale

PRINTED: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "sp800_30.yaml").read_text(encoding="utf-8")
)
BY_NAME: dict[str, Grade] = {words.title(): level for level, words in WORDS.items()}
SCALE = Scale(metric="worst_hospital_auroc", very_low=0.005, low=0.02, moderate=0.05, high=0.1)
any_level = st.sampled_from(LEVELS)


@pytest.mark.parametrize(("table", "ours"), [("G-5", levels.overall), ("I-2", levels.risk)])
def test_every_cell_of_a_table_is_the_printed_one(table: str, ours: Any) -> None:
    printed = {
        (BY_NAME[row], column): BY_NAME[cell]
        for row, cells in PRINTED[table].items()
        for column, cell in zip(LEVELS, cells, strict=True)
    }
    assert len(printed) == 25
    assert {pair: ours(*pair) for pair in printed} == printed


def test_tables_have_the_printed_rows_and_nothing_else() -> None:
    for table in (G5, I2):
        assert set(table) == set(LEVELS)
        assert all(len(row) == 5 for row in table.values())


@pytest.mark.parametrize("name", PRINTED["bins"])
def test_every_whole_percent_is_in_its_printed_bin(name: str) -> None:
    first, last = map(int, PRINTED["bins"][name].split("-"))
    found = {levels.of_share(percent / 100) for percent in range(first, last + 1)}
    assert found == {BY_NAME[name]}


def test_what_lies_between_two_bins_belongs_to_the_lower_one() -> None:
    shares = [0.0, 0.0499, 0.2099, 0.7999, 0.9599, 1.0]
    expected = ["very_low", "very_low", "low", "moderate", "high", "very_high"]
    assert [levels.of_share(share) for share in shares] == expected


def test_a_risk_is_no_product() -> None:
    assert levels.risk("very_high", "very_low") == "very_low"
    assert levels.overall("very_high", "very_low") == "low"


@given(any_level, any_level, any_level, any_level)
def test_tables_never_fall(one: Grade, other: Grade, first: Grade, second: Grade) -> None:
    rows, columns = (
        sorted((one, other), key=LEVELS.index),
        sorted((first, second), key=LEVELS.index),
    )
    for table in (levels.overall, levels.risk):
        low, high = (table(row, column) for row, column in zip(rows, columns, strict=True))
        assert LEVELS.index(low) <= LEVELS.index(high)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_or_magnitude_is_of_no_lower_level(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for level in (levels.of_share, lambda value: levels.of_magnitude(value, SCALE)):
        assert LEVELS.index(level(low)) <= LEVELS.index(level(high))


def test_a_magnitude_at_the_end_of_a_word_has_that_word() -> None:
    found = [levels.of_magnitude(value, SCALE) for value in (-1, 0.005, 0.02, 0.05, 0.1, 0.11)]
    assert found == ["very_low", *LEVELS]
    privacy = ImpactScale().privacy
    assert [levels.of_magnitude(n, privacy) for n in (0, 1, 50, 500, 501)] == list(LEVELS)


def test_the_worst_of_levels_is_the_highest() -> None:
    assert levels.worst(["low", "high", "very_low"]) == "high"
    with pytest.raises(ValueError, match="empty"):
        levels.worst([])
