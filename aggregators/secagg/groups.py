"""Secure aggregation in groups, a sum each (Velicheti et al., 2021, arXiv:2110.02940)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from aggregators.secagg.base import FEWEST, Shown
from sim.errors import InputError, RefusedError, one_of, whole
from sim.types import About, Members, Roll

By = Literal["random", "region", "size"]
Redraw = Literal["round", "fixed"]
DIGITS = "0123456789"


@dataclass(frozen=True)
class Groups(Shown):
    """A row a group, the average over its hospitals; record counts stay hidden.

    Hospitals stand in an order, which is cut into as many groups of at least ``size`` as there can
    be, none larger than another by more than one. One hostile hospital spoils the row of its group.
    Sums of small groups show more of a hospital than one sum does; redrawn groups overlap from
    round to round, so that sums of hospitals that change little can be solved for single ones.

    Args:
        size: least number of hospitals of a group.
        by: the order: ``random``; ``region``: a hospital's region is its name without a number at
            its end, and those of a region stand together; ``size``: by record counts, which
            hospitals publish then.
        redraw: ``round``: what is random in the order is drawn in each round; ``fixed``: once.
        least: usable updates that a group must have; with fewer it is left out of the round.
        clip: largest absolute value of a coordinate of an update; larger ones are clipped.
        bits: of a quantized coordinate, with its sign.
        agreement: whether hospitals compare the model that they were sent before they upload.
    """

    size: int
    by: By = "random"
    redraw: Redraw = "round"
    about: ClassVar[About] = About(
        title="Groups",
        paper="Velicheti et al., Secure Byzantine-Robust Distributed Learning via Clustering",
        year=2021,
        sees="the sum over each group of hospitals",
        limit="n_hospitals >= size",
        variants=("redraw=fixed", "by=region", "by=size"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(FEWEST, size=self.size)
        one_of(("random", "region", "size"), by=self.by)
        one_of(("round", "fixed"), redraw=self.redraw)
        if self.least > self.size:
            raise InputError("least", self.least, f"expected at most size={self.size}")

    @property
    def is_redrawn(self) -> bool:
        """Whether groups differ from round to round."""
        return self.redraw == "round" and self.by != "size"

    @property
    def by_records(self) -> bool:
        """Whether groups depend on record counts."""
        return self.by == "size"

    def __call__(self, roll: Roll, rng: np.random.Generator) -> Members:
        """The groups, each in order of names.

        Raises ``RefusedError`` for fewer hospitals than ``size``, and where record counts are
        needed and not published.
        """
        names = roll.hospitals
        n_groups = len(names) // self.size
        if n_groups == 0:
            raise RefusedError(f"size={self.size}: expected at most n_hospitals={len(names)}")
        order = [names[i] for i in rng.permutation(len(names))]
        if self.by == "region":
            order.sort(key=region)
        if self.by == "size":
            if roll.sizes is None:
                raise RefusedError("by=size: hospitals publish no record counts")
            sizes = dict(zip(names, roll.sizes, strict=True))
            order = sorted(names, key=lambda name: (sizes[name], name))
        bounds = [i * len(names) // n_groups for i in range(n_groups + 1)]
        return tuple(tuple(sorted(order[start:end])) for start, end in pairwise(bounds))


def region(hospital: str) -> str:
    """The region of a hospital by its name: ``va`` of ``va_2``."""
    return hospital.rstrip(DIGITS).rstrip("_- ")
