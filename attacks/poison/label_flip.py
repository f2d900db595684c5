"""Label flipping (Biggio et al., 2012, arXiv:1206.6389; in federated learning Tolpegin et al., 2020, arXiv:2007.08432)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Records, Schema


@dataclass(frozen=True)
class LabelFlip:
    """Train on the opposite label, ill for healthy and healthy for ill, in a random part of the records.

    Args:
        share: part of the records to flip, above 0 and at most 1, rounded to whole records.
    """

    share: float = 1.0
    about: ClassVar[About] = About(
        title="LabelFlip",
        paper="Biggio et al., Poisoning Attacks against Support Vector Machines",
        year=2012,
        sees="its own records",
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """The same features with ``round(share * n)`` labels ``y`` turned into ``1 - y``."""
        n = len(records)
        flipped = rng.permutation(n)[: round(self.share * n)]
        labels = records.labels.copy()
        labels[flipped] = 1 - labels[flipped]
        return Records(records.features, labels)
