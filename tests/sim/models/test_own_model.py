"""A model of a user's own package trains on every path, with its own loss, without a line of it in
the simulator.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sim import plugins
from sim.design import checks
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.models import check
from sim.models.network import Network
from sim.study.experiment import Experiment
from sim.study.run import run_together
from sim.types import Schema
from tests import ROOT
from tests.federation import alone, experiment, finished

PACKAGES = ROOT / "tests" / "packages"
WORDS = (
    "consortium=heart4",
    "adversary.n_hostile=1",
    "plugins=[own_model]",
    "model._target_=own_model.Model",
    "~model.hidden",
    "+model.width=6",
)


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PACKAGES)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGES), str(ROOT)]))
    monkeypatch.setenv(plugins.CHOSEN, "own_model")


def design(*words: str) -> Experiment:
    return experiment(*WORDS, *words)


def record(*words: str) -> RunRecord:
    return run_together([design(*words)])[0]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("training.optimizer=adam", "training.lr=0.01"),
        ("training.proximal=0.3",),
        ("defense=dp_record",),
        ("attack=[sign_flip]", "defense=median"),
        ("+model.weighted=true",),
    ],
    ids=str,
)
def test_hospitals_trained_together_give_the_model_of_hospitals_trained_one_by_one(
    words: tuple[str, ...],
) -> None:
    one = design("training.rounds=3", *words)
    together, single = finished(one), finished(one, alone(one))
    np.testing.assert_allclose(together.weights, single.weights, atol=1e-5)
    assert np.abs(together.weights - together.initial).max() > 1e-3


def test_it_learns() -> None:
    assert record("training.rounds=20").value("auroc") > 0.8


def test_its_own_loss_is_the_one_that_is_trained() -> None:
    plain, weighted = (
        finished(design("training.rounds=3", f"+model.weighted={word}"))
        for word in ("false", "true")
    )
    assert np.abs(plain.weights - weighted.weights).max() > 1e-2


def test_the_model_in_the_documentation_is_one() -> None:
    text = (ROOT / "docs" / "how-it-works.md").read_text()
    (code,) = re.findall(r"(?m)^(    @dataclass(?:.*\n|\n)+?)(?=^\S)", text)
    names: dict[str, Any] = {
        "dataclass": dataclass,
        "nn": nn,
        "Network": Network,
        "Schema": Schema,
        "__name__": __name__,
    }
    exec(dedent(code), names)
    model = names["Model"]()
    schema = experiment("consortium=heart4", "adversary.n_hostile=1").consortium.schema
    network = check.network(model, model(schema), schema.n_features)
    assert network.n_params == 6 * (schema.n_features + 1) + 7


class Shared(nn.Module):
    """A layer that takes the mean of its batch off, as BatchNorm does."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features - features.mean(dim=0, keepdim=True)


@dataclass(frozen=True)
class Mixing(Network):
    """A network whose first layer mixes the records of a batch."""

    def build(self) -> nn.Module:
        return nn.Sequential(Shared(), nn.Linear(3, 1))


@dataclass(frozen=True)
class Normalizing(Network):
    """A network with BatchNorm without buffers."""

    def build(self) -> nn.Module:
        return nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1))


@dataclass(frozen=True)
class Separate(Network):
    """A network whose layers see each record by itself."""

    def build(self) -> nn.Module:
        return nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("network", "mixes"), [(Mixing(), True), (Normalizing(), True), (Separate(), False)]
)
def test_layers_that_mix_the_records_of_a_batch_are_distinguished(
    network: Network, mixes: bool
) -> None:
    assert check.mixes_records(network, 3) is mixes


def test_private_training_refuses_such_layers_before_round_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "mixes_records", lambda *_: True)
    with pytest.raises(InputError, match="as BatchNorm has them"):
        design("defense=dp_record")
    design()
