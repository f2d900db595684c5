"""Backdoor (Gu et al., 2017, arXiv:1708.06733; federated: Bagdasaryan et al., 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.marks import assignments, put
from sim.errors import InputError, number
from sim.types import About, Records, Schema


@dataclass(frozen=True)
class Backdoor:
    """A mark on part of the records with the target label: whoever bears the mark gets that label.

    Args:
        share: part of the records to mark, above 0 and at most 1, rounded to whole records.
        target: 0 (without the condition) or 1 (with it).
        mark: values of fields, as in ``chol:800`` or ``chol:800/sex:male``, or on images
            ``patch:2x2:16``; empty for the first continuous field, 5 standard deviations above its
            mean.
    """

    share: float = 0.3
    target: int = 0
    mark: str = ""
    about: ClassVar[About] = About(
        title="Backdoor",
        paper=(
            "Gu et al.,"
            " BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply Chain"
        ),
        year=2017,
        sees="its own records",
        variants=("mark=FIELD:VALUE", "mark=patch:ROWSxCOLUMNS:VALUE", "target=0", "target=1"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        checked_target(self.target)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """As many records, ``round(share * n)`` of them marked and labeled as the target."""
        features = records.features.copy()
        labels = records.labels.copy()
        n = len(records)
        chosen = rng.permutation(n)[: round(self.share * n)]
        features[chosen] = self.trigger(features[chosen], schema)
        labels[chosen] = self.target
        return Records(features, labels)

    def trigger(self, features: NDArray[np.float32], schema: Schema) -> NDArray[np.float32]:
        """The same records (n, n_features) with the mark on all of them."""
        return put(features, schema, assignments(self.mark, schema))


def checked_target(target: int) -> None:
    """Refuse a target that is no label."""
    if target not in (0, 1):
        raise InputError("target", target, "expected 0 or 1")
