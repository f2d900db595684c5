"""The spread of honest updates into which a row can be put (Shejwalkar & Houmansadr, 2021)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from attacks._shared.directions import DIRECTIONS, PUSHES, Direction
from attacks._shared.honest import Cloud, cloud, repeated, seen
from sim.errors import RefusedError, one_of
from sim.types import Byzantine, Knowledge, Updates, Vector


@dataclass(frozen=True)
class Within(ABC):
    """All send ``mean + gamma * direction``, with the largest ``gamma`` for which there is room.

    ``gamma`` is computed in closed form: it is the limit of the paper's search.

    Args:
        along: ``unit``, ``std`` or ``sign``: the paper's three directions.
    """

    along: Direction = "std"

    def __post_init__(self) -> None:
        one_of(DIRECTIONS, along=self.along)

    @abstractmethod
    def room(self, rows: Cloud) -> tuple[Vector, Vector]:
        """Offset along the direction, and squared distance left at the mean, of each constraint."""

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64.

        Raises ``RefusedError`` for fewer than two known updates.
        """
        rows = cloud(at_least_two(self, known), PUSHES[self.along])
        push = rows.pushes[0]
        return repeated(rows.center + reach(float(push @ push), *self.room(rows)) * push, known)


def at_least_two(attack: Byzantine | Within, known: Knowledge) -> Updates:
    """The updates taken for honest.

    Raises ``RefusedError`` for fewer than two: one has no spread to hide in.
    """
    rows = seen(known)
    if len(rows) < 2:
        raise RefusedError(
            f"n_known={len(rows)}: {type(attack).__name__} needs 2 known updates,"
            " colluders' or honest"
        )
    return rows


def reach(length: float, offsets: Vector, room: Vector) -> float:
    """Largest gamma with ``gamma^2 * length - 2 * gamma * offsets <= room`` in every entry.

    It is 0 without a direction, where ``length`` is 0.
    """
    if not length:
        return 0.0
    half = offsets / length
    return float(np.max([np.min(half + np.sqrt(half**2 + np.maximum(room, 0) / length)), 0.0]))
