"""Records are found by the direction of their update, also where several steps made it."""

from __future__ import annotations

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from attacks._shared.matching import Mismatch, Search, cosine
from attacks.inversion.inverting_gradients import InvertingGradients, rising
from sim.errors import InputError
from sim.evidence import ImageScores
from sim.observers.reconstruction import shuffled
from sim.seeds import stream
from sim.study.run import run
from sim.training import Training
from sim.types import ImageSchema, Observation
from tests.attacks.images import ONE_STEP, SCHEMA, WORDS, Small, Tiles, scores, small, tiles
from tests.federation import experiment

SHORT = InvertingGradients(iterations=100, restarts=1, variation=1e-4)


def attacked(made: Small, attack: InvertingGradients = SHORT) -> ImageScores:
    (guess,) = attack(made.seen, stream(0, "inverting"))
    assert guess.prevalence == made.labels.mean()
    assert guess.records.min() >= 0
    assert guess.records.max() <= 1
    return scores(SCHEMA, made.features, guess)


def steps(n: int, **values: object) -> Training:
    return Training.model_validate({**ONE_STEP.model_dump(), "local_steps": n, **values})


def test_an_image_is_found_from_the_direction_of_its_update() -> None:
    found = attacked(small(1))
    assert found.is_recovered == [True]
    assert found.guess.psnr[0] > 35


@pytest.mark.slow
def test_two_images_of_a_batch_are_found_from_one_update() -> None:
    found = attacked(small(2, labels=(0,)), replace(SHORT, iterations=200, restarts=2))
    assert min(found.gain) > 3
    assert min(found.guess.ssim) > 0.8


def test_clipping_and_the_length_of_an_update_hide_nothing() -> None:
    made = small(1, max_norm=1e-2)
    assert attacked(made).is_recovered == [True]
    scaled = replace(made.seen.view, rows=1e-3 * made.seen.view.rows)
    assert attacked(replace(made, seen=replace(made.seen, view=scaled))).is_recovered == [True]


@pytest.mark.slow
def test_local_steps_are_repeated_one_after_the_other() -> None:
    made = small(2, labels=(0,), training=steps(2, batch_size=1, lr=1.0))
    found = attacked(made)
    assert found.is_recovered == [True, False]  # the second step hardly moves the model any more
    of_one_step = small(2, labels=(0,)).seen.training
    blind = attacked(replace(made, seen=replace(made.seen, training=of_one_step)))
    assert found.guess.psnr[0] > 10 + blind.guess.psnr[0]


def test_rows_are_searched_together_as_each_is_alone() -> None:
    made = small(1)
    two = replace(
        made.seen,
        view=replace(
            made.seen.view, rows=np.tile(made.seen.view.rows, (2, 1)), members=(("a",), ("b",))
        ),
        n_records=(1, 1),
    )
    guesses = SHORT(two, stream(0, "two"))
    for guess in guesses:
        assert scores(SCHEMA, made.features, guess).is_recovered == [True]
    assert len({guess.records.tobytes() for guess in guesses}) == 2  # of other first records


def test_what_the_update_does_not_tell_stays_as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: Search, features: np.ndarray, labels: np.ndarray, __: Mismatch) -> tuple:
        return np.zeros(len(features)), np.zeros_like(features), np.zeros_like(labels)

    monkeypatch.setattr(Search, "mismatch", nothing)
    seen = small(1).seen
    (one,), (many,) = (
        replace(SHORT, iterations=n, variation=0.0)(seen, stream(0, "inverting")) for n in (1, 50)
    )
    np.testing.assert_array_equal(one.records, many.records)


def test_noise_as_long_as_the_update_stops_it() -> None:
    assert attacked(small(1, noise=0.1)).is_recovered == [True]
    found = attacked(small(1, noise=1.0))
    assert found.is_recovered == [False]
    assert found.gain[0] < 0


def test_nothing_is_found_in_a_shuffled_update() -> None:
    made = small(1)
    null = replace(made, seen=shuffled(made.seen, stream(0, "shuffle")))
    (guess,) = SHORT(null.seen, stream(0, "inverting"))
    found = scores(SCHEMA, made.features, guess)
    assert found.is_recovered == [False]
    assert found.gain[0] < 0


def test_the_best_restart_is_chosen_by_what_the_attacker_sees() -> None:
    made = small(1)
    few = replace(SHORT, iterations=20)
    alone = distances(made.seen, few)
    together = distances(made.seen, replace(few, restarts=8))
    assert together < alone


def distances(seen: Observation, attack: InvertingGradients) -> float:
    (guess,) = attack(seen, stream(0, "inverting"))
    assert seen.training is not None
    made = seen.training(guess.records[None], np.array([[0.0]]))
    return float(cosine(seen.view.rows.astype(np.float64))(made)[0][0])


def test_nothing_is_guessed_where_training_cannot_be_repeated() -> None:
    seen = small(2).seen
    for changes in ({"training": None}, {"n_records": (None,)}, {"n_records": (65,)}):
        (guess,) = SHORT(replace(seen, **changes), stream(0, "x"))
        assert guess.records.shape == (0, 64)


def test_the_derivative_of_the_total_variation_is_that_of_its_definition() -> None:
    schema = ImageSchema(3, 4, 2, 0.0, 1.0)
    image = stream(0, "image").random(schema.n_features)

    def variation(at: np.ndarray) -> float:
        pixels = at.reshape(2, 3, 4)
        return sum(float(np.abs(np.diff(pixels, axis=axis)).mean()) for axis in (1, 2))

    nudges = 1e-6 * np.eye(schema.n_features)
    slope = [(variation(image + one) - variation(image - one)) / 2e-6 for one in nudges]
    np.testing.assert_allclose(rising(image[None], schema)[0], slope, atol=1e-8)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"restarts": 0}, "restarts=0: expected a whole number of at least 1"),
        ({"iterations": 10**6}, "iterations=1000000: expected a whole number"),
        ({"variation": -1.0}, "variation=-1.0: expected a number of at least 0"),
        ({"lr": 0.0}, "lr=0.0: expected a number above 0"),
    ],
)
def test_values_that_make_no_search_are_refused(value: dict[str, float], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        InvertingGradients(**value)


def test_a_run_scores_what_it_finds_beside_what_it_finds_in_shuffled_updates() -> None:
    words = (*WORDS, "attack=[inverting_gradients]", "attack.inverting_gradients.iterations=60")
    record = run(experiment(*words, "attack.inverting_gradients.restarts=1"))
    assert record.inversion is not None
    images = record.inversion.images
    assert images is not None
    assert len(images.guess.mse) == record.n_attacked == 4
    assert np.mean(images.guess.psnr) > np.mean(images.shuffled.psnr)
    assert record.value("reconstruction_rate_shuffled") == 0


# --- at full size: ten tiles of 32 x 32 pixels in three colors


@pytest.fixture(scope="module")
def ten() -> Tiles:
    """Five tiles of each of two hospitals."""
    return tiles(5, 2)


@pytest.mark.slow
def test_ten_tiles_are_found_with_18_decibels_in_the_mean(ten: Tiles, capsys) -> None:
    attack = InvertingGradients(iterations=4800, restarts=1)
    each = [ten.seen(at) for at in range(10)]
    rows = np.concatenate([seen.view.rows for seen in each])
    view = replace(each[0].view, rows=rows, members=tuple((name,) for name in "abcdefghij"))
    seen = replace(each[0], view=view, n_records=(1,) * 10)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        before = process_time()
        guesses = attack(seen, stream(0, "inverting"))
        seconds = (process_time() - before) / 10
    found = [ten.scores(at, guess) for at, guess in enumerate(guesses)]
    assert seen.training is not None
    made = seen.training(np.array([guess.records for guess in guesses]), ten.labels[:, None])
    distance = cosine(rows.astype(np.float64))(made)[0]
    psnr = [one.guess.psnr[0] for one in found]
    gain = [one.gain[0] for one in found]
    with capsys.disabled():
        for at, one in enumerate(found):
            print(
                f"\ntile {at}: PSNR {psnr[at]:.1f} dB, {gain[at]:+.1f} dB over its mean color,"
                f" SSIM {one.guess.ssim[0]:.2f}, 1 - cosine {distance[at]:.1e}",
                end="",
            )
        print(f"\nmean PSNR {np.mean(psnr):.1f} dB, {seconds:.1f} s a tile", end="")
    assert np.mean(psnr) >= 18
    assert sum(one > 0 for one in gain) >= 5
    assert distance.max() < 5e-3
    assert [guess.prevalence for guess in guesses] == ten.labels.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_a_tile_is_not_found_under_noise(ten: Tiles, noise: float) -> None:
    (guess,) = InvertingGradients(iterations=1200)(ten.seen(0, noise), stream(0, "x"))
    assert ten.scores(0, guess).gain[0] <= 0


@pytest.mark.slow
def test_a_tile_is_not_found_from_a_shuffled_update(ten: Tiles) -> None:
    null = shuffled(ten.seen(0), stream(0, "shuffle"))
    (guess,) = InvertingGradients(iterations=1200)(null, stream(0, "x"))
    found = ten.scores(0, guess)
    assert found.gain[0] <= 0
    assert found.guess.ssim[0] < 0.1
