"""A mean is held to the mean of the same attack where there was nothing to find."""

from __future__ import annotations

import pytest

from sim.evidence import RunRecord, outcome
from tests.records import make_record
from threats.catalog import Measured
from threats.cells import Cell
from threats.findings import doubts


def guessed(seed: int, error: float, null: float | None) -> RunRecord:
    run = make_record(attack="x", seed=seed)
    outcomes = [outcome("prevalence_error", error, 4)]
    if null is not None:
        outcomes.append(outcome("prevalence_error_shuffled", null, 4))
    engagement = run.engagement.model_copy(update={"attack_engaged": True})
    changes = {"outcomes": (*run.outcomes, *outcomes), "engagement": engagement}
    return run.model_copy(update=changes)


@pytest.mark.parametrize(
    ("error", "null", "reasons"),
    [
        (0.01, 0.2, []),
        (
            0.2,
            0.2,
            [
                "its figure is no smaller than the error of the share of records with the"
                " condition guessed from shuffled updates"
            ],
        ),
        (
            0.01,
            None,
            ["no error of the share of records with the condition guessed from shuffled updates"],
        ),
    ],
)
def test_an_error_as_large_as_that_from_shuffled_updates_is_no_measurement(
    error: float, null: float | None, reasons: list[str]
) -> None:
    runs = {seed: guessed(seed, error, null) for seed in range(3)}
    free = {seed: make_record(seed=seed) for seed in range(3)}
    cell = Cell("x", "none", runs, free, runs)
    measured = Measured(metric="prevalence_error", harm="lower", control="undefended")
    assert doubts(cell, measured) == reasons
