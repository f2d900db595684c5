"""Record-level differential privacy in the hospital: DP-SGD as Opacus implements it, with one
accountant over all rounds.
"""

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

CLIPPING = 1e-10, 1e10  # clipping norms with which float32 holds clipped gradients and their noise
LEAST_TARGET = 0.05  # smallest epsilon that noise is calibrated to
# of a hospital in a run; the PRV accountant's time and memory grow with them
MOST_PRV_STEPS = 10_000
ERROR = 0.01  # how far above the epsilon that it proves the PRV accountant may be
MOST_NOISE = 1e6  # largest noise multiplier, and largest epsilon


@dataclass(frozen=True)
class RecordDP:
    """DP-SGD (Abadi et al. 2016): gradients clipped per record to ``max_grad_norm``, Gaussian
    noise, Poisson batches.

    Claim: what a hospital sends over all rounds together is (epsilon, delta)-differentially private
    for adding or removing one of its records, as accounted by Opacus. Give either
    ``target_epsilon`` (each hospital calibrates its own noise, so that the small ones add more) or
    ``noise_multiplier`` (equal noise, so that the small ones spend more).
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
                "noise_multiplier",
                self.noise_multiplier,
                "expected exactly one of target_epsilon and noise_multiplier",
            )
        for name in ("target_epsilon", "noise_multiplier"):
            if getattr(self, name) is not None:
                number(0, MOST_NOISE, open_low=True, **{name: getattr(self, name)})
        if self.target_epsilon is not None and self.target_epsilon < LEAST_TARGET:
            expected = (
                f"expected at least {LEAST_TARGET}: an account is right to {ERROR}, too coarse to"
                " calibrate noise to less"
            )
            raise InputError("target_epsilon", self.target_epsilon, expected)
        number(*CLIPPING, max_grad_norm=self.max_grad_norm)
        number(0, 0.5, open_low=True, delta=self.delta)
        one_of(("prv", "rdp"), accountant=self.accountant)

    def check(self, n_train: dict[str, int], training: Training) -> None:
        """Refuse before round 1 what would make the claim empty or impossible. ``n_train``: records
        by hospital.
        """
        if training.optimizer != "sgd":
            raise UndefinedError(
                "training.optimizer", training.optimizer, "expected sgd with dp=record"
            )
        if training.proximal:
            raise UndefinedError(
                "training.proximal", training.proximal, "expected 0 with dp=record"
            )
        for hospital, n in n_train.items():
            steps = training.rounds * training.steps(n)
            if self.accountant == "prv" and steps > MOST_PRV_STEPS:
                expected = (
                    f"expected at most {MOST_PRV_STEPS:,} of {hospital} in a run, or"
                    " dp.accountant=rdp"
                )
                raise InputError("training", f"{steps:,} private steps", expected)
            if self.delta >= 1 / n:
                raise InputError(
                    "dp.delta",
                    self.delta,
                    f"expected less than 1/{n}, one over the records of {hospital}",
                )
            self.epsilon([(self.noise(n, training), sample_rate(n, training), steps)])

    def noise(self, n_train: int, training: Training) -> float:
        """The noise multiplier of a hospital with ``n_train`` records."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.target_epsilon is not None
        steps = training.rounds * training.steps(n_train)
        return calibrated(
            self.target_epsilon, self.delta, sample_rate(n_train, training), steps, self.accountant
        )

    def unprotected(self) -> RecordDP:
        """The same training without noise, and with a clipping norm that nothing reaches: what
        protection is measured against.
        """
        return replace(self, target_epsilon=None, noise_multiplier=1e-30, max_grad_norm=1e10)

    def epsilon(self, history: History) -> float:
        """Epsilon spent by everything in ``history``."""
        return spent(
            tuple((float(s), float(q), int(n)) for s, q, n in history), self.delta, self.accountant
        )

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
        """One round of DP-SGD over the given Poisson batches; returns trained weights and the
        history with these steps added.

        An empty batch is a step too: it adds noise and is accounted for.
        """
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer

        from clients.training import optimizer, seeded
        from sim.models.store import load, unload

        module = GradSampleModule(network.module())
        load(module, weights)
        rate, sigma = sample_rate(len(records), training), self.noise(len(records), training)
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
    # seconds, and a tenth of a gigabyte, that runs without privacy do without
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
    """Epsilon at ``delta`` of a history of subsampled Gaussian steps, at most ``error`` above what
    the PRV accountant proves.

    At least 0, which is what a negative answer of the accountant amounts to. Raises ``InputError``
    where there is so little noise that Opacus's accountant overflows: what it returns then is no
    epsilon.
    """
    query = (history, delta, mechanism, error)
    if query not in SPENT:
        accountant = _accountant(mechanism, history)
        options = {"eps_error": error} if mechanism == "prv" else {}
        try:
            # At a sample rate of 1 Opacus takes the logarithm of 0, and means it.
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
            raise InputError(
                "dp", history, "expected more noise: with this little, epsilon cannot be computed"
            ) from problem
    return SPENT[query]


@lru_cache(maxsize=4096)
def calibrated(epsilon: float, delta: float, rate: float, steps: int, mechanism: str) -> float:
    """The least noise multiplier (to 0.1 %) that spends at most ``epsilon`` in ``steps`` steps.

    Raises ``InputError`` if the search finds none.
    """

    from scipy.optimize import root_scalar

    def over(log_sigma: float, error: float) -> float:
        found = spent(((float(np.exp(log_sigma)), rate, steps),), delta, mechanism, error)
        # so that the search stays finite where nothing is spent
        return float(np.log(max(found, epsilon / 100) / epsilon))

    coarse = min(0.1, epsilon / 10)
    try:
        found = root_scalar(
            over,
            args=(coarse,),
            x0=(guess := _gaussian_guess(epsilon, delta, rate, steps)),
            x1=guess + 0.1,
            xtol=1e-3,
        )
        found = root_scalar(
            over, args=(ERROR,), x0=found.root, x1=found.root + 0.01, xtol=3e-4, maxiter=20
        )
    except (ArithmeticError, RuntimeError, ValueError) as error:  # InputError is a ValueError
        raise InputError(
            "dp.target_epsilon",
            epsilon,
            f"expected a budget that some noise reaches in {steps} steps",
        ) from error
    log_sigma = float(found.root)
    while over(log_sigma, ERROR) > 0:
        log_sigma += 3e-4
    return float(np.exp(log_sigma))


def _gaussian_guess(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Log of the noise multiplier by the central limit theorem for DP-SGD (Bu et al. 2020): where
    the search starts.
    """

    from scipy.optimize import brentq
    from scipy.stats import norm

    def excess(mu: float) -> float:
        return float(
            norm.cdf(-epsilon / mu + mu / 2)
            - np.exp(epsilon + norm.logcdf(-epsilon / mu - mu / 2))
            - delta
        )

    mu = float(brentq(excess, 1e-3, 50 + epsilon))
    return float(-0.5 * np.log(np.log1p(mu**2 / (rate**2 * steps))))
