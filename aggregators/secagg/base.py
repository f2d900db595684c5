"""The parameters that all forms of secure aggregation share which add up quantized updates."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from aggregators.secagg.quantization import Quantization
from sim.errors import whole
from sim.types import About

FEWEST = 2  # updates of a sum: the sum of one is that hospital's update


@dataclass(frozen=True)
class Adding:
    """A secure aggregation that adds up quantized updates.

    ``least``: usable updates that a sum must have. ``clip`` and ``bits``: of the quantization.
    """

    about: ClassVar[About]
    least: int = field(default=FEWEST, kw_only=True)
    clip: float = field(default=2.0, kw_only=True)
    bits: int = field(default=22, kw_only=True)

    def __post_init__(self) -> None:
        whole(FEWEST, least=self.least)
        _ = self.quantization  # which checks clip and bits

    @cached_property
    def quantization(self) -> Quantization:
        """The quantization with which hospitals turn updates into whole steps."""
        return Quantization(self.clip, self.bits)

    @property
    def is_redrawn(self) -> bool:
        """Whether groups differ from round to round."""
        return False

    @property
    def by_records(self) -> bool:
        """Whether groups depend on record counts."""
        return False


@dataclass(frozen=True)
class Shown(Adding):
    """A secure aggregation that is worked out by whoever holds all updates.

    ``agreement``: whether hospitals compare the model that they were sent before they upload.
    """

    agreement: bool = field(default=False, kw_only=True)

    @property
    def enrolls(self) -> bool:
        """Whether hospitals sign anything, for which the plan needs their verification keys."""
        return self.agreement

    @property
    def trips(self) -> tuple[str, ...]:
        """The kinds of the trips of a round, in their order."""
        return ("train", "upload") if self.agreement else ("train",)
