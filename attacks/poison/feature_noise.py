"""Noise on measurements, the baseline of poisoning (Steinhardt et al., 2017, arXiv:1706.03691)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Records, Schema


@dataclass(frozen=True)
class FeatureNoise:
    """Wrong measurements: normal noise on the continuous values that a part of the records has.

    Args:
        share: part of the records to change, above 0 and at most 1, rounded to whole records.
        std: standard deviation of the noise, in standard deviations of the field.
    """

    share: float = 1.0
    std: float = 3.0
    about: ClassVar[About] = About(
        title="FeatureNoise",
        paper="Steinhardt et al., Certified Defenses for Data Poisoning Attacks",
        year=2017,
        sees="its own records",
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        number(0, open_low=True, std=self.std)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """The same labels, with ``round(share * n)`` records changed."""
        features = records.features.copy()
        n = len(records)
        chosen = rng.permutation(n)[: round(self.share * n)]
        for field in schema.fields:
            if field.kind == "continuous":
                there = 1.0 if field.missing is None else 1 - features[chosen, field.missing]
                noise = self.std * rng.normal(size=len(chosen))
                features[chosen, field.columns[0]] += noise * there
        return Records(features, records.labels)
