"""Mimic (Karimireddy et al., 2022, arXiv:2006.09365)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.honest import cloud, combined, repeated
from sim.errors import RefusedError, one_of, whole
from sim.types import About, Knowledge, Stateful, Updates, Vector


@dataclass(frozen=True)
class Learned:
    """Findings of ``rounds`` of warming up about ``n`` honest hospitals.

    ``axis`` (n_params,): the direction of most variance, times its size. ``totals`` (n,): how far
    out along it each hospital has been.
    """

    n: int
    rounds: int
    axis: Vector
    totals: Vector


@dataclass(frozen=True)
class Mimic(Stateful[Knowledge, Updates, Learned]):
    """All send a copy of one honest hospital's update: that one counts too much, others too little.

    Args:
        choice: ``variance``: the hospital furthest out along the direction in which honest updates
            vary most, as in the paper; ``first``: always the first honest hospital, as in common
            code.
        warm_up: rounds in which the direction is learned and the hospital may change; it stays the
            same afterwards.
    """

    choice: Literal["variance", "first"] = "variance"
    warm_up: int = 1
    state: ClassVar[type] = Learned
    about: ClassVar[About] = About(
        title="Mimic",
        paper=(
            "Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing"
        ),
        year=2022,
        sees="honest updates",
        needs="updates",
        uses="updates",
        variants=("choice=variance", "choice=first"),
    )

    def __post_init__(self) -> None:
        one_of(("variance", "first"), choice=self.choice)
        whole(1, warm_up=self.warm_up)

    def advance(
        self, known: Knowledge, state: Learned | None, rng: np.random.Generator
    ) -> tuple[Updates, Learned]:
        """The rows that the hostile hospitals send, (len(known.own), n_params), and the new state.

        Raises ``RefusedError`` where no honest update is known.
        """
        rows = known.others
        if rows is None or not len(rows):
            raise RefusedError("n_known=0: Mimic needs an honest update to copy")
        # the first round, or hospitals came or went: rows are others than before
        if state is None or state.n != len(rows):
            state = Learned(len(rows), 0, np.zeros(rows.shape[1]), np.zeros(len(rows)))
        if self.choice == "variance" and state.rounds < self.warm_up:
            axis, offsets = _widest(rows, state.axis)
            state = Learned(len(rows), state.rounds + 1, axis, state.totals + offsets)
        outermost = 0 if self.choice == "first" else int(np.abs(state.totals).argmax())
        return repeated(rows[outermost].astype(np.float64), known), state


def _widest(rows: Updates, axis: Vector) -> tuple[Vector, Vector]:
    """The direction of most variance so far, times its size, and the rows' offsets along it.

    ``axis`` (n_params,) sums up the rows of earlier rounds. The direction (n_params,) is the first
    principal one of the centered rows with ``axis`` as one row more, worked out from their inner
    products. Its inner products with the centered rows: (n_rows,).
    """
    around = cloud(rows, lambda block: axis[None, block.columns])
    both = np.block(
        [[np.atleast_2d(axis @ axis), around.offsets], [around.offsets.T, around.products]]
    )
    weights = np.linalg.eigh(both)[1][:, -1]
    first, *others = weights
    widest: Vector = first * axis + combined(rows, weights[1:]) - sum(others) * around.center
    sign = -1 if widest @ axis < 0 else 1
    return sign * widest, sign * (both @ weights)[1:]
