"""A released model answers as its network does, and its gradients are those of its loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from sim.models.mlp import MLP
from sim.models.released import ReleasedModel
from sim.types import Field, TableSchema

SCHEMA = TableSchema(tuple(Field(f"x{i}", "continuous", (i,)) for i in range(5)), 5)
NETWORK = MLP([8])(SCHEMA)
RNG = np.random.default_rng(0)
HELD = ReleasedModel(NETWORK, NETWORK.initialize(RNG))
FEATURES = RNG.normal(size=(20, 5)).astype(np.float32)
LABELS = (RNG.random(20) < 0.5).astype(np.float64)


def losses(features: np.ndarray) -> np.ndarray:
    logits = HELD.logits(features)
    return np.logaddexp(0, logits) - LABELS * logits


def test_answers_are_those_of_the_network() -> None:
    assert np.array_equal(HELD.logits(FEATURES), NETWORK.scores(HELD.weights, FEATURES))


def test_gradients_are_the_slopes_of_each_records_own_loss() -> None:
    found = HELD.gradients(FEATURES, LABELS)
    step = 2e-3  # float32 holds no less of a difference
    for column in range(5):
        there = FEATURES.astype(np.float64)
        back = there.copy()
        there[:, column] += step
        back[:, column] -= step
        slope = (losses(there) - losses(back)) / (2 * step)
        assert found[:, column] == pytest.approx(slope, abs=2e-2)


def test_a_model_can_be_taught_shares_and_is_another_one() -> None:
    features = RNG.normal(size=(400, 5)).astype(np.float32)
    shares = expit(2 * features[:, 0])
    taught = HELD.taught(features, shares, 60, np.random.default_rng(1))
    assert np.abs(expit(taught.logits(features)) - shares).mean() < 0.05
    assert not np.array_equal(taught.weights, HELD.weights)
    again = HELD.taught(features, shares, 60, np.random.default_rng(1))
    assert np.array_equal(taught.weights, again.weights)
