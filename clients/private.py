"""Record-level differential privacy in the hospital: DP-SGD as Opacus implements it, with one accountant over all rounds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from opacus import GradSampleModule
from opacus.accountants import create_accountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.optimizers import DPOptimizer
from scipy.optimize import brentq
from torch import nn

from clients.training import optimizer, seeded, tensors
from sim.batches import sample_rate
from sim.errors import InputError, number, one_of
from sim.experiment import Training
from sim.models import load, module, unload
from sim.types import About, Records

History = list[tuple[float, float, int]]  # (noise multiplier, sample rate, steps), Opacus's own form


@dataclass(frozen=True)
class RecordDP:
    """DP-SGD (Abadi et al. 2016): gradients clipped per record to ``max_grad_norm``, Gaussian noise, Poisson batches.

    Claim: what a hospital sends over all rounds together is (epsilon, delta)-differentially private for adding or removing one
    of its records, as accounted by Opacus. Give either ``target_epsilon`` (each hospital calibrates its own noise, so that
    the small ones add more) or ``noise_multiplier`` (equal noise, so that the small ones spend more).
    """

    about: ClassVar[About] = About(
        title="Record-level DP",
        paper="Abadi et al. 2016, Deep Learning with Differential Privacy (implemented by Opacus)",
        year=2016,
        sees="the hospital's own records; the aggregator need not be trusted",
    )
    target_epsilon: float | None
    noise_multiplier: float | None
    max_grad_norm: float
    delta: float
    accountant: str

    def __post_init__(self) -> None:
        """Refuse values out of range, and both or neither of the two ways to set the noise."""
        if (self.target_epsilon is None) == (self.noise_multiplier is None):
            raise InputError(
                "noise_multiplier", self.noise_multiplier, "expected exactly one of target_epsilon and noise_multiplier"
            )
        for name in ("target_epsilon", "noise_multiplier"):
            if getattr(self, name) is not None:
                number(0, open_low=True, **{name: getattr(self, name)})
        number(0, open_low=True, max_grad_norm=self.max_grad_norm)
        number(0, 0.5, open_low=True, delta=self.delta)
        one_of(("prv", "rdp"), accountant=self.accountant)

    def check(self, n_train: dict[str, int], training: Training) -> None:
        """Refuse before round 1 what would make the claim empty or impossible. ``n_train``: records by hospital."""
        if training.optimizer != "sgd":
            raise InputError("training.optimizer", training.optimizer, "expected sgd with dp=record")
        for hospital, n in n_train.items():
            if self.delta >= 1 / n:
                raise InputError("dp.delta", self.delta, f"expected less than 1/{n}, one over the records of {hospital}")
            self.noise(n, training)

    def noise(self, n_train: int, training: Training) -> float:
        """The noise multiplier of a hospital with ``n_train`` records."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.target_epsilon is not None
        steps = training.rounds * training.steps(n_train)
        return calibrated(self.target_epsilon, self.delta, sample_rate(n_train, training), steps, self.accountant)

    def epsilon(self, history: History) -> float:
        """Epsilon spent by everything in ``history``."""
        return spent(tuple((float(s), float(q), int(n)) for s, q, n in history), self.delta, self.accountant)

    def train(
        self,
        widths: tuple[int, ...],
        weights: NDArray[np.float32],
        records: Records,
        batches: list[NDArray[np.int64]],
        training: Training,
        history: History,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], History]:
        """One round of DP-SGD over the given Poisson batches; returns trained weights and the history with these steps added.

        An empty batch is a step too: it adds noise and is accounted for.
        """
        network = GradSampleModule(module(widths))
        load(network, weights)
        rate, sigma = sample_rate(len(records), training), self.noise(len(records), training)
        steps = DPOptimizer(
            optimizer(network.parameters(), training),
            noise_multiplier=sigma,
            max_grad_norm=self.max_grad_norm,
            expected_batch_size=rate * len(records),
            generator=seeded(rng),
        )
        accountant = create_accountant(self.accountant)
        accountant.history = list(history)
        steps.attach_step_hook(accountant.get_optimizer_hook_fn(sample_rate=rate))
        _descend(network, steps, records, batches)
        return unload(network), list(accountant.history)


def _descend(network: nn.Module, steps: DPOptimizer, records: Records, batches: list[NDArray[np.int64]]) -> None:
    features, labels = tensors(records)
    loss = nn.BCEWithLogitsLoss()
    for batch in batches:
        rows = torch.from_numpy(batch)
        steps.zero_grad()
        if len(batch):
            loss(network(features[rows])[:, 0], labels[rows]).backward()
        else:
            for parameter in network.parameters():
                cast(Any, parameter).grad_sample = torch.zeros((0, *parameter.shape))
        steps.step()


def added(history: History, steps: tuple[float, float, int]) -> History:
    """The history with more steps, in the form in which Opacus's accountants keep it."""
    if history and history[-1][:2] == steps[:2]:
        return [*history[:-1], (*steps[:2], history[-1][2] + steps[2])]
    return [*history, steps]


@lru_cache(maxsize=4096)
def spent(history: tuple[tuple[float, float, int], ...], delta: float, mechanism: str) -> float:
    """Epsilon at ``delta`` of a history of subsampled Gaussian steps, by Opacus's accountant ``mechanism``."""
    accountant = create_accountant(mechanism)
    accountant.history = list(history)
    return float(accountant.get_epsilon(delta=delta))


@lru_cache(maxsize=4096)
def calibrated(epsilon: float, delta: float, rate: float, steps: int, mechanism: str) -> float:
    """The least noise multiplier (to 0.1 %) that spends at most ``epsilon`` in ``steps`` steps.

    The search starts from what Renyi accounting asks for, which is a little more. Raises ``InputError`` if no noise suffices.
    """

    def over(log_sigma: float) -> float:
        return float(np.log(spent(((float(np.exp(log_sigma)), rate, steps),), delta, mechanism) / epsilon))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that Renyi accounting could be tighter
            high = get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp"
            )
    except ValueError as error:
        raise InputError("dp.target_epsilon", epsilon, f"expected more: no noise reaches it in {steps} steps") from error
    if mechanism == "rdp" or over(float(np.log(high))) > 0:
        return float(high)
    low = high
    while over(float(np.log(low))) <= 0:
        low *= 0.8
    sigma = float(np.exp(brentq(over, np.log(low), np.log(high), xtol=5e-4)))
    while spent(((sigma, rate, steps),), delta, mechanism) > epsilon:
        sigma *= 1.0005
    return sigma
