"""What an aggregator reads is measured as it should be: shares of records with the condition, and
how many records are behind a row.
"""

from __future__ import annotations

import numpy as np
import pytest

from sim.evidence import RunRecord
from sim.observers.reconstruction import expected_records
from sim.study.run import run
from sim.types import View
from tests.federation import experiment

ONE_STEP = ("training.local_steps=1", "training.batch_size=32")


def read(*words: str) -> RunRecord:
    return run(experiment("attack=[analytic_inversion]", *words))


@pytest.mark.parametrize("consortium", ["heart4", "breast8"])
def test_an_untrained_model_gives_the_prevalence_of_each_hospital_away(consortium: str) -> None:
    found = read(f"consortium={consortium}", "training.rounds=1", *ONE_STEP)
    of_all = found.outcome("prevalence_error")
    assert of_all is not None
    assert of_all.n == len(found.hospitals)
    errors = [found.value("prevalence_error", one.hospital) for one in found.hospitals]
    assert max(errors) < 0.02
    assert of_all.value == pytest.approx(np.mean(errors))


def test_a_secure_sum_gives_the_prevalence_of_the_consortium_away_alone() -> None:
    found = read("consortium=heart4", "training.rounds=1", "secagg=sum", *ONE_STEP)
    (one,) = [one for one in found.outcomes if one.metric == "prevalence_error"]
    assert (one.subject, one.n) == (None, 1)
    assert one.value < 0.02


def test_a_trained_model_gives_less_of_the_prevalence_away() -> None:
    words = ("consortium=breast8", "training.optimizer=sgd", "training.lr=0.3")
    late = ("training.rounds=15", "attack.analytic_inversion.round=15")
    first = read(*words, "training.rounds=1").value("prevalence_error")
    assert read(*words, *late).value("prevalence_error") > 2 * first


@pytest.mark.parametrize("words", ["training.optimizer=adam", "model=logistic"])
def test_no_prevalence_is_stated_where_none_was_guessed(words: str) -> None:
    found = read("consortium=heart4", "training.rounds=1", *ONE_STEP, words)
    assert found.has("prevalence_error") == (words == "model=logistic")
    assert found.has("reconstruction_rate")


@pytest.mark.parametrize(
    ("words", "counts", "expected"),
    [
        ((), [7.0, 40.0], (7, 40)),
        (ONE_STEP, [7.0, 40.0], (7, 32)),
        ((), None, (None, None)),
        (ONE_STEP, None, (32, 32)),
    ],
)
def test_the_records_behind_a_row_follow_from_the_terms_and_the_reported_counts(
    words: tuple[str, ...], counts: list[float] | None, expected: tuple[int | None, ...]
) -> None:
    plan = experiment("consortium=heart4", *words).plan
    weights = None if counts is None else np.array(counts)
    view = View(np.zeros((2, 3)), (("a",), ("b",)), weights)
    assert expected_records(plan, view) == expected
