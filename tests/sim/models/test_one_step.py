"""The closed form of a step is what automatic differentiation finds."""

from __future__ import annotations

import numpy as np
import pytest

from sim.models.mlp import FullyConnected
from sim.models.one_step import OneStep
from sim.models.unrolled import Unrolled
from sim.seeds import stream
from sim.training import Training

TRAINING = Training(
    rounds=1, local_epochs=1, local_steps=None, batch_size=6, lr=0.3, optimizer="sgd"
)


def unrolled(widths: tuple[int, ...], clip: float | None, **changes: object) -> Unrolled:
    network = FullyConnected(widths)
    weights = network.initialize(stream(0, "weights"))
    return Unrolled(network, weights, TRAINING.model_copy(update=changes), clip)


@pytest.mark.parametrize("widths", [(5, 1), (5, 4, 1), (5, 7, 6, 1)])
@pytest.mark.parametrize("clip", [None, 0.3, 100.0])
@pytest.mark.parametrize("n_hospitals", [1, 2])
def test_updates_and_derivatives_are_those_of_automatic_differentiation(
    widths: tuple[int, ...], clip: float | None, n_hospitals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = unrolled(widths, clip)
    rng = stream(0, "records")
    features = rng.normal(size=(3, 6, 5))
    labels = rng.random((3, 6))
    updates, pull_back = made.traced(features, labels, n_hospitals)
    slope = rng.normal(size=updates.shape)
    with monkeypatch.context() as only_automatic:
        only_automatic.setattr(Unrolled, "_one_step", lambda *_: None)
        expected, expected_pull_back = made.traced(features, labels, n_hospitals)
        expected_slopes = expected_pull_back(slope)
    np.testing.assert_allclose(updates, expected, rtol=1e-9, atol=1e-15)
    for found, automatic in zip(pull_back(slope), expected_slopes, strict=True):
        np.testing.assert_allclose(found, automatic, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("n", "changes", "is_closed"),
    [
        (6, {}, True),
        (7, {}, False),
        (6, {"local_epochs": 2}, False),
        (6, {"local_steps": 1}, True),
        (7, {"local_steps": 1}, False),
        (6, {"max_norm": 1.0}, False),
    ],
)
def test_it_is_taken_for_one_whole_batch_alone(
    n: int, changes: dict[str, object], is_closed: bool
) -> None:
    assert isinstance(unrolled((5, 4, 1), None, **changes)._one_step(n), OneStep) == is_closed
