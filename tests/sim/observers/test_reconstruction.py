"""What an aggregator reads is measured as it should be: shares of records with the condition, how
many records are behind a row, and images beside those that need no attack.
"""

from __future__ import annotations

import numpy as np
import pytest

from sim.evidence import RunRecord
from sim.observers.beside import beside, image_outcomes, scored_images
from sim.observers.reconstruction import expected_records, shuffled
from sim.seeds import stream
from sim.study.run import run
from sim.types import ImageSchema, Observation, View
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


SINGLE = ("training.rounds=1", "training.local_steps=1", "training.batch_size=1")


def test_images_are_scored_one_by_one_beside_images_that_need_no_attack() -> None:
    found = read("consortium=digits", *SINGLE)
    assert found.inversion is not None
    images = found.inversion.images
    assert images is not None
    n = len(found.hospitals)
    assert sorted(images.hospital) == sorted(one.hospital for one in found.hospitals)
    assert (found.n_recovered, found.n_attacked, sum(images.is_recovered)) == (n, n, n)
    assert found.value("reconstruction_rate_shuffled") == 0
    assert min(images.guess.psnr) > 60
    assert min(images.guess.ssim) > 0.999
    for other in (images.shuffled, images.mean_color, images.random):
        assert max(other.psnr) < 20
        assert np.abs(other.ssim).max() < 0.7
    assert found.value("image_psnr") == pytest.approx(np.mean(images.guess.psnr))
    assert found.value("image_gain") == pytest.approx(
        np.mean(images.guess.psnr) - np.mean(images.mean_color.psnr)
    )


def test_rows_of_tables_have_no_scores_of_images() -> None:
    found = read("consortium=heart4", *SINGLE)
    assert found.inversion is not None
    assert found.inversion.images is None
    assert not found.has("image_psnr")
    assert (found.value("reconstruction_rate"), found.n_attacked) == (1.0, 4)
    assert found.value("reconstruction_rate_shuffled") == 0


SCHEMA = ImageSchema(8, 8, 1, 0.0, 16.0)


def test_gray_stands_for_a_guess_that_nobody_made() -> None:
    records = stream(0, "images").random((2, 64)).astype(np.float32)
    nothing = beside(SCHEMA, "a", records, np.zeros((0, 64)))
    assert np.isinf(nothing.errors).all()
    scores = scored_images(SCHEMA, [nothing], [nothing], stream(0, "random"))
    expected = np.square(records.astype(np.float64) - 0.5).mean(axis=1)
    assert scores.guess.mse == pytest.approx(expected, abs=1e-9)
    assert scores.is_recovered == [False, False]


def test_an_image_is_recovered_by_the_nearest_guess_though_no_pixel_is_exact() -> None:
    records = stream(0, "images").random((2, 64)).astype(np.float32)
    guesses = np.concatenate([1 - records, records + 0.02])
    found = beside(SCHEMA, "a", records, guesses)
    assert np.isfinite(found.errors).all()
    assert found.guesses == pytest.approx(np.clip(guesses[2:], 0, 1))
    # its own mean color does as well as that
    flat = np.full((1, 64), 0.5, dtype=np.float32)
    flat[0, 0] = 0.51
    assert np.isinf(beside(SCHEMA, "a", flat, np.full((1, 64), 0.5)).errors).all()


def test_a_shuffled_observation_has_the_values_of_each_row_in_other_places() -> None:
    rows = np.arange(12.0).reshape(2, 6)
    seen = Observation(View(rows, (("a",), ("b",))), np.zeros(6), (), SCHEMA)
    found = shuffled(seen, stream(0, "shuffled")).view.rows
    assert (found != rows).any(axis=1).all()
    np.testing.assert_array_equal(np.sort(found, axis=1), rows)
    np.testing.assert_array_equal(seen.view.rows, np.arange(12.0).reshape(2, 6))


def test_no_image_is_scored_where_none_was_drawn() -> None:
    none = np.zeros((0, 64), dtype=np.float32)
    nothing = beside(SCHEMA, "a", none, np.zeros((3, 64)))
    for found in ([nothing], []):
        scores = scored_images(SCHEMA, found, found, stream(0, "random"))
        assert scores.guess.mse == scores.random.ssim == []
        assert {one.value for one in image_outcomes(scores)} == {None}
