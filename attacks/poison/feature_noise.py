"""Noise on measurements (random perturbation, the baseline of poisoning; Steinhardt et al., 2017,
arXiv:1706.03691).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import number
from sim.types import About, Records, Schema


@dataclass(frozen=True)
class FeatureNoise:
    """Train on measurements that are wrong: normal noise on every continuous value that is not
    missing, in part of the records.

    Args:
        share: part of the records to change, above 0 and at most 1, rounded to whole records.
        std: of the noise, in standard deviations of the field.
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
        features, n = records.features.copy(), len(records)
        chosen = rng.permutation(n)[: round(self.share * n)]
        for field in schema.fields:
            if field.kind == "continuous":
                there = 1.0 if field.missing is None else 1 - features[chosen, field.missing]
                features[chosen, field.columns[0]] += (
                    self.std * rng.normal(size=len(chosen)) * there
                )
        return Records(features, records.labels)
