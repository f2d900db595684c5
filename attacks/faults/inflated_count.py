"""A false number of records, the weight of federated averaging (McMahan et al., 2017)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import InputError
from sim.types import About, Reply, SentReply


@dataclass(frozen=True)
class InflatedCount:
    """More records are reported than there are, to weigh more in a mean weighted by records.

    The update stays as it is. The weighted mean is that of arXiv:1602.05629.

    Args:
        factor: reported records over true ones, above 1; the report is rounded to whole records.
    """

    factor: float = 1000.0
    about: ClassVar[About] = About(
        title="InflatedCount",
        paper=(
            "McMahan et al.,"
            " Communication-Efficient Learning of Deep Networks from Decentralized Data"
        ),
        year=2017,
        sees="its own reply",
    )

    def __post_init__(self) -> None:
        if not (isinstance(self.factor, (int, float)) and 1 < self.factor < float("inf")):
            raise InputError("factor", self.factor, "expected a number above 1")

    def __call__(self, reply: Reply, rng: np.random.Generator) -> SentReply:
        """The same update with ``factor`` times the records."""
        return SentReply(reply.update, round(self.factor * reply.count))
