"""Federated averaging without any framework, as one would write it.

One hospital at a time, a torch module and its optimizer, and scores of the common model on all test
records after each round.
"""

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
    """Final weights (n_params,) of the plain mean, and AUROC and Brier score after each round.

    Model, data, batches and rounds are those of ``experiment``; the scores are those of the test
    records of all hospitals together.
    """
    plan = experiment.plan
    network = plan.network.module()
    weights = torch.from_numpy(plan.first_weights(experiment.aggregator_key))
    scores: list[tuple[float, float]] = []
    tests = [hospital.test for hospital in experiment.consortium.hospitals]
    features = np.concatenate([test.features for test in tests])
    labels = np.concatenate([test.labels for test in tests])
    for round_ in range(1, experiment.settings.training.rounds + 1):
        trained = [
            _visit(network, weights, site, plan.training, round_) for site in experiment.truth.sites
        ]
        weights = torch.stack(trained).mean(0)
        scores.append(_scores(network, weights, features, labels))
    return weights.numpy(), scores


def _visit(
    network: nn.Module, weights: torch.Tensor, site: Site, training: Training, round_: int
) -> torch.Tensor:
    rows = site.records
    vector_to_parameters(weights.clone(), network.parameters())
    steps = torch.optim.SGD(network.parameters(), lr=training.lr)
    loss = nn.BCEWithLogitsLoss()
    features = torch.from_numpy(rows.features)
    labels = torch.from_numpy(rows.labels)
    for batch in shuffled(site.key, round_, len(rows), training):
        steps.zero_grad()
        loss(network(features[batch])[:, 0], labels[batch]).backward()
        steps.step()
    return parameters_to_vector(network.parameters()).detach()


def _scores(
    network: nn.Module,
    weights: torch.Tensor,
    features: NDArray[np.float32],
    labels: NDArray[np.float32],
) -> tuple[float, float]:
    vector_to_parameters(weights, network.parameters())
    with torch.no_grad():
        chances = torch.sigmoid(network(torch.from_numpy(features))[:, 0]).numpy()
    return roc_auc_score(labels, chances), brier_score_loss(labels, chances)
