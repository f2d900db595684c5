"""Records are found by matching their update: exactly without noise, and not at all with it."""

from __future__ import annotations

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from attacks.inversion.dlg import DLG
from sim.errors import InputError
from sim.evidence import ImageScores
from sim.observers.reconstruction import shuffled
from sim.seeds import stream
from sim.study.run import run
from tests.attacks.images import SCHEMA, WORDS, Small, Tiles, scores, small, tiles
from tests.federation import experiment


def attacked(made: Small, attack: DLG) -> ImageScores:
    (guess,) = attack(made.seen, stream(0, "dlg"))
    assert guess.prevalence == pytest.approx(made.labels.mean())
    return scores(SCHEMA, made.features, guess)


@pytest.mark.parametrize(
    ("n", "labels"),
    [(1, "inferred"), pytest.param(2, "inferred", marks=pytest.mark.slow), (1, "searched")],
)
def test_images_are_found_from_their_update(n: int, labels: str) -> None:
    found = attacked(small(n), DLG(evaluations=300 * n, labels=labels))
    assert found.is_recovered == [True] * n
    assert min(found.guess.psnr) > 30


def test_images_are_found_behind_the_sum_of_two_hospitals() -> None:
    found = attacked(small(2, n_hospitals=2), DLG(evaluations=300))
    assert found.is_recovered == [True, True]


def test_clipping_alone_protects_no_image() -> None:
    made = small(1, max_norm=1e-2)
    assert np.linalg.norm(made.seen.view.rows) < 0.1 * 1.001e-2
    assert attacked(made, DLG(evaluations=300)).is_recovered == [True]


def test_noise_as_long_as_the_update_stops_it() -> None:
    for noise, found in ((1e-2, True), (1.0, False)):
        (guess,) = DLG(evaluations=300)(small(1, noise=noise).seen, stream(0, "dlg"))
        seen = scores(SCHEMA, small(1).features, guess)
        assert seen.is_recovered == [found]
    assert max(seen.gain) < 0


def test_nothing_is_found_in_a_shuffled_update() -> None:
    made = small(1)
    (guess,) = DLG(evaluations=100)(shuffled(made.seen, stream(0, "shuffle")), stream(0, "dlg"))
    found = scores(SCHEMA, made.features, guess)
    assert found.is_recovered == [False]
    assert max(found.gain) < 0


def test_nothing_is_guessed_where_training_cannot_be_repeated_or_records_are_not_counted() -> None:
    seen = small(2).seen
    for changes in ({"training": None}, {"n_records": (None,)}, {"n_records": (65,)}):
        (guess,) = DLG()(replace(seen, **changes), stream(0, "dlg"))
        assert guess.records.shape == (0, 64)
    two = replace(seen.view, members=(("a", "b"),))
    (guess,) = DLG()(replace(seen, view=two, n_records=(3,)), stream(0, "dlg"))
    assert guess.records.shape == (0, 64)


def test_labels_are_inferred_or_searched() -> None:
    with pytest.raises(InputError, match=r"^labels=guessed: expected one of inferred, searched"):
        DLG(labels="guessed")


def test_a_run_scores_what_it_finds_beside_what_it_finds_in_shuffled_updates() -> None:
    record = run(experiment(*WORDS, "attack=[idlg]", "attack.idlg.evaluations=30"))
    assert record.inversion is not None
    images = record.inversion.images
    assert images is not None
    assert len(images.guess.mse) == record.n_attacked == 4
    assert np.mean(images.guess.psnr) > np.mean(images.shuffled.psnr)
    assert record.value("reconstruction_rate_shuffled") == 0
    assert record.value("prevalence_error") == 0


# --- at full size: six tiles of 32 x 32 pixels in three colors


@pytest.fixture(scope="module")
def six() -> Tiles:
    """Two tiles of each of three hospitals."""
    return tiles(2, 3)


@pytest.mark.slow
def test_five_of_six_tiles_are_recovered_within_15_seconds_each(six: Tiles, capsys) -> None:
    recovered = 0
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for at, label in enumerate(six.labels):
            before = process_time()
            (guess,) = DLG()(six.seen(at), stream(0, "dlg", at))
            seconds = process_time() - before
            found = six.scores(at, guess)
            recovered += sum(found.is_recovered)
            with capsys.disabled():
                print(
                    f"\ntile {at}: MSE {found.guess.mse[0]:.1e},"
                    f" PSNR {found.guess.psnr[0]:.1f} dB,"
                    f" {found.gain[0]:+.1f} dB over its mean color,"
                    f" SSIM {found.guess.ssim[0]:.3f}, {seconds:.1f} s",
                    end="",
                )
            assert seconds <= 15
            assert guess.prevalence == label
    assert recovered >= 5


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_a_tile_is_not_recovered_under_noise(six: Tiles, noise: float) -> None:
    (guess,) = DLG(evaluations=400)(six.seen(0, noise), stream(0, "x"))
    found = six.scores(0, guess)
    assert found.gain[0] <= 0
    assert found.guess.ssim[0] < 0.1


@pytest.mark.slow
def test_a_tile_is_not_recovered_from_a_shuffled_update(six: Tiles) -> None:
    (guess,) = DLG()(shuffled(six.seen(0), stream(0, "shuffle")), stream(0, "x"))
    assert six.scores(0, guess).guess.ssim[0] < 0.1
