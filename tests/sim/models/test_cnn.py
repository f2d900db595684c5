"""A convolutional network trains like every other network: one by one, in batches, privately and
from the command line.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from torch import nn

from clients.batched import general
from sim.cli.command import main
from sim.datasets.digits import Digits
from sim.design.batches import shuffled
from sim.errors import InputError
from sim.models.cnn import CNN, Convolutional
from sim.models.mlp import FullyConnected, Logistic
from sim.models.network import Network
from sim.models.store import load
from sim.seeds import key, stream
from sim.study.run import run
from sim.types import ImageSchema
from tests.federation import alone, experiment, finished

SCHEMA = ImageSchema(height=5, width=6, channels=2, low=0.0, high=1.0)
MODEL = CNN(channels=[3, 4], strides=[1, 2], kernel=3, activation="relu")
NETWORK = MODEL(SCHEMA)
SMALL = ("consortium=digits", "model=cnn", "training.rounds=2")


def by_hand(network: Convolutional, vector: np.ndarray, image: np.ndarray) -> float:
    """The logit of one image (channels, height, width), pixel by pixel."""
    at, values = 0, image.astype(np.float64)
    half = network.kernel // 2
    for n_out, stride in zip(network.channels, network.strides, strict=True):
        n_in, height, width = values.shape
        size = n_out * n_in * network.kernel**2
        weight = vector[at : at + size].reshape(n_out, n_in, network.kernel, network.kernel)
        bias = vector[at + size : at + size + n_out]
        at += size + n_out
        padded = np.pad(values, ((0, 0), (half, half), (half, half)))
        found = [
            [
                [
                    np.sum(weight[k] * padded[:, r : r + network.kernel, c : c + network.kernel])
                    + bias[k]
                    for c in range(0, width, stride)
                ]
                for r in range(0, height, stride)
            ]
            for k in range(n_out)
        ]
        values = np.array(found)
        values = (
            np.maximum(values, 0) if network.activation == "relu" else 1 / (1 + np.exp(-values))
        )
        side = network.pool
        height, width = (size // side for size in values.shape[1:])
        squares = values[:, : height * side, : width * side]
        values = squares.reshape(n_out, height, side, width, side).max(axis=(2, 4))
    return float(values.ravel() @ vector[at:-1] + vector[-1])


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize(("kernel", "pool"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_the_logit_is_that_of_convolutions_by_hand(activation: str, kernel: int, pool: int) -> None:
    network = CNN([3, 4], [1, 2 if pool == 1 else 1], kernel, activation, pool)(SCHEMA)
    vector = network.initialize(stream(0, "model"))
    images = stream(0, "images").random((4, SCHEMA.n_features)).astype(np.float32)
    expected = [by_hand(network, vector, image.reshape(2, 5, 6)) for image in images]
    np.testing.assert_allclose(network.scores(vector, images), expected, atol=1e-5)
    assert (
        len(vector) == network.n_params == sum(int(np.prod(shape)) for _, shape in network.layout)
    )


def test_the_first_weights_are_uniform_within_one_over_the_root_of_what_a_neuron_reads() -> None:
    network = Convolutional((8, 16, 16), (64,), (2,), 3, "relu")
    vector = network.initialize(stream(0, "model"))
    weight, bias = vector[: 64 * 8 * 9], vector[64 * 8 * 9 : 64 * 8 * 9 + 64]
    bound = 1 / np.sqrt(8 * 9)
    for values in (weight, bias):
        assert 0.9 * bound < np.abs(values).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_the_first_weights_are_uniform_within_a_bound_that_is_given() -> None:
    network = CNN([3, 4], [1, 2], 3, "sigmoid", first=0.5)(SCHEMA)
    vector = network.initialize(stream(0, "model"))
    assert len(vector) == network.n_params
    assert 0.49 < np.abs(vector).max() <= 0.5
    assert vector.std() == pytest.approx(0.5 / np.sqrt(3), rel=0.1)


def test_many_records_are_scored_in_parts_and_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = NETWORK.initialize(stream(0, "model"))
    images = stream(0, "images").random((11, SCHEMA.n_features)).astype(np.float32)
    whole = NETWORK.scores(vector, images)
    monkeypatch.setattr("sim.models.network.RECORDS", 4)
    np.testing.assert_allclose(NETWORK.scores(vector, images), whole, atol=1e-6)
    assert NETWORK.scores(vector, images[:0]).shape == (0,)


def test_networks_are_values() -> None:
    assert CNN([3, 4], [1, 2], 3, "relu")(SCHEMA) == NETWORK
    assert len({NETWORK, MODEL(SCHEMA), CNN([3], [1], 3, "relu")(SCHEMA)}) == 2


POOLED = CNN([3, 4], [1, 1], 3, "relu", pool=2)(SCHEMA)


@pytest.mark.parametrize(
    "network", [NETWORK, POOLED, FullyConnected((60, 5, 1)), FullyConnected((60, 1))], ids=str
)
def test_gradients_of_single_records_are_those_of_opacus(network: Network) -> None:
    vector = network.initialize(stream(0, "model"))
    images = torch.from_numpy(stream(0, "images").random((6, 60)).astype(np.float32))
    labels = torch.tensor([0.0, 1, 1, 0, 1, 0])
    batch = general.Batch(images[None], labels[None], torch.ones(1, 6))
    found = general.record_gradients(network, torch.from_numpy(vector)[None], batch)[0]
    module = GradSampleModule(network.module(), loss_reduction="sum")
    load(module, vector)
    losses = nn.functional.binary_cross_entropy_with_logits(
        module(images.requires_grad_())[:, 0], labels, reduction="sum"
    )
    torch.autograd.backward(losses)
    expected = torch.cat([p.grad_sample.flatten(1) for p in module.parameters()], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert expected.abs().max() > 1e-2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("defense=dp_record",),
        ("training.proximal=0.3",),
        ("consortium=ihc4", "model=cnn_pool"),
        ("consortium=ihc4", "model=lenet"),
    ],
    ids=str,
)
def test_hospitals_trained_together_give_the_model_of_hospitals_trained_one_by_one(
    words: tuple[str, ...],
) -> None:
    design = experiment(*SMALL, *words)
    together, single = finished(design), finished(design, alone(design))
    np.testing.assert_allclose(together.weights, single.weights, atol=1e-5)
    assert np.abs(single.weights - design.plan.first_weights(design.aggregator_key)).max() > 1e-2


def test_a_round_is_that_of_a_plain_loop() -> None:
    design = experiment(
        "consortium=digits", "model=cnn", "training.rounds=1", "training.local_epochs=2"
    )
    module = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 1),
    )
    models = []
    for hospital in design.consortium.hospitals:
        load(module, design.plan.first_weights(design.aggregator_key))
        steps = torch.optim.SGD(module.parameters(), lr=0.1)
        rows, labels = (
            torch.from_numpy(hospital.train.features),
            torch.from_numpy(hospital.train.labels),
        )
        for batch in shuffled(
            key(0, "hospital", hospital.name), 1, len(labels), design.settings.training
        ):
            steps.zero_grad()
            outputs = module(rows[batch])[:, 0]
            torch.autograd.backward(
                nn.functional.binary_cross_entropy_with_logits(outputs, labels[batch])
            )
            steps.step()
        models.append(nn.utils.parameters_to_vector(module.parameters()).detach().numpy())
    np.testing.assert_allclose(finished(design).weights, np.mean(models, axis=0), atol=1e-5)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("model", ["cnn", "logistic"])
def test_a_run_from_the_command_line_learns(model: str, tmp_path: Path) -> None:
    words = ("consortium=digits", f"model={model}", "attack=none", f"hydra.run.dir={tmp_path}")
    assert main(["run", *words]) == 0
    with (tmp_path / "results.csv").open(newline="") as table:
        (row,) = csv.DictReader(table)
    assert float(row["auroc"]) > 0.93


@pytest.mark.parametrize(
    "words",
    [
        ("model=cnn",),
        ("model=cnn", "model.activation=sigmoid"),
        ("model=cnn_pool",),
        ("model=lenet",),
        ("model=lenet", "model.activation=relu", "model.first=null"),
    ],
    ids=str,
)
def test_a_consortium_learns_from_stained_tissue(words: tuple[str, ...]) -> None:
    found = run(experiment("consortium=ihc4", "training.rounds=15", *words))
    assert found.value("auroc") > 0.8


def test_a_backdoor_with_a_patch_is_learned_by_a_cnn() -> None:
    words = ("attack=[backdoor]", "attack.backdoor.mark=patch:2x2:16", "adversary.n_hostile=2")
    design = experiment("consortium=digits", "model=cnn", "training.rounds=2", *words)
    honest = experiment("consortium=digits", "model=cnn", "training.rounds=2")
    assert np.abs(finished(design).weights - finished(honest).weights).max() > 1e-3


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            "consortium=heart4",
            (
                "model=CNN: expected a consortium of images, and the records of this one are rows"
                " of a table"
            ),
        ),
        ("model.kernel=4", "model.kernel=4: expected an odd number"),
        ("model.strides=[1]", r"model.strides=\[1\]: expected one for each of 2 layers"),
        ("model.channels=[]", r"model.len\(channels\)=0: expected a whole number of at least 1"),
        ("model.channels=[0,2]", "model.channels=0: expected a whole number of at least 1"),
        ("model.pool=0", "model.pool=0: expected a whole number of at least 1"),
        ("model.pool=4", "model.pool=4: expected less for 8 x 8 pixels"),
        ("model.first=0.0", "model.first=0.0: expected a number above 0"),
        ("model.activation=tanh", "model.activation=tanh: expected one of relu, sigmoid"),
        (f"model.channels=[{','.join(50 * '1')}]", "model.channels=50 layers: expected at most 49"),
        (
            "attack=[analytic_inversion]",
            "attack.analytic_inversion=AnalyticInversion: .* needs a first linear layer",
        ),
    ],
)
def test_what_a_cnn_cannot_do_is_refused_in_one_line(words: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"^{problem}"):
        experiment("consortium=digits", "model=cnn", words)


def test_a_table_is_never_taken_for_an_image() -> None:
    schema = experiment("consortium=breast8").consortium.schema
    with pytest.raises(InputError, match="rows of a table"):
        MODEL(schema)
    assert Logistic()(Digits()(0).schema) == FullyConnected((64, 1))
