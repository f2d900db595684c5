"""The training that a party repeats on records of its own choice is that of the hospitals, and its
derivatives are those of finite differences.
"""

from __future__ import annotations

import numpy as np
import pytest

from clients.training import train
from sim.models.cnn import CNN
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.models.unrolled import Unrolled
from sim.seeds import stream
from sim.training import Training
from sim.types import ImageSchema, Records

NETWORKS = (
    FullyConnected((12, 5, 1)),
    CNN([2], [2], 3, "sigmoid")(ImageSchema(2, 3, 2, 0.0, 1.0)),
)


HALVES = (slice(3), slice(3, 6))


def training(**changes: object) -> Training:
    values = {
        "rounds": 1,
        "local_epochs": 2,
        "local_steps": None,
        "batch_size": 2,
        "lr": 0.5,
        "optimizer": "sgd",
        **changes,
    }
    return Training.model_validate(values)


def drawn(network: Network, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = stream(0, "unrolled")
    features = rng.random((3, n, 12))
    return network.initialize(rng), features, rng.integers(2, size=(3, n)).astype(np.float64)


def test_the_update_of_each_hospital_is_shortened_where_that_is_agreed() -> None:
    network = NETWORKS[0]
    weights, features, labels = drawn(network, 6)
    whole = Unrolled(network, weights, training())
    lengths = [np.linalg.norm(whole(features[:, part], labels[:, part]), axis=1) for part in HALVES]
    norm = float(np.median(lengths))
    short = Unrolled(network, weights, training(max_norm=norm))
    each = [
        whole(features[:, part], labels[:, part]) * np.minimum(1, norm / length)[:, None]
        for part, length in zip(HALVES, lengths, strict=True)
    ]
    assert np.ptp(np.minimum(1, norm / np.concatenate(lengths))) > 0
    np.testing.assert_allclose(short(features, labels, 2), np.mean(each, axis=0), atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    "changes", [{}, {"local_steps": 3}, {"proximal": 0.7}, {"batch_size": 9}], ids=str
)
def test_the_update_is_that_of_a_hospital(network: Network, changes: dict[str, object]) -> None:
    weights, features, labels = drawn(network, 5)
    agreed = training(**changes)
    found = Unrolled(network, weights, agreed)(features, labels)
    batches = [
        np.arange(at, min(at + agreed.batch_size, 5))
        for _ in range(agreed.local_epochs)
        for at in range(0, 5, agreed.batch_size)
    ][: agreed.steps(5)]
    for row, x, y in zip(found, features, labels, strict=True):
        records = Records(x.astype(np.float32), y.astype(np.float32))
        trained = train(network, weights, records, batches, agreed)
        np.testing.assert_allclose(row, trained - weights, atol=2e-6)
    assert np.abs(found).max() > 1e-2


def test_the_update_of_several_hospitals_is_the_mean_of_theirs() -> None:
    network = NETWORKS[0]
    weights, features, labels = drawn(network, 6)
    unrolled = Unrolled(network, weights, training())
    each = [unrolled(features[:, part], labels[:, part]) for part in (slice(3), slice(3, 6))]
    np.testing.assert_allclose(unrolled(features, labels, 2), np.mean(each, axis=0), atol=1e-12)


def test_the_gradient_of_each_record_is_clipped_where_training_is_private() -> None:
    network = NETWORKS[0]
    weights, features, labels = drawn(network, 2)
    agreed = training(local_steps=1)
    norm = 1e-3
    found = Unrolled(network, weights, agreed, norm)(features, labels)
    one = training(local_steps=1, batch_size=1)
    alone = [Unrolled(network, weights, one)(features[:, [at]], labels[:, [at]]) for at in range(2)]
    clipped = [norm * part / np.linalg.norm(part, axis=1, keepdims=True) * 0.5 for part in alone]
    np.testing.assert_allclose(found, np.mean(clipped, axis=0), rtol=0.01)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("norm", [None, 0.05])
def test_the_derivatives_are_those_of_finite_differences(
    network: Network, norm: float | None
) -> None:
    weights, features, labels = drawn(network, 4)
    labels = 0.2 + 0.5 * labels
    unrolled = Unrolled(network, weights, training(), norm)
    updates, pull_back = unrolled.traced(features, labels, 2)
    np.testing.assert_allclose(updates, unrolled(features, labels, 2), atol=1e-15)
    towards = stream(1, "towards").normal(size=updates.shape)
    of_features, of_labels = pull_back(towards)
    step = 1e-6
    for value, derivative in ((features, of_features), (labels, of_labels)):
        at = np.unravel_index(np.argmax(np.abs(derivative)), value.shape)
        moved = [value.copy() for _ in range(2)]
        moved[0][at] += step
        moved[1][at] -= step
        pairs = [(one, labels) if value is features else (features, one) for one in moved]
        ends = [float((unrolled(*pair, 2) * towards).sum()) for pair in pairs]
        assert derivative[at] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)
        assert derivative.shape == value.shape
