"""Record-level differential privacy in the hospital: Opacus's DP-SGD, accounted over all rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from clients import accounting, several
from clients.accounting import (
    LEAST_DELTA,
    LEAST_RATE,
    MOST_STEPS,
    RELATIONS,
    Step,
    Terms,
    check_choice,
)
from sim.design.batches import sample_rate
from sim.design.site import added
from sim.devices import one_thread
from sim.errors import InputError, UndefinedError, number, one_of, whole
from sim.models.network import Network
from sim.training import Training
from sim.types import About, Batch, History, Records

if TYPE_CHECKING:
    import torch
    from torch import nn

MOST_RECORDS = 10**9  # that a hospital may be counted to have
TOO_SLOW = "below it epsilon is not computed"
CLIPPING = (1e-10, 1e10)  # norms with which float32 holds clipped gradients and their noise


@dataclass(frozen=True)
class RecordDP:
    """DP-SGD (Abadi et al., 2016): gradients clipped per record, Gaussian noise, Poisson batches.

    Claim: what a hospital sends over all rounds together is (epsilon, delta)-differentially private
    for neighbors of the ``relation``, as accounted with privacy loss distributions (dp-accounting).
    With ``replace`` one record differs and the number of records is public: noise, steps and
    sampling rate follow from it. With ``add_remove`` there is one record more or less: they follow
    from ``nominal_records``, which all agreed on, and no message holds a hospital's own number.

    Give either ``target_epsilon`` (each hospital calibrates its own noise, so that the small ones
    add more) or ``noise_multiplier`` (equal noise, so that the small ones spend more). Gradients
    are clipped to the norm ``max_grad_norm``. ``records_per_patient``: the most records that a
    patient has in a hospital, for a statement about patients beside that about records; None for
    none.
    """

    about: ClassVar[About] = About(
        title="Record-level DP",
        paper="Abadi et al. 2016, Deep Learning with Differential Privacy (implemented by Opacus)",
        year=2016,
        sees="the hospital's own records; the aggregator need not be trusted",
    )
    accountant: ClassVar[str] = "privacy loss distributions (dp-accounting)"
    target_epsilon: float | None
    noise_multiplier: float | None
    max_grad_norm: float
    delta: float
    relation: str = "replace"
    nominal_records: int | None = None
    records_per_patient: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range, and both or neither of the two ways to set the noise."""
        check_choice("target_epsilon", self.target_epsilon, self.noise_multiplier)
        number(*CLIPPING, max_grad_norm=self.max_grad_norm)
        number(LEAST_DELTA, 0.5, delta=self.delta)
        one_of(RELATIONS, relation=self.relation)
        if (self.nominal_records is None) != (self.relation == "replace"):
            needed = "null with relation=replace, a number of records with add_remove"
            raise InputError("nominal_records", self.nominal_records, f"expected {needed}")
        if self.nominal_records is not None:
            whole(1, MOST_RECORDS, nominal_records=self.nominal_records)
        if self.records_per_patient is not None:
            whole(1, several.MOST, records_per_patient=self.records_per_patient)

    def check(self, n_train: dict[str, int], training: Training) -> None:
        """Refuse training for which the claim would be empty or impossible, before round 1.

        ``n_train``: records by hospital.
        """
        if training.optimizer != "sgd":
            expected = "expected sgd with dp=record"
            raise UndefinedError("training.optimizer", training.optimizer, expected)
        if training.proximal:
            expected = "expected 0 with dp=record"
            raise UndefinedError("training.proximal", training.proximal, expected)
        for hospital, own in n_train.items():
            n = self.counted(own)
            if self.delta >= 1 / max(n, own):
                expected = f"expected less than 1/{max(n, own)}, one over the records of {hospital}"
                raise InputError("dp.delta", self.delta, expected)
            if training.batch_size > min(n, own):
                expected = f"expected at most {min(n, own)}, the records of {hospital}"
                raise InputError("training.batch_size", training.batch_size, expected)
            steps = training.rounds * training.steps(n)
            if steps > MOST_STEPS:
                expected = f"expected at most {MOST_STEPS:,} of {hospital} in a run"
                raise InputError("training", f"{steps:,} private steps", expected)
            if sample_rate(n, training) < LEAST_RATE:
                least = math.ceil(n * LEAST_RATE)
                expected = f"expected at least {least}, a ten-thousandth of the records: {TOO_SLOW}"
                raise InputError("training.batch_size", training.batch_size, expected)
            history: History = [(self.noise(n, training), sample_rate(n, training), steps)]
            self.epsilon(history)
            if self.records_per_patient is not None:
                self.patient_epsilon(history)

    def counted(self, n_train: int) -> int:
        """The number of records that noise, steps, rate and messages go by."""
        return n_train if self.nominal_records is None else self.nominal_records

    def noise(self, counted: int, training: Training) -> float:
        """The noise multiplier of a hospital of which so many records are counted."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.target_epsilon is not None
        steps = training.rounds * training.steps(counted)
        rate = sample_rate(counted, training)
        return accounting.calibrated(self.target_epsilon, rate, steps, self._terms)

    def unprotected(self) -> RecordDP:
        """The same training without protection, for comparison: no noise, no gradient clipped."""
        return replace(self, target_epsilon=None, noise_multiplier=1e-30, max_grad_norm=1e10)

    def epsilon(self, history: History) -> float:
        """Epsilon spent by everything in ``history``."""
        return accounting.spent(_steps(history), self._terms)

    def patient_epsilon(self, history: History) -> float:
        """Epsilon spent for all records of a patient together, see ``records_per_patient``."""
        terms = Terms(self.relation, self.delta, self.records_per_patient or 1)
        return accounting.spent(_steps(history), terms)

    def advantage(self, history: History) -> float:
        """The largest true minus false positive rate of a test for a record, see ``epsilon``."""
        return accounting.advantage(_steps(history), self._terms)

    def true_positives(self, history: History, false_positives: float) -> float:
        """The largest true positive rate of a test for a record, by its false positive rate."""
        return accounting.true_positives(_steps(history), self._terms, false_positives)

    @property
    def _terms(self) -> Terms:
        return Terms(self.relation, self.delta)

    @one_thread()
    def train(
        self,
        network: Network,
        weights: NDArray[np.float32],
        records: Records,
        batches: Sequence[Batch],
        training: Training,
        history: History,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], History]:
        """The weights after one round of DP-SGD on Poisson batches, and the longer history.

        An empty batch is a step too: it adds noise and is accounted for.
        """
        from opacus import GradSampleModule

        from clients.training import optimizer
        from sim.models.store import load, unload

        module = GradSampleModule(network.module())
        load(module, weights)
        counted = self.counted(len(records))
        rate = sample_rate(counted, training)
        sigma = self.noise(counted, training)
        steps = _noisy()(
            optimizer(module.parameters(), training),
            noise_multiplier=sigma,
            max_grad_norm=self.max_grad_norm,
            expected_batch_size=rate * counted,
        )
        steps.rng = rng
        _descend(network, module, steps, records, batches)
        return unload(module), added(history, (sigma, rate, len(batches)))


def _steps(history: History) -> tuple[Step, ...]:
    return tuple((float(sigma), float(rate), int(n)) for sigma, rate, n in history)


@cache
def _noisy() -> Any:
    """Opacus's optimizer, with noise from numpy's generator.

    Torch's generator on the processor takes 32 bits of a seed, which can be tried one by one.
    """
    from opacus.optimizers import DPOptimizer  # takes seconds, and only private runs need it

    class Noisy(DPOptimizer):  # type: ignore[misc]
        rng: np.random.Generator

        def add_noise(self) -> None:
            """Put clipped and noised gradients in the place of plain ones."""
            import torch

            for parameter in self.params:
                drawn = self.rng.standard_normal(parameter.summed_grad.numel(), np.float32)
                noise = torch.from_numpy(drawn) * (self.noise_multiplier * self.max_grad_norm)
                parameter.grad = (parameter.summed_grad.view(-1) + noise).view_as(parameter)

    return Noisy


def _descend(
    network: Network,
    module: nn.Module,
    steps: torch.optim.Optimizer,
    records: Records,
    batches: Sequence[Batch],
) -> None:
    import torch

    from clients.training import tensors

    features, labels = tensors(records)
    features.requires_grad_()  # its gradient is not used, but Opacus's hooks warn without it
    for batch in batches:
        rows = torch.from_numpy(batch)
        steps.zero_grad()
        if len(batch):
            torch.autograd.backward(network.loss(module(features[rows])[:, 0], labels[rows]))
        else:
            for parameter in module.parameters():
                cast(Any, parameter).grad_sample = torch.zeros((0, *parameter.shape))
        steps.step()
