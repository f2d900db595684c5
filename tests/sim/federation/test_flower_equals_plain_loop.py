"""The whole Flower path gives the model of a plain loop that is written here, with nothing of the
project's training in it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sim.seeds import key
from sim.study.experiment import Experiment
from tests.federation import alone, experiment, finished

Weights = list[torch.Tensor]
SEED, ROUNDS, BATCH, LR = 3, 3, 16, 0.1


def chosen(model: str, attack: str, rule: str) -> Experiment:
    words = (
        f"consortium=heart4 model={model} attack=[{attack}] aggregator={rule}"
        f" training.rounds={ROUNDS} seed={SEED}"
    )
    return experiment(*words.split())


def first_weights(widths: list[int]) -> Weights:
    """Uniform in +-1/sqrt(fan_in), layer by layer, weight before bias."""
    rng, weights = key(SEED, "aggregator").stream("model"), list[torch.Tensor]()
    for fan_in, fan_out in pairwise(widths):
        bound = fan_in**-0.5
        values = torch.tensor(
            rng.uniform(-bound, bound, size=fan_out * (fan_in + 1)), dtype=torch.float32
        )
        weights += [values[: fan_out * fan_in].reshape(fan_out, fan_in), values[fan_out * fan_in :]]
    return weights


def local_round(
    weights: Weights, x: torch.Tensor, y: torch.Tensor, round_: int, hospital: str
) -> Weights:
    """One pass of SGD over shuffled records."""
    weights = [w.clone().requires_grad_() for w in weights]
    shuffled = key(SEED, "hospital", hospital).stream("batches", round_).permutation(len(y))
    order = torch.from_numpy(shuffled)
    for batch in order.split(BATCH):
        hidden = x[batch]
        for k in range(0, len(weights) - 2, 2):
            hidden = torch.relu(hidden @ weights[k].T + weights[k + 1])
        output = (hidden @ weights[-2].T + weights[-1])[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(output, y[batch])
        gradients = torch.autograd.grad(loss, weights)
        weights = [
            (w - LR * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)
        ]
    return [w.detach() for w in weights]


def flat(weights: Weights) -> NDArray[np.float64]:
    return torch.cat([w.reshape(-1) for w in weights]).numpy().astype(np.float64)


def shaped(vector: NDArray[np.float64], like: Weights) -> Weights:
    parts = torch.from_numpy(vector.astype(np.float32)).split([w.numel() for w in like])
    return [part.reshape(w.shape) for part, w in zip(parts, like, strict=True)]


def plain_loop(run: Experiment, model: str, attack: str, rule: str) -> NDArray[np.float64]:
    """Federated averaging or trimming over the hospitals of ``run``; of its hospitals the hostile
    one differs by name only.
    """
    hospitals = run.consortium.hospitals
    x = [torch.from_numpy(h.train.features) for h in hospitals]
    y = [torch.from_numpy(h.train.labels) for h in hospitals]
    weights = first_weights([x[0].shape[1], *([64, 32] if model == "mlp" else []), 1])
    for round_ in range(1, ROUNDS + 1):
        start = flat(weights)
        updates = [
            flat(local_round(weights, a, b, round_, h.name)) - start
            for a, b, h in zip(x, y, hospitals, strict=True)
        ]
        if attack == "sign_flip":
            updates = [
                -4 * u if h.name in run.attack_plan.hostile else u
                for u, h in zip(updates, hospitals, strict=True)
            ]
        rows = np.sort(updates, axis=0)
        weights = shaped(
            start + (rows[1:-1] if rule == "trimmed_mean" else rows).mean(axis=0), weights
        )
    return flat(weights)


@pytest.mark.parametrize("rule", ["mean", "trimmed_mean"])
@pytest.mark.parametrize("attack", ["none", "sign_flip"])
@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_flower_path_gives_the_model_of_a_plain_loop(model: str, attack: str, rule: str) -> None:
    design = chosen(model, attack, rule)
    expected = plain_loop(design, model, attack, rule)
    one_by_one, together = finished(design, alone(design)).weights, finished(design).weights
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-6)
    assert np.abs(expected - flat(first_weights([*design.plan.network.widths]))).max() > 1e-2
