"""Distributed backdoor (Xie et al., 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared.marks import assignments, put
from attacks.poison.backdoor import Backdoor, checked_target
from sim.errors import number, whole
from sim.types import About, Records, Schema


@dataclass(frozen=True)
class DistributedBackdoor:
    """A mark in parts: each hostile hospital trains with one, the whole is used on the final model.

    Args:
        share: part of the records to mark, above 0 and at most 1, rounded to whole records.
        target: 0 (without the condition) or 1 (with it).
        mark: values of fields, one or more a part, as in ``chol:800/thalach:300``; empty for the
            first ``parts`` continuous fields, each 5 standard deviations above its mean.
        parts: number of parts of the mark; hospital ``i`` among the hostile gets part
            ``i mod parts``.
    """

    share: float = 0.3
    target: int = 0
    mark: str = ""
    parts: int = 3
    about: ClassVar[About] = About(
        title="DistributedBackdoor",
        paper="Xie et al., DBA: Distributed Backdoor Attacks against Federated Learning",
        year=2020,
        sees="its own records",
        variants=("mark=FIELD:VALUE/FIELD:VALUE", "target=0", "target=1"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        whole(1, parts=self.parts)
        checked_target(self.target)

    def __call__(self, records: Records, schema: Schema, rng: np.random.Generator) -> Records:
        """Records poisoned with a part drawn at random, for a hospital that has none."""
        return self.part(int(rng.integers(self.parts)), schema)(records, schema, rng)

    def part(self, rank: int, schema: Schema) -> Backdoor:
        """The attack of hospital number ``rank`` among the hostile, counted from 0."""
        whole_mark = assignments(self.mark, schema, self.parts)
        mine = whole_mark[rank % self.parts :: self.parts] or whole_mark
        mark = "/".join(f"{name}:{value}" for name, value in mine)
        return Backdoor(self.share, self.target, mark)

    def trigger(self, features: NDArray[np.float32], schema: Schema) -> NDArray[np.float32]:
        """The same records (n, n_features) with the whole mark on all of them."""
        return put(features, schema, assignments(self.mark, schema, self.parts))
