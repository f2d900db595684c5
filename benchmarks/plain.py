"""Federated averaging as one would write it without any framework: one hospital at a time, a torch
module and its optimizer, and after each round what the common model is worth on all test
records."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, roc_auc_score
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sim.design.batches import shuffled
from sim.design.site import Site
from sim.study.experiment import Experiment
from sim.training import Training


def train(experiment: Experiment) -> tuple[NDArray[np.float32], list[tuple[float, float]]]:
    """Final weights (n_params,) of the plain mean; model, data, batches and rounds are those of
    ``experiment``.

    And AUROC and Brier score on the test records of all hospitals together, after each round.
    """
    network = experiment.plan.network.module()
    weights = torch.from_numpy(experiment.plan.first_weights(experiment.aggregator_key))
    worth = list[tuple[float, float]]()
    tests = [hospital.test for hospital in experiment.consortium.hospitals]
    features, labels = (
        np.concatenate(parts)
        for parts in zip(*((test.features, test.labels) for test in tests), strict=True)
    )
    for round_ in range(1, experiment.settings.training.rounds + 1):
        trained = [
            _visit(network, weights, site, experiment.plan.training, round_)
            for site in experiment.truth.sites
        ]
        weights = torch.stack(trained).mean(0)
        worth.append(_worth(network, weights, features, labels))
    return weights.numpy(), worth


def _visit(
    network: nn.Module, weights: torch.Tensor, site: Site, training: Training, round_: int
) -> torch.Tensor:
    rows = site.records
    vector_to_parameters(weights.clone(), network.parameters())
    steps, loss = torch.optim.SGD(network.parameters(), lr=training.lr), nn.BCEWithLogitsLoss()
    features, labels = torch.from_numpy(rows.features), torch.from_numpy(rows.labels)
    for batch in shuffled(site.key, round_, len(rows), training):
        steps.zero_grad()
        loss(network(features[batch])[:, 0], labels[batch]).backward()
        steps.step()
    return parameters_to_vector(network.parameters()).detach()


def _worth(
    network: nn.Module,
    weights: torch.Tensor,
    features: NDArray[np.float32],
    labels: NDArray[np.float32],
) -> tuple[float, float]:
    vector_to_parameters(weights, network.parameters())
    with torch.no_grad():
        chances = torch.sigmoid(network(torch.from_numpy(features))[:, 0]).numpy()
    return roc_auc_score(labels, chances), brier_score_loss(labels, chances)
