"""Local differential privacy: each hospital clips its update and noises it before it sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clients import accounting
from clients.accounting import LEAST_DELTA, Terms, check_choice
from clients.hospital_dp import CLIPPING
from clients.lengths import shortened
from sim.errors import InputError, number
from sim.kinds import Averaging
from sim.types import About, Vector, View


@dataclass(frozen=True)
class LocalDP:
    """The Gaussian mechanism on each message (calibrated by Balle and Wang, 2018).

    Claim: each update that a hospital sends is (``message_epsilon``, delta)-differentially private
    for replacing all that it was made of: nobody, the aggregator included, can tell it from the
    update of any other hospital beyond that. Messages of a hospital compose over the rounds; the
    stated epsilon is of all of them.

    Give either ``message_epsilon``, to which noise is calibrated, or ``noise_multiplier``, the
    noise in units of ``clip``, the greatest length of an update.
    """

    about: ClassVar[About] = About(
        title="Local DP",
        paper="Balle and Wang 2018, Improving the Gaussian Mechanism for Differential Privacy",
        year=2018,
        sees="a hospital's own update",
        limit="noise as long as many updates: utility is gone with few hospitals",
    )
    unit: ClassVar[str] = "hospital"
    relation: ClassVar[str] = "replace"
    accountant: ClassVar[str] = "privacy loss distributions (dp-accounting)"
    place: ClassVar[Literal["hospital"]] = "hospital"
    quantile: ClassVar[None] = None
    target_epsilon: ClassVar[None] = None
    message_epsilon: float | None
    noise_multiplier: float | None
    clip: float
    delta: float

    def __post_init__(self) -> None:
        """Refuse values out of range, and both or neither of the two ways to set the noise."""
        check_choice("message_epsilon", self.message_epsilon, self.noise_multiplier)
        number(*CLIPPING, clip=self.clip)
        number(LEAST_DELTA, 0.5, delta=self.delta)

    def check(self, averaging: Averaging) -> None:
        """Refuse a plan for which the claim would be empty, before round 1."""
        n = averaging.n_hospitals
        if self.delta >= 1 / n:
            expected = f"expected less than 1/{n}, one over the number of hospitals"
            raise InputError("dp.delta", self.delta, expected)
        self.epsilon(averaging, averaging.rounds)

    def noise_of(self, averaging: Averaging) -> float:
        """The noise multiplier: as configured, or calibrated to one message."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.message_epsilon is not None
        # two updates differ by up to twice the clip
        return 2 * accounting.gaussian_noise(self.message_epsilon, self.delta)

    def epsilon(self, averaging: Averaging, rounds: int) -> float:
        """Epsilon of all messages of a hospital in so many rounds."""
        return accounting.spent(((self.noise_of(averaging), 1.0, rounds),), self._terms)

    @property
    def single_epsilon(self) -> float | None:
        """Epsilon of one message."""
        if self.message_epsilon is not None:
            return self.message_epsilon
        assert self.noise_multiplier is not None
        return accounting.spent(((self.noise_multiplier, 1.0, 1),), self._terms)

    def mechanism(self, averaging: Averaging) -> str:
        """The mechanism in words."""
        return (
            f"each update clipped to a length of at most {self.clip:.3g}, and Gaussian noise of"
            f" {self.noise_of(averaging):.3g} times that added in the hospital"
        )

    def uploaded(self, update: Vector, averaging: Averaging, rng: np.random.Generator) -> Vector:
        """The update that a hospital uploads, (n_params,): clipped and noised."""
        short = shortened(np.asarray(update, np.float32), self.clip)
        noise = rng.standard_normal(len(short)) * (self.noise_of(averaging) * self.clip)
        return np.asarray(short + noise, np.float32)

    def share(self, averaging: Averaging, rng: np.random.Generator) -> NDArray[np.int64]:
        """None: the noise is in what was uploaded."""
        return np.zeros(averaging.n_params, np.int64)

    def clipped(self, view: View, clip: float) -> View:
        """The view as it is: nobody but the hospital clips."""
        return view

    def deviation(self, averaging: Averaging, clip: float, largest: float) -> float:
        """The standard deviation of the noise in a coordinate of a mean of equal weights.

        ``largest``: the largest weight of a hospital in the mean.
        """
        return self.noise_of(averaging) * self.clip * float(np.sqrt(largest))

    def following(
        self, clip: float, view: View, averaging: Averaging, rng: np.random.Generator
    ) -> float:
        """The clip of the next round: the same."""
        return clip

    @property
    def _terms(self) -> Terms:
        return Terms(self.relation, self.delta)
