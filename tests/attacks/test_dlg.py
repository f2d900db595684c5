"""Records are found by matching their update: exactly without noise, and not at all with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import process_time

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from attacks.inversion.dlg import DLG
from sim.datasets import ihc
from sim.design.plan import FederationPlan
from sim.errors import InputError
from sim.evidence import ImageScores
from sim.models.cnn import CNN
from sim.models.unrolled import Unrolled
from sim.observers.beside import beside, scored_images
from sim.observers.reconstruction import observation, shuffled
from sim.seeds import stream
from sim.study.run import run
from sim.training import Training
from sim.types import Guess, ImageSchema, Observation, View
from tests.federation import experiment

SCHEMA = ImageSchema(8, 8, 1, 0.0, 255.0)
NETWORK = CNN([8, 8], [2, 1], 5, "sigmoid", 1, 0.5)(SCHEMA)
ONE_STEP = Training.model_validate(
    {
        "rounds": 1,
        "local_epochs": 1,
        "local_steps": 1,
        "batch_size": 4,
        "lr": 0.1,
        "optimizer": "sgd",
    }
)


@dataclass(frozen=True, eq=False)
class Small:
    """Small gray images, every fourth pixel of a tile of each label in turn, and their update."""

    features: np.ndarray
    labels: np.ndarray
    seen: Observation


def small(
    n: int, *, n_hospitals: int = 1, max_norm: float | None = None, noise: float = 0
) -> Small:
    """``noise``: its length relative to that of the update."""
    tiles = ihc._source()
    at = np.concatenate([np.flatnonzero(tiles.labels == label)[:n] for label in (0, 1)])
    at = at.reshape(2, n).T.ravel()[:n]
    features = tiles.images[at, ::4, ::4, 0].reshape(n, 64) / 255.0
    labels = tiles.labels[at].astype(np.float64)
    rng = stream(0, "small")
    weights = NETWORK.initialize(rng)
    training = Unrolled(NETWORK, weights, ONE_STEP, max_norm)
    (row,) = training(features[None], labels[None], n_hospitals)
    drawn = rng.normal(size=row.size)
    row = row + noise * np.linalg.norm(row) / np.linalg.norm(drawn) * drawn
    members = (tuple("abcd"[:n_hospitals]),)
    view = View(row[None].astype(np.float32), members)
    return Small(
        features, labels, Observation(view, weights, NETWORK.layout, SCHEMA, training, (n,))
    )


def scores(schema: ImageSchema, features: np.ndarray, guess: Guess) -> ImageScores:
    found = [beside(schema, "a", features.astype(np.float32), guess.records)]
    return scored_images(schema, found, found, stream(0, "random"))


def attacked(made: Small, attack: DLG) -> ImageScores:
    (guess,) = attack(made.seen, stream(0, "dlg"))
    assert guess.prevalence == pytest.approx(made.labels.mean())
    return scores(SCHEMA, made.features, guess)


@pytest.mark.parametrize(("n", "labels"), [(1, "inferred"), (2, "inferred"), (1, "searched")])
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


WORDS = (
    "consortium=ihc4",
    "model=lenet",
    "training.optimizer=sgd",
    "training.rounds=1",
    "training.local_steps=1",
    "training.batch_size=1",
)


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
def plan() -> tuple[FederationPlan, np.ndarray, list[tuple[np.ndarray, float]]]:
    """The plan, the first weights, and two tiles of each of three hospitals with their labels."""
    made = experiment(*WORDS)
    sites = [one.train for one in made.consortium.hospitals[:3]]
    tiles = [(site.features[[at]], float(site.labels[at])) for site in sites for at in range(2)]
    return made.plan, made.plan.first_weights(made.aggregator_key), tiles


def tile(
    plan: FederationPlan, weights: np.ndarray, features: np.ndarray, label: float, noise: float = 0
) -> Observation:
    """``noise``: its standard deviation over the length to which the update is clipped, its own."""
    training = Unrolled(plan.network, weights, plan.training)
    (row,) = training(features.astype(np.float64)[None], np.array([[label]]))
    row = row + noise * np.linalg.norm(row) * stream(0, "noise").normal(size=row.size)
    view = View(row[None].astype(np.float32), (("a",),), np.array([1.0]))
    return observation(plan, view, weights)


@pytest.mark.slow
def test_five_of_six_tiles_are_recovered_within_15_seconds_each(plan, capsys) -> None:
    design, weights, tiles = plan
    recovered = 0
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for number, (features, label) in enumerate(tiles):
            before = process_time()
            seen = tile(design, weights, features, label)
            (guess,) = DLG()(seen, stream(0, "dlg", number))
            seconds = process_time() - before
            found = scores(design.columns, features, guess)
            recovered += sum(found.is_recovered)
            with capsys.disabled():
                print(
                    f"\ntile {number}: MSE {found.guess.mse[0]:.1e},"
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
def test_a_tile_is_not_recovered_under_noise(plan, noise: float) -> None:
    design, weights, ((features, label), *_) = plan
    (guess,) = DLG(evaluations=400)(tile(design, weights, features, label, noise), stream(0, "x"))
    found = scores(design.columns, features, guess)
    assert found.gain[0] <= 0
    assert found.guess.ssim[0] < 0.1


@pytest.mark.slow
def test_a_tile_is_not_recovered_from_a_shuffled_update(plan) -> None:
    design, weights, ((features, label), *_) = plan
    null = shuffled(tile(design, weights, features, label), stream(0, "shuffle"))
    (guess,) = DLG()(null, stream(0, "x"))
    assert scores(design.columns, features, guess).guess.ssim[0] < 0.1
