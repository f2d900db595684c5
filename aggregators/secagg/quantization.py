"""Updates as whole numbers, which a ring adds up exactly (Bonawitz et al., 2017, section 5)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError, number, whole
from sim.types import Updates, Vector

RING_BITS = 32  # sums are taken modulo 2**32
HALF = 1 << (RING_BITS - 1)  # the ring holds sums from -HALF to HALF - 1
MANTISSA = 24  # bits of a whole number that float32 holds exactly


@dataclass(frozen=True)
class Quantization:
    """The agreed range and step of quantized updates: coordinates from ``-clip`` to ``clip``.

    Each coordinate becomes a whole number of at most ``bits`` bits with its sign, in units of a
    step. The step is a power of two, so float32 holds quantized coordinates exactly.
    """

    clip: float = 2.0
    bits: int = 22

    def __post_init__(self) -> None:
        number(1e-6, 1e6, clip=self.clip)
        whole(2, MANTISSA, bits=self.bits)

    @property
    def step(self) -> float:
        """The difference of two neighboring values, a power of two."""
        mantissa, exponent = math.frexp(self.clip)
        of_clip = exponent - 1 if mantissa == 0.5 else exponent  # 2**of_clip is at least clip
        return math.ldexp(1.0, of_clip - self.bits + 1)

    @property
    def levels(self) -> int:
        """The largest absolute whole number that a coordinate becomes."""
        return math.ceil(self.clip / self.step)

    @property
    def most_hospitals(self) -> int:
        """The most hospitals whose sum the ring holds, whatever their updates are."""
        return (HALF - 1) // self.levels

    def refusal(self, n_hospitals: int) -> str | None:
        """The reason why the sum of ``n_hospitals`` could overflow the ring; None if it cannot."""
        if n_hospitals <= self.most_hospitals:
            return None
        reach = f"{n_hospitals:,} hospitals x {self.levels:,} levels"
        return (
            f"bits={self.bits}: the sum of {reach} overflows the ring of {RING_BITS} bits,"
            f" which holds that of {self.most_hospitals:,} hospitals; fewer bits would do"
        )

    def error(self, n: int) -> float:
        """The largest standard deviation of a coordinate's error in a mean of ``n`` updates.

        It is that of stochastic rounding, which is unbiased; a single coordinate's error is below
        ``step``. The error of clipped coordinates comes on top.
        """
        return self.step / (2 * math.sqrt(n))

    def rounded(
        self, updates: Updates, noise: Sequence[NDArray[np.floating]] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Updates (n, n_params) in whole steps, and how many coordinates of each were clipped.

        ``noise``: of each update the draws of stochastic rounding, (n_params,) in [0, 1). A value
        between two steps is rounded up with a probability of its place between them, to within
        2**-24: its expectation is the value. None: to the nearest step.
        """
        n_clipped = np.zeros(len(updates), dtype=np.int64)
        reach = max(float(updates.max(initial=0.0)), -float(updates.min(initial=0.0)))
        if reach > self.clip:
            exact = updates.astype(np.float64)
            n_clipped = np.count_nonzero(np.abs(exact) > self.clip, axis=1)
            updates = np.clip(exact, -self.clip, self.clip)
        steps = updates.astype(np.float64)
        steps *= 1 / self.step
        if noise is None:
            return np.rint(steps, out=steps), n_clipped
        for row, draws in zip(steps, noise, strict=True):
            row += draws
        return np.floor(steps, out=steps), n_clipped

    def quantize(self, update: Vector, rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
        """The update in whole steps, (n_params,), and how many coordinates were clipped.

        Raises ``RefusedError`` for values that are not finite.
        """
        if not np.isfinite(update).all():
            raise RefusedError("an update with values that are not finite cannot be quantized")
        steps, n_clipped = self.rounded(update[None], [rng.random(len(update), dtype=np.float32)])
        return steps[0].astype(np.int64), int(n_clipped[0])

    def exact(self, whole_steps: NDArray[np.int64]) -> NDArray[np.float32]:
        """Quantized coordinates as float32 values, without any further rounding."""
        return (whole_steps * self.step).astype(np.float32)

    def value(self, total: NDArray[np.int64] | NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """The mean of ``n`` updates whose sum in whole steps is ``total``."""
        return total * self.step / n
