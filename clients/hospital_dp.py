"""Hospital-level differential privacy: whole updates are clipped, and their mean is noised."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from clients import accounting, discrete
from clients.accounting import (
    LEAST_DELTA,
    SEARCHED,
    Terms,
    check_choice,
)
from clients.lengths import shortened
from clients.renyi import of_divergences
from sim.errors import InputError, UndefinedError, number, one_of
from sim.kinds import Averaging
from sim.types import About, Vector, View

CLIPPING: Final = (1e-10, 1e10)  # lengths with which float32 holds updates and their noise
ROUNDED: Final = 1 + 1e-6  # a hospital clips in float32
HALF: Final = 2**31 - 1  # the largest sum in the ring of secure aggregation
REACH: Final = 8.0  # standard deviations of noise for which the ring has room
LEAST_DEVIATION: Final = 0.5  # of a hospital's share, in steps: the least for which sums are known
ORDERS: Final = 1 + np.geomspace(1e-4, 1e6, 4000)  # of the divergences that are tried
RELATIONS: Final = ("zero_out", "replace")


@dataclass(frozen=True)
class HospitalDP:
    """Clipped updates and Gaussian noise on their mean (McMahan et al., 2018, DP-FedAvg).

    Claim: the models of all rounds together are (epsilon, delta)-differentially private for a
    hospital. With ``relation=zero_out`` neighbors differ in one hospital's updates, which are zero
    instead; with ``replace`` they are any others, which takes twice the noise. That a hospital
    takes part is public. All hospitals take part in each round, so no amplification is claimed.

    With ``noise=server`` the aggregator clips and noises; it sees updates without noise and is
    trusted. The noise is ``noise_multiplier`` times what one hospital moves the mean by at most:
    the clip times the largest weight of a hospital, equal or not. Epsilon is computed with privacy
    loss distributions. With ``noise=distributed`` hospitals clip, and each adds its share of
    discrete Gaussian noise to its quantized update before it masks it (Kairouz et al., 2021); the
    claim holds against the aggregator where ``honest`` of the hospitals of a sum add theirs, the
    other ones counted as colluders. Epsilon is computed with concentrated privacy.

    ``clip``: the greatest length of an update, or with ``quantile`` the one to start with: then it
    moves to the length that this share of updates does not exceed, by a factor of up to
    exp(``clip_rate``) a round (Andrew et al., 2021). How many updates are shorter is noised too,
    with ``count_share`` of the privacy.
    """

    about: ClassVar[About] = About(
        title="Hospital-level DP",
        paper="McMahan et al. 2018, Learning Differentially Private Recurrent Language Models",
        year=2018,
        sees="whole updates, or with distributed noise their sum",
        limit="the rule mean without steps; utility is gone with few hospitals",
    )
    unit: ClassVar[str] = "hospital"
    target_epsilon: float | None
    noise_multiplier: float | None
    clip: float
    delta: float
    relation: str = "zero_out"
    noise: Literal["server", "distributed"] = "server"
    server_trusted: bool = True
    honest: float = 1.0
    quantile: float | None = None
    clip_rate: float = 0.2
    count_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values out of range, and both or neither of the two ways to set the noise."""
        check_choice("target_epsilon", self.target_epsilon, self.noise_multiplier)
        number(*CLIPPING, clip=self.clip)
        number(LEAST_DELTA, 0.5, delta=self.delta)
        number(0, 1, open_low=True, honest=self.honest)
        number(0, 1, clip_rate=self.clip_rate)
        one_of(RELATIONS, relation=self.relation)
        one_of(("server", "distributed"), noise=self.noise)
        for key, value in (("count_share", self.count_share), ("quantile", self.quantile)):
            if value is not None and not 0 < value < 1:
                raise InputError(key, value, "expected a number above 0 and below 1")
        if self.noise == "server" and not self.server_trusted:
            expected = "expected true with noise=server: the server adds the noise, and sees"
            raise InputError("server_trusted", False, f"{expected} updates or their sum without it")
        if self.noise == "distributed" and self.quantile is not None:
            expected = "expected null with noise=distributed: no hospital sees the lengths of all"
            raise InputError("quantile", self.quantile, expected)

    @property
    def place(self) -> Literal["server", "distributed"]:
        """The party that adds the noise."""
        return self.noise

    @property
    def accountant(self) -> str:
        """The method by which epsilon is computed."""
        if self.noise == "server":
            return "privacy loss distributions (dp-accounting)"
        return "concentrated privacy of sums of discrete Gaussians (Kairouz et al. 2021)"

    def check(self, averaging: Averaging) -> None:
        """Refuse a plan for which the claim would be empty or impossible, before round 1."""
        title = type(self).__name__
        if not averaging.is_mean:
            expected = "expected aggregator=mean and no steps: noise is computed for a mean"
            raise UndefinedError("dp", title, expected)
        n = averaging.n_hospitals
        if self.delta >= 1 / n:
            expected = f"expected less than 1/{n}, one over the number of hospitals"
            raise InputError("dp.delta", self.delta, expected)
        if self.quantile is not None and averaging.hides:
            expected = "expected null with secure aggregation: nobody sees the lengths of updates"
            raise UndefinedError("dp.quantile", self.quantile, expected)
        if self.noise == "distributed":
            self._check_distributed(averaging)
        self.epsilon(averaging, averaging.rounds)

    def _check_distributed(self, averaging: Averaging) -> None:
        if not averaging.masked:
            expected = "expected secagg=protocol: shares of noise are added before updates are"
            raise UndefinedError("dp.noise", self.noise, f"{expected} masked")
        if self._n_honest(averaging) < 1:
            expected = f"expected at least 1/{averaging.least}: a sum has {averaging.least}"
            raise InputError("dp.honest", self.honest, f"{expected} hospitals at least")
        n = averaging.n_hospitals
        own = self._share_deviation(averaging)
        reach = n * self.clip / averaging.step + REACH * math.sqrt(n) * own
        if reach > HALF:
            expected = "expected less noise, or coarser steps (secagg.bits): the sum of noised"
            raise InputError("dp.clip", self.clip, f"{expected} updates overflows the ring")
        if own < LEAST_DEVIATION:
            expected = "expected more noise, or finer steps (secagg.bits): a share of noise is"
            raise InputError("dp.clip", self.clip, f"{expected} below a half step")

    def noise_of(self, averaging: Averaging) -> float:
        """The noise multiplier: as configured, or the least that keeps to the target."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.target_epsilon is not None
        if self.noise == "server":
            rounds = averaging.rounds
            return accounting.calibrated(self.target_epsilon, 1.0, rounds, self._terms)
        return self._calibrated(self.target_epsilon, averaging)

    def epsilon(self, averaging: Averaging, rounds: int) -> float:
        """Epsilon of the models of so many rounds."""
        noise = self.noise_of(averaging)
        if self.noise == "server":
            return accounting.spent(((noise, 1.0, rounds),), self._terms)
        return self._concentrated(noise, averaging, rounds)

    @property
    def single_epsilon(self) -> float | None:
        """Epsilon of one message: None, for only the mean is protected."""
        return None

    def mechanism(self, averaging: Averaging) -> str:
        """The mechanism in words."""
        noise = self.noise_of(averaging)
        length = f"a length of at most {self.clip:.3g}"
        if self.quantile is not None:
            length = f"the length that {self.quantile:.0%} do not exceed, from {self.clip:.3g} on"
        if self.noise == "server":
            return (
                f"updates clipped to {length}; Gaussian noise on their mean, added by the"
                f" aggregator, of {noise:.3g} times what one hospital moves it by at most"
            )
        shares = f"{self._n_honest(averaging)} of at least {averaging.least} hospitals of a sum"
        return (
            f"updates clipped to {length}; discrete Gaussian noise in the ring of secure"
            f" aggregation, a share by each hospital; {shares} add theirs: {noise:.3g} times what"
            " one hospital moves the sum by at most"
        )

    def uploaded(self, update: Vector, averaging: Averaging, rng: np.random.Generator) -> Vector:
        """The update that a hospital uploads, (n_params,).

        It is clipped where the clip is fixed.
        """
        if self.quantile is not None:
            return update
        return shortened(np.asarray(update, np.float32), self.clip)

    def share(self, averaging: Averaging, rng: np.random.Generator) -> NDArray[np.int64]:
        """A hospital's share of distributed noise, (n_params,) in steps of its quantized update."""
        return discrete.gaussian(self._share_deviation(averaging), averaging.n_params, rng)

    def clipped(self, view: View, clip: float) -> View:
        """The view with the updates of single hospitals clipped; sums are of clipped updates."""
        if any(len(group) > 1 for group in view.members):
            return view
        rows = view.rows.astype(np.float64)
        lengths = np.linalg.norm(rows, axis=1)
        return replace(view, rows=rows * (clip / np.maximum(lengths, clip))[:, None])

    def deviation(self, averaging: Averaging, clip: float, largest: float) -> float:
        """The standard deviation of the noise in a coordinate of a round's mean.

        ``largest``: the largest weight of a hospital in the mean.
        """
        if self.noise == "distributed":
            return self._share_deviation(averaging) * averaging.step * math.sqrt(largest)
        moved = clip * ROUNDED + averaging.step * math.sqrt(averaging.n_params)
        of_counts = self.count_share if self.quantile is not None else 0.0
        reach = moved if averaging.hides else clip
        return self.noise_of(averaging) / math.sqrt(1 - of_counts) * reach * largest

    def following(
        self, clip: float, view: View, averaging: Averaging, rng: np.random.Generator
    ) -> float:
        """The clip of the next round, from how many updates are no longer than this one.

        The number is noised; beyond 0 and all it counts as these. An update of zero counts half, so
        that a hospital moves the number by a half where its update is zero instead, and by one
        where it is another.
        """
        if self.quantile is None:
            return clip
        n = len(view.rows)
        lengths = np.linalg.norm(view.rows.astype(np.float64), axis=1)
        deviation = self.noise_of(averaging) / (2 * math.sqrt(self.count_share))
        counted = np.count_nonzero(lengths <= clip) - np.count_nonzero(lengths == 0) / 2
        centered = counted - n / 2 + deviation * rng.standard_normal()
        share = min(max(float(centered) / n + 0.5, 0.0), 1.0)
        moved = clip * math.exp(-self.clip_rate * (share - self.quantile))
        return min(max(moved, CLIPPING[0]), CLIPPING[1])

    @property
    def _terms(self) -> Terms:
        return Terms("add_remove" if self.relation == "zero_out" else "replace", self.delta)

    def _n_honest(self, averaging: Averaging) -> int:
        """The fewest shares of noise that a sum holds against colluders and the aggregator."""
        return math.floor(self.honest * averaging.least + 1e-9)

    def _share_deviation(self, averaging: Averaging) -> float:
        """The standard deviation of a hospital's share of the noise, in steps.

        An update of whole steps is longer than the clip by at most a step in each coordinate.
        """
        moved = self.clip * ROUNDED / averaging.step + math.sqrt(averaging.n_params)
        return self.noise_of(averaging) * moved / math.sqrt(self._n_honest(averaging))

    def _concentrated(self, noise: float, averaging: Averaging, rounds: int) -> float:
        """Epsilon by Kairouz et al. 2021, Theorem 1, of sums of discrete Gaussians."""
        n = self._n_honest(averaging)
        moved = self.clip * ROUNDED / averaging.step + math.sqrt(averaging.n_params)
        own = noise * moved / math.sqrt(n)
        gap = 10 * sum(math.exp(-2 * (math.pi * own) ** 2 * k / (k + 1)) for k in range(1, n))
        ratio = (2 if self.relation == "replace" else 1) / noise
        dimension = averaging.n_params
        root = min(math.sqrt(ratio**2 + gap * dimension / 2), ratio + gap * math.sqrt(dimension))
        return of_divergences(ORDERS, ORDERS * rounds * root**2 / 2, self.delta)

    def _calibrated(self, epsilon: float, averaging: Averaging) -> float:
        from scipy.optimize import brentq

        def over(log_noise: float) -> float:
            found = self._concentrated(math.exp(log_noise), averaging, averaging.rounds)
            return math.log(max(found, 1e-300) / epsilon)

        if over(SEARCHED[1]) > 0 or over(SEARCHED[0]) < 0:
            expected = f"expected a budget that noise from {math.exp(SEARCHED[0]):g} on reaches"
            raise InputError("dp.target_epsilon", epsilon, expected)
        root = float(brentq(over, *SEARCHED, xtol=1e-7))
        while over(root) > 0:
            root += 1e-7
        return math.exp(root)
