"""Secure aggregation into one sum (Bonawitz et al., 2017, IACR ePrint 2017/281)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.secagg.base import Shown
from sim.types import About, Members, Roll


@dataclass(frozen=True)
class Sum(Shown):
    """One row, the average over all hospitals, and nothing finer; record counts stay hidden.

    The outcome of the protocol, to the last digit, without its messages: updates are quantized and
    added up, and masks are not simulated.

    Args:
        least: usable updates that the sum must have; with fewer the round is skipped.
        clip: largest absolute value of a coordinate of an update; larger ones are clipped.
        bits: of a quantized coordinate, with its sign.
        agreement: whether hospitals compare the model that they were sent before they upload.
    """

    about: ClassVar[About] = About(
        title="Sum",
        paper=(
            "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning"
        ),
        year=2017,
        sees="the sum over all hospitals",
    )

    def __call__(self, roll: Roll, rng: np.random.Generator) -> Members:
        """All hospitals in one group."""
        return (roll.hospitals,)
