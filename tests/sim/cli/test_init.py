"""The patients of the starter are made up, the same everywhere, and as untidy as real ones."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from threats import starter


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(starter.patients().decode())))


def test_the_patients_are_the_same_on_every_call() -> None:
    assert starter.patients() == starter.patients()
    digest = hashlib.sha256(starter.patients()).hexdigest()[:16]
    assert digest == "3a1e6d251e510ba0"


def test_three_hospitals_of_different_sizes_have_both_classes(rows: list[dict[str, str]]) -> None:
    assert Counter(row["hospital"] for row in rows) == {"harbor": 110, "north": 280, "river": 210}
    for hospital in starter.HOSPITALS:
        shares = [row["readmitted"] == "yes" for row in rows if row["hospital"] == hospital]
        assert 0.2 < np.mean(shares) < 0.8


def test_some_values_are_missing_in_two_ways_and_one_column_is_a_date(
    rows: list[dict[str, str]],
) -> None:
    for key, (sign, share) in starter.MISSING.items():
        assert 0.5 * share < np.mean([row[key] == sign for row in rows]) < 2 * share
    assert all(np.datetime64(row["admitted"]) >= np.datetime64("2024-01-01") for row in rows)
    assert len({row["patient"] for row in rows}) == len(rows)


def test_a_model_learns_something_from_them(rows: list[dict[str, str]]) -> None:
    whole = [
        row
        for row in rows
        if not any(row[key] == starter.MISSING[key][0] for key in starter.MISSING)
    ]
    features = np.array(
        [[float(row[key]) for key in ("age", "systolic_bp", "creatinine")] for row in whole]
    )
    features = (features - features.mean(0)) / features.std(0)
    labels = np.array([row["readmitted"] == "yes" for row in whole])
    model = LogisticRegression().fit(features[::2], labels[::2])
    assert roc_auc_score(labels[1::2], model.predict_proba(features[1::2])[:, 1]) > 0.7
