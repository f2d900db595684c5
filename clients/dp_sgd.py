"""Record-level differential privacy in the hospital: Opacus's DP-SGD, accounted over all rounds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from sim.design.batches import sample_rate
from sim.devices import one_thread
from sim.errors import InputError, UndefinedError, number, one_of
from sim.models.network import Network
from sim.training import Training
from sim.types import About, Batch, History, Records

if TYPE_CHECKING:
    import torch
    from torch import nn

CLIPPING = (1e-10, 1e10)  # norms with which float32 holds clipped gradients and their noise
LEAST_TARGET = 0.05  # smallest epsilon that noise is calibrated to
MOST_PRV_STEPS = 10_000  # of a hospital in a run: the PRV accountant's time and memory grow
ERROR = 0.01  # how far above the epsilon that it proves the PRV accountant may be
MOST_NOISE = 1e6  # largest noise multiplier, and largest epsilon


@dataclass(frozen=True)
class RecordDP:
    """DP-SGD (Abadi et al., 2016): gradients clipped per record, Gaussian noise, Poisson batches.

    Claim: the updates that a hospital sends over all rounds together are (epsilon, delta)-
    differentially private for adding or removing one of its records, as accounted by Opacus. Give
    either ``target_epsilon`` (each hospital calibrates its own noise, so that the small ones add
    more) or ``noise_multiplier`` (equal noise, so that the small ones spend more). Gradients are
    clipped to the norm ``max_grad_norm``.
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
            expected = "expected exactly one of target_epsilon and noise_multiplier"
            raise InputError("noise_multiplier", self.noise_multiplier, expected)
        for name in ("target_epsilon", "noise_multiplier"):
            if getattr(self, name) is not None:
                number(0, MOST_NOISE, open_low=True, **{name: getattr(self, name)})
        if self.target_epsilon is not None and self.target_epsilon < LEAST_TARGET:
            expected = (
                f"expected at least {LEAST_TARGET}: an account is right to {ERROR},"
                " too coarse to calibrate noise to less"
            )
            raise InputError("target_epsilon", self.target_epsilon, expected)
        number(*CLIPPING, max_grad_norm=self.max_grad_norm)
        number(0, 0.5, open_low=True, delta=self.delta)
        one_of(("prv", "rdp"), accountant=self.accountant)

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
        for hospital, n in n_train.items():
            steps = training.rounds * training.steps(n)
            if self.accountant == "prv" and steps > MOST_PRV_STEPS:
                expected = f"expected at most {MOST_PRV_STEPS:,} of {hospital} in a run,"
                expected += " or dp.accountant=rdp"
                raise InputError("training", f"{steps:,} private steps", expected)
            if self.delta >= 1 / n:
                expected = f"expected less than 1/{n}, one over the records of {hospital}"
                raise InputError("dp.delta", self.delta, expected)
            self.epsilon([(self.noise(n, training), sample_rate(n, training), steps)])

    def noise(self, n_train: int, training: Training) -> float:
        """The noise multiplier of a hospital with ``n_train`` records."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.target_epsilon is not None
        steps = training.rounds * training.steps(n_train)
        rate = sample_rate(n_train, training)
        return calibrated(self.target_epsilon, self.delta, rate, steps, self.accountant)

    def unprotected(self) -> RecordDP:
        """The same training without protection, for comparison: no noise, no gradient clipped."""
        return replace(self, target_epsilon=None, noise_multiplier=1e-30, max_grad_norm=1e10)

    def epsilon(self, history: History) -> float:
        """Epsilon spent by everything in ``history``."""
        steps = tuple((float(sigma), float(rate), int(n)) for sigma, rate, n in history)
        return spent(steps, self.delta, self.accountant)

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
        from opacus.optimizers import DPOptimizer

        from clients.training import optimizer, seeded
        from sim.models.store import load, unload

        module = GradSampleModule(network.module())
        load(module, weights)
        rate = sample_rate(len(records), training)
        sigma = self.noise(len(records), training)
        steps = DPOptimizer(
            optimizer(module.parameters(), training),
            noise_multiplier=sigma,
            max_grad_norm=self.max_grad_norm,
            expected_batch_size=rate * len(records),
            generator=seeded(rng),
        )
        accountant = _accountant(self.accountant, history)
        steps.attach_step_hook(accountant.get_optimizer_hook_fn(sample_rate=rate))
        _descend(network, module, steps, records, batches)
        return unload(module), list(accountant.history)


def _accountant(mechanism: str, history: Iterable[tuple[float, float, int]]) -> Any:
    """Opacus's accountant after ``history``."""
    # Runs without privacy do without this import: seconds, and a tenth of a gigabyte.
    from opacus.accountants import create_accountant

    accountant = create_accountant(mechanism)
    accountant.history = list(history)
    return accountant


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


def added(history: History, steps: tuple[float, float, int]) -> History:
    """The history with more steps, in the form in which Opacus's accountants keep it."""
    if history and history[-1][:2] == steps[:2]:
        return [*history[:-1], (*steps[:2], history[-1][2] + steps[2])]
    return [*history, steps]


# history, delta, accountant, error of epsilon
Query = tuple[tuple[tuple[float, float, int], ...], float, str, float]
SPENT: dict[Query, float] = {}  # answers of the accountants: each takes a good part of a second


def spent(
    history: tuple[tuple[float, float, int], ...],
    delta: float,
    mechanism: str,
    error: float = ERROR,
) -> float:
    """Epsilon at ``delta`` of a history of subsampled Gaussian steps, at least 0.

    The PRV accountant's is at most ``error`` above what it proves. A negative answer of an
    accountant amounts to 0.

    Raises:
        InputError: there is so little noise that Opacus's accountant overflows: what it returns
            then is no epsilon.
    """
    query = (history, delta, mechanism, error)
    if query not in SPENT:
        accountant = _accountant(mechanism, history)
        options = {"eps_error": error} if mechanism == "prv" else {}
        try:
            # At a sample rate of 1 Opacus takes the logarithm of 0 on purpose.
            with (
                one_thread(),
                np.errstate(divide="ignore", over="raise", invalid="raise"),
                warnings.catch_warnings(),
            ):
                # a hint on how to state a slightly smaller epsilon
                warnings.filterwarnings("ignore", "Optimal order is")
                found = float(accountant.get_epsilon(delta=delta, **options))
            if not np.isfinite(found):
                raise FloatingPointError(found)
            SPENT[query] = max(0.0, found)
        except ArithmeticError as problem:
            expected = "expected more noise: with this little, epsilon cannot be computed"
            raise InputError("dp", history, expected) from problem
    return SPENT[query]


@lru_cache(maxsize=4096)
def calibrated(epsilon: float, delta: float, rate: float, steps: int, mechanism: str) -> float:
    """The least noise multiplier (to 0.1 %) that spends at most ``epsilon`` in ``steps`` steps.

    Raises ``InputError`` if the search finds none.
    """
    from scipy.optimize import root_scalar

    def over(log_sigma: float, error: float) -> float:
        found = spent(((float(np.exp(log_sigma)), rate, steps),), delta, mechanism, error)
        found = max(found, epsilon / 100)  # the search stays finite where nothing is spent
        return float(np.log(found / epsilon))

    guess = _gaussian_guess(epsilon, delta, rate, steps)
    coarse = min(0.1, epsilon / 10)
    try:
        found = root_scalar(over, args=(coarse,), x0=guess, x1=guess + 0.1, xtol=1e-3)
        start = found.root
        found = root_scalar(over, args=(ERROR,), x0=start, x1=start + 0.01, xtol=3e-4, maxiter=20)
    except (ArithmeticError, RuntimeError, ValueError) as error:  # InputError is a ValueError
        expected = f"expected a budget that some noise reaches in {steps} steps"
        raise InputError("dp.target_epsilon", epsilon, expected) from error
    log_sigma = float(found.root)
    while over(log_sigma, ERROR) > 0:
        log_sigma += 3e-4
    return float(np.exp(log_sigma))


def _gaussian_guess(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Log of a noise multiplier to start from, by DP-SGD's central limit (Bu et al., 2020)."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    def excess(mu: float) -> float:
        reached = norm.cdf(-epsilon / mu + mu / 2)
        return float(reached - np.exp(epsilon + norm.logcdf(-epsilon / mu - mu / 2)) - delta)

    mu = float(brentq(excess, 1e-3, 50 + epsilon))
    return float(-0.5 * np.log(np.log1p(mu**2 / (rate**2 * steps))))
