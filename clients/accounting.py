"""The account of DP-SGD by dp-accounting's privacy loss distributions, and the least noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sim.devices import one_thread
from sim.errors import InputError, number

if TYPE_CHECKING:
    from collections.abc import Callable

RELATIONS: Final = ("replace", "add_remove")
PRECISION = 6e-4  # relative: how far epsilon still moves when the grid of losses is halved; a
# third of that, as the error falls with the square of the grid's step, is left
COARSER = 2.4e-3  # the same of steps that are sampled so rarely that their grids are large
ROUGH = 2e-2  # the same in the search for their noise, before it is polished
POLISHED = 1e-3  # of the logarithm of epsilon, by which polished noise may undercut a target
MOST_POLISHING = 6  # accounts of polished noise
LARGE = 200_000  # losses on a grid of a tenth of a step's deviation, from which on grids are large
WIDEST = 50.0  # step of a grid of losses: their exponentials are floats
COARSEST = 20_000  # losses on the grid of one step, at the start of the search for one
FINEST = 5_000_000  # losses on the grid of one step, at most
LEAST_TARGET = 1e-3  # smallest epsilon that noise is calibrated to
LEAST_DELTA = 1e-10  # far above what distributions of losses are cut at
HALVINGS = 9  # of a grid's step, before an account is given up
N_BOUNDS = 400  # values of epsilon that a bound of a true positive rate is the least of
LARGEST_EXPONENT = 700.0
MOST_STEPS = 100_000  # of a hospital in a run
LEAST_RATE = 1e-4  # of sampling: below it an account takes a minute
MOST_EPSILON = 1e3  # largest that noise is calibrated to
MOST_NOISE = 1e5  # largest noise multiplier
LEAST_NOISE = 1e-2  # smallest noise multiplier that calibration tries
SEARCHED = (math.log(LEAST_NOISE), math.log(MOST_NOISE))
STRIDE = 0.25  # of the search for two noises that a target lies between, in their logarithms
XTOL = 2e-4  # of the noise found, in its logarithm
LEAST_SPREAD = 1e-9  # of a Gaussian whose loss is guessed

Step: TypeAlias = tuple[float, float, int]  # noise multiplier, sampling rate, number of steps


def check_choice(epsilon_key: str, epsilon: float | None, noise_multiplier: float | None) -> None:
    """Raise ``InputError`` unless one of a target and a noise multiplier is set, and in range."""
    if (epsilon is None) == (noise_multiplier is None):
        expected = f"expected exactly one of {epsilon_key} and noise_multiplier"
        raise InputError("noise_multiplier", noise_multiplier, expected)
    if noise_multiplier is not None:
        number(0, MOST_NOISE, open_low=True, noise_multiplier=noise_multiplier)
    if epsilon is not None:
        number(LEAST_TARGET, MOST_EPSILON, open_low=False, **{epsilon_key: epsilon})


class Losses(Protocol):
    """A distribution of privacy losses, as dp-accounting has it."""

    def self_compose(self, num_times: int) -> Losses: ...

    def compose(self, other: Losses) -> Losses: ...

    def get_epsilon_for_delta(self, delta: float) -> float: ...

    def get_delta_for_epsilon(
        self, epsilon: float | NDArray[np.float64]
    ) -> float | NDArray[np.float64]: ...


@dataclass(frozen=True)
class Terms:
    """The statement that an account is for: the relation between neighbors, and delta.

    ``records``: how many records neighbors differ in, each of which joins a batch on its own.
    """

    relation: str
    delta: float
    records: int = 1


# questions to the accountant -> its answers, of which each takes a part of a second
ANSWERS: dict[object, float] = {}


def spent(history: tuple[Step, ...], terms: Terms) -> float:
    """Epsilon of a history of subsampled Gaussian steps: never below the truth.

    It is at most 0.1 % above the truth up to an epsilon of 500, and 1 % beyond.

    Raises:
        InputError: no grid of losses is fine enough, because of too little noise as a rule.
    """
    return _answer(("spent", history, terms), lambda: _spent(history, terms))


def calibrated(epsilon: float, rate: float, steps: int, terms: Terms) -> float:
    """The least noise multiplier, to 0.2 %, that spends at most ``epsilon`` in ``steps`` steps.

    Raises ``InputError`` where no noise does.
    """
    question = ("calibrated", epsilon, rate, steps, terms)
    return _answer(question, lambda: _calibrated(epsilon, rate, steps, terms))


def advantage(history: tuple[Step, ...], terms: Terms) -> float:
    """The largest true minus false positive rate of any test of which neighbor was trained on."""
    return _answer(("advantage", history, terms), lambda: _advantage(history, terms))


def true_positives(history: tuple[Step, ...], terms: Terms, false_positives: float) -> float:
    """The largest true positive rate of such a test with this false positive rate."""
    question = ("true positives", history, terms, false_positives)
    return _answer(question, lambda: _true_positives(history, terms, false_positives))


def gaussian_noise(epsilon: float, delta: float) -> float:
    """The least noise of one Gaussian release, over what neighbors differ by at most.

    It is the analytic calibration (Balle and Wang 2018, Theorem 8), to 1e-9.
    """
    return _answer(("gaussian", epsilon, delta), lambda: 1 / _spread(epsilon, delta))


def _advantage(history: tuple[Step, ...], terms: Terms) -> float:
    losses = _fine(history, terms)
    return 0.0 if losses is None else float(np.asarray(losses.get_delta_for_epsilon(0.0)))


def _true_positives(history: tuple[Step, ...], terms: Terms, false_positives: float) -> float:
    """The least of the bounds that each (epsilon, delta) gives (Kairouz et al. 2015)."""
    losses = _fine(history, terms)
    if losses is None:
        return false_positives
    most = min(spent(history, Terms(terms.relation, LEAST_DELTA)), LARGEST_EXPONENT)
    epsilons = np.linspace(0, most, N_BOUNDS)
    deltas = np.asarray(losses.get_delta_for_epsilon(epsilons))
    growing = np.exp(epsilons) * false_positives + deltas
    falling = 1 - np.exp(-epsilons) * (1 - deltas - false_positives)
    return float(min(1.0, growing.min(), falling.min()))


def _fine(history: tuple[Step, ...], terms: Terms) -> Losses | None:
    """The distribution of losses on the grid that starts the search; None where nothing is done."""
    live = tuple(step for step in history if step[2] > 0)
    if not live:
        return None
    interval = min(interval_of(noise, rate) for noise, rate, _ in live)
    return composed(live, terms.relation, interval / 2)


def _answer(question: object, compute: Callable[[], float]) -> float:
    if question not in ANSWERS:
        ANSWERS[question] = compute()
    return ANSWERS[question]


def _spent(history: tuple[Step, ...], terms: Terms, precision: float | None = None) -> float:
    """Epsilon. ``precision``: see ``PRECISION``; None takes that of the size of the grids."""
    live = tuple(step for step in history if step[2] > 0)
    if not live:
        return 0.0
    if terms.records > 1:
        from clients import several  # which builds on this module

        return several.spent(live, terms)
    if precision is None:
        large = any(_is_large(noise, rate) for noise, rate, _ in live)
        precision = COARSER if large else PRECISION
    interval = min(interval_of(noise, rate) for noise, rate, _ in live)
    found = _epsilon(live, terms, interval)
    for _ in range(HALVINGS):
        interval /= 2
        finer = _epsilon(live, terms, interval)
        if abs(found - finer) <= precision * finer:
            return finer
        if finer > found:  # which only rounding of floats makes it
            break
        found = finer
    raise uncountable(history)


def _epsilon(history: tuple[Step, ...], terms: Terms, interval: float) -> float:
    found = composed(history, terms.relation, interval).get_epsilon_for_delta(terms.delta)
    if not math.isfinite(found):
        raise uncountable(history)
    return float(found)


@lru_cache(maxsize=2)  # bounds of one history ask for the same two grids, one after the other
@one_thread()
def composed(history: tuple[Step, ...], relation: str, interval: float) -> Losses:
    """The distribution of the privacy loss of a history, on a grid of steps of ``interval``.

    It is pessimistic: epsilon and delta read from it are upper bounds.
    """
    # runs without privacy do without this import
    from dp_accounting.pld import privacy_loss_distribution as distributions
    from dp_accounting.privacy_accountant import NeighboringRelation

    neighbors = {
        "replace": NeighboringRelation.REPLACE_ONE,
        "add_remove": NeighboringRelation.ADD_OR_REMOVE_ONE,
    }[relation]
    found: Losses | None = None
    for noise, rate, steps in history:
        if _extent(noise, rate) > FINEST * interval:
            raise uncountable(history)
        one: Losses = distributions.from_gaussian_mechanism(
            noise,
            sampling_prob=rate,
            value_discretization_interval=interval,
            neighboring_relation=neighbors,
        )
        part = one.self_compose(steps)
        found = part if found is None else found.compose(part)
    assert found is not None
    return found


def interval_of(noise: float, rate: float) -> float:
    """A grid's step to start with: a tenth of the standard deviation of a step's loss, about.

    It is at most that of losses which are either large or nothing, and not so small that a step's
    losses would be on more than ``COARSEST`` places of the grid.
    """
    return min(max(0.1 * _deviation(noise, rate), _extent(noise, rate) / COARSEST), WIDEST)


def _deviation(noise: float, rate: float) -> float:
    """The standard deviation of a step's loss, about."""
    precision = 1 / noise
    spread = rate * math.sqrt(math.expm1(min(precision**2, 100.0)))
    return min(spread, math.sqrt(rate) * (precision**2 / 2 + precision))


def _is_large(noise: float, rate: float) -> bool:
    """Whether a grid that is fine enough for a step has so many losses that accounts are slow."""
    return _extent(noise, rate) > LARGE * 0.1 * _deviation(noise, rate)


def _extent(noise: float, rate: float) -> float:
    """The largest loss of one step that is on the grid, about: that of 10 standard deviations."""
    whole = 20 / noise + 2 / noise**2
    return math.log1p(rate * math.expm1(whole)) if whole < 700 else whole


def uncountable(history: tuple[Step, ...]) -> InputError:
    """The error of an account that no grid of losses is fine enough for."""
    expected = "expected more noise or fewer steps: of these, epsilon cannot be computed"
    return InputError("dp", history, expected)


def _calibrated(epsilon: float, rate: float, steps: int, terms: Terms) -> float:
    from scipy.optimize import brentq

    def over(log_noise: float) -> float:
        """The logarithm of what is spent over the target, from -1 to 1; roughly of large grids."""
        noise = math.exp(log_noise)
        history = ((noise, rate, steps),)
        try:
            if _is_large(noise, rate):
                question = ("rough", history, terms)
                found = _answer(question, lambda: _spent(history, terms, ROUGH))
            else:
                found = spent(history, terms)
        except InputError:
            return 1.0  # too little noise to tell how far above the target
        return min(1.0, math.log(max(found / epsilon, math.exp(-1))))

    low = high = min(max(_guess(epsilon, rate, steps, terms), SEARCHED[0]), SEARCHED[1])
    while over(high) > 0:
        if high >= SEARCHED[1]:
            expected = f"expected a budget that noise of {MOST_NOISE:,.0f} times the clipping norm"
            raise InputError("dp.target_epsilon", epsilon, f"{expected} reaches in {steps} steps")
        low = high
        high = min(high + STRIDE, SEARCHED[1])
    while over(low) <= 0:
        if low <= SEARCHED[0]:
            expected = f"expected a budget that noise of {LEAST_NOISE} times the clipping norm"
            raise InputError("dp.target_epsilon", epsilon, f"{expected} exceeds in {steps} steps")
        high = low
        low = max(low - STRIDE, SEARCHED[0])
    root = float(brentq(over, low, high, xtol=XTOL))
    if _is_large(math.exp(root), rate):
        return _polished(root, (over(high) - over(low)) / (high - low), epsilon, rate, steps, terms)
    while over(root) > 0:
        root += XTOL
    return math.exp(root)


def _polished(
    root: float, slope: float, epsilon: float, rate: float, steps: int, terms: Terms
) -> float:
    """The noise near a rough one, exp(root), that meets the target and hardly undercuts it.

    ``slope``: of the logarithm of epsilon, by that of the noise.
    """
    for _ in range(MOST_POLISHING):
        found = spent(((math.exp(root), rate, steps),), terms)
        gap = math.log(found / epsilon)
        if -POLISHED <= gap <= 0:
            break
        root -= (gap + POLISHED / 2) / slope
    while spent(((math.exp(root), rate, steps),), terms) > epsilon:
        root += XTOL
    return math.exp(root)


def _guess(epsilon: float, rate: float, steps: int, terms: Terms) -> float:
    """Log of a noise multiplier to start from, by DP-SGD's central limit (Bu et al., 2020)."""
    try:
        mu = _spread(epsilon, terms.delta)
    except ValueError:  # it is out of the range that is searched
        return 0.0
    moved = 2 if terms.relation == "replace" else 1
    return -0.5 * math.log(math.log1p(mu**2 / (moved * rate) ** 2 / steps))


def _spread(epsilon: float, delta: float) -> float:
    """The largest distance of two Gaussians of deviation 1 that keeps to (epsilon, delta).

    Raises ``ValueError`` where it is not between ``LEAST_SPREAD`` and 50 + 2 epsilon.
    """
    from scipy.optimize import brentq
    from scipy.special import log_ndtr, ndtr

    def excess(mu: float) -> float:
        reached = ndtr(-epsilon / mu + mu / 2)
        return float(reached - math.exp(epsilon + log_ndtr(-epsilon / mu - mu / 2)) - delta)

    return float(brentq(excess, LEAST_SPREAD, 50 + 2 * epsilon))
