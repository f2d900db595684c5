"""No secure aggregation: the aggregator sees every hospital's update (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.types import About, Members, Roll


@dataclass(frozen=True)
class Clear:
    """Each hospital is a row of the view, and the aggregator learns record counts."""

    about: ClassVar[About] = About(
        title="Clear",
        paper=(
            "McMahan et al.,"
            " Communication-Efficient Learning of Deep Networks from Decentralized Data"
        ),
        year=2017,
        sees="every hospital's update and record count",
    )
    least: ClassVar[int] = 1
    quantization: ClassVar[None] = None
    is_redrawn: ClassVar[bool] = False
    by_records: ClassVar[bool] = False

    def __call__(self, roll: Roll, rng: np.random.Generator) -> Members:
        """Each hospital by itself."""
        return tuple((hospital,) for hospital in roll.hospitals)
