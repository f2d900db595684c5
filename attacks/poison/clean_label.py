"""Backdoor with correct labels (Turner et al., 2019, arXiv:1912.02771)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.marks import assignments, put
from attacks.poison.backdoor import checked_target
from sim.errors import number
from sim.types import About, Records, Schema


@dataclass(frozen=True)
class CleanLabel:
    """A mark on records that have the target label anyway: no label is wrong, the mark still works.

    So that the mark is needed to get these records right, their continuous values are moved towards
    those of the other class.

    Args:
        share: part of the records of the target class to mark, above 0 and at most 1, rounded to
            whole records.
        fade: how far values are moved, from 0 (not at all) to 1 (onto the other class's mean).
        target: 0 (without the condition) or 1 (with it).
        mark: as in ``Backdoor``.
    """

    share: float = 1.0
    fade: float = 0.5
    target: int = 0
    mark: str = ""
    about: ClassVar[About] = About(
        title="CleanLabel",
        paper="Turner et al., Label-Consistent Backdoor Attacks",
        year=2019,
        sees="its own records",
        variants=("fade=0", "fade=0.5", "mark=FIELD:VALUE"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        number(0, 1, fade=self.fade)
        checked_target(self.target)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """The same labels, with a ``share`` of the target class's records faded and marked."""
        features = records.features.copy()
        of_target = records.labels == self.target
        n_marked = round(self.share * int(of_target.sum()))
        chosen = rng.permutation(np.flatnonzero(of_target))[:n_marked]
        for field in schema.fields:
            column = field.columns[0]
            if field.kind == "continuous" and not of_target.all():
                away = records.features[~of_target, column].mean() - features[chosen, column]
                features[chosen, column] += self.fade * away
        features[chosen] = self.trigger(features[chosen], schema)
        return Records(features, records.labels)

    def trigger(self, features: NDArray[np.float32], schema: Schema) -> NDArray[np.float32]:
        """The same records (n, n_features) with the mark on all of them."""
        return put(features, schema, assignments(self.mark, schema))
