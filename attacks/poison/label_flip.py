"""Label flipping (Biggio et al., 2012, arXiv:1206.6389; federated: Tolpegin et al., 2020)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.marks import picked
from sim.errors import number, one_of
from sim.types import About, Records, Schema

LABELS = {"both": (0, 1), "with_condition": (1,), "without_condition": (0,)}


@dataclass(frozen=True)
class LabelFlip:
    """The opposite label on a random part of the records.

    Args:
        share: part of the records to flip, above 0 and at most 1, rounded to whole records.
        of: labels that are flipped: ``both``, or the paper's targeted form, only those of patients
            ``with_condition`` or ``without_condition``.
        where: only records that fit, as in ``sex:female`` or ``age:60+``; all if empty.
    """

    share: float = 1.0
    of: Literal["both", "with_condition", "without_condition"] = "both"
    where: str = ""
    about: ClassVar[About] = About(
        title="LabelFlip",
        paper="Biggio et al., Poisoning Attacks against Support Vector Machines",
        year=2012,
        sees="its own records",
        variants=("of=both", "of=with_condition", "of=without_condition", "where=FIELD:LEVEL"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        one_of(tuple(LABELS), of=self.of)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """The same features, with a ``share`` of the labels in question turned around."""
        fits = picked(records.features, schema, self.where)
        meant = np.flatnonzero(np.isin(records.labels, LABELS[self.of]) & fits)
        flipped = rng.permutation(meant)[: round(self.share * len(meant))]
        labels = records.labels.copy()
        labels[flipped] = 1 - labels[flipped]
        return Records(records.features, labels)
