"""Images whose updates attacks are given: small ones, and tiles at full size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.datasets import ihc
from sim.design.plan import FederationPlan
from sim.evidence import ImageScores
from sim.models.cnn import CNN
from sim.models.unrolled import Unrolled
from sim.observers.beside import beside, scored_images
from sim.observers.reconstruction import observation
from sim.seeds import stream
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
WORDS = (
    "consortium=ihc4",
    "model=lenet",
    "training.optimizer=sgd",
    "training.rounds=1",
    "training.local_steps=1",
    "training.batch_size=1",
)


@dataclass(frozen=True, eq=False)
class Small:
    """Small gray images, every fourth pixel of a tile, and their update."""

    features: np.ndarray
    labels: np.ndarray
    seen: Observation


def small(
    n: int,
    *,
    n_hospitals: int = 1,
    max_norm: float | None = None,
    noise: float = 0,
    labels: tuple[int, ...] = (0, 1),
    training: Training = ONE_STEP,
) -> Small:
    """Images of each of ``labels`` in turn.

    ``noise``: its length relative to that of the update.
    """
    tiles = ihc._source()
    at = np.concatenate([np.flatnonzero(tiles.labels == label)[:n] for label in labels])
    at = at.reshape(len(labels), n).T.ravel()[:n]
    features = tiles.images[at, ::4, ::4, 0].reshape(n, 64) / 255.0
    truth = tiles.labels[at].astype(np.float64)
    rng = stream(0, "small")
    weights = NETWORK.initialize(rng)
    unrolled = Unrolled(NETWORK, weights, training, max_norm)
    (row,) = unrolled(features[None], truth[None], n_hospitals)
    drawn = rng.normal(size=row.size)
    row = row + noise * np.linalg.norm(row) / np.linalg.norm(drawn) * drawn
    members = (tuple("abcd"[:n_hospitals]),)
    view = View(row[None].astype(np.float32), members)
    seen = Observation(view, weights, NETWORK.layout, SCHEMA, unrolled, (n,))
    return Small(features, truth, seen)


def scores(schema: ImageSchema, features: np.ndarray, guess: Guess) -> ImageScores:
    found = [beside(schema, "a", features.astype(np.float32), guess.records)]
    return scored_images(schema, found, found, stream(0, "random"))


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles of 32 x 32 pixels in three colors with their labels, and the first weights."""

    plan: FederationPlan
    weights: np.ndarray
    features: np.ndarray
    labels: np.ndarray

    def seen(self, at: int, noise: float = 0) -> Observation:
        """The update of one tile.

        ``noise``: its standard deviation over the length to which the update is clipped, its own.
        """
        unrolled = Unrolled(self.plan.network, self.weights, self.plan.training)
        (row,) = unrolled(self.features[None, [at]].astype(np.float64), self.labels[[[at]]])
        row = row + noise * np.linalg.norm(row) * stream(0, "noise").normal(size=row.size)
        view = View(row[None].astype(np.float32), (("a",),), np.array([1.0]))
        return observation(self.plan, view, self.weights)

    def scores(self, at: int, guess: Guess) -> ImageScores:
        return scores(self.plan.columns, self.features[[at]], guess)


def tiles(n: int, n_hospitals: int) -> Tiles:
    """The first ``n`` tiles of each of the first hospitals."""
    made = experiment(*WORDS)
    sites = [one.train for one in made.consortium.hospitals[:n_hospitals]]
    features = np.concatenate([site.features[:n] for site in sites])
    labels = np.concatenate([site.labels[:n] for site in sites]).astype(np.float64)
    return Tiles(made.plan, made.plan.first_weights(made.aggregator_key), features, labels)
