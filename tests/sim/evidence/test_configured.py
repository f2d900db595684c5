"""Values of configurations as columns: each has one type, and none is lost."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from sim.evidence import configured
from tests.records import make_record


def columns(*configs: dict[str, Any], every: bool = False) -> dict[str, pl.Series]:
    records = [make_record(run=str(i), config=config) for i, config in enumerate(configs)]
    return {one.name: one for one in configured.columns(records, every=every)}


@pytest.mark.parametrize(
    ("values", "dtype", "shown"),
    [
        ([1, 2], pl.Int64, [1, 2]),
        ([1, 0.5], pl.Float64, [1.0, 0.5]),
        ([1, 2**70], pl.Float64, [1.0, 2.0**70]),
        ([True, False], pl.Boolean, [True, False]),
        (["a", None], pl.String, ["a", None]),
        ([[1], [2, 3]], pl.List(pl.Int64), [[1], [2, 3]]),
        ([[], ["a"]], pl.List(pl.String), [[], ["a"]]),
        ([True, 1], pl.String, ["true", "1"]),
        (["a", 1], pl.String, ['"a"', "1"]),
        ([[1], 1], pl.String, ["[1]", "1"]),
        ([[[1]], [["a", 2]]], pl.String, ["[[1]]", '[["a", 2]]']),
    ],
)
def test_a_column_has_one_type(values: list[Any], dtype: pl.DataType, shown: list[Any]) -> None:
    (found,) = columns(*({"training": {"value": value}} for value in values)).values()
    assert found.name == "training.value"
    assert found.dtype == dtype
    assert found.to_list() == shown


def test_only_what_differs_has_a_column_unless_all_are_asked_for() -> None:
    configs = [{"seed": s, "training": {"lr": 0.1, "rounds": 1 + s}} for s in (0, 1)]
    assert list(columns(*configs)) == ["training.rounds"]
    assert list(columns(*configs, every=True)) == ["training.lr", "training.rounds"]


def test_a_value_that_a_run_does_not_have_is_null() -> None:
    krum = {"aggregator": {"_target_": "aggregators.rules.krum.Krum", "n_hostile": 1}}
    mean = {"aggregator": {"_target_": "aggregators.rules.mean.Mean"}, "dp": None}
    found = columns(krum, mean)
    assert found["aggregator"].to_list() == ["Krum", "Mean"]
    assert found["aggregator.n_hostile"].to_list() == [1, None]
    assert "dp" not in found
    assert columns(krum, mean, every=True)["dp"].dtype == pl.Null


def test_two_attacks_have_columns_of_their_own() -> None:
    configs = [
        {
            "attack": [
                ["alie", {"_target_": "attacks.byzantine.alie.ALIE", "z": z}],
                ["sign_flip", {}],
            ]
        }
        for z in (1.0, 2.0)
    ]
    assert columns(*configs)["attack.alie.z"].to_list() == [1.0, 2.0]
    assert set(columns(*configs, every=True)) == {
        "attack.alie", "attack.alie.z", "attack.sign_flip",
    }  # fmt: skip
