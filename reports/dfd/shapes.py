"""The shapes of a data flow diagram, at their places in pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Badge:
    """The number of a threat to an element, the color of its row, where it leads, its name."""

    number: int
    color: str
    href: str
    title: str


@dataclass(frozen=True)
class Label:
    """Lines of text with their class, each at ``x``, ``y``."""

    text: str
    kind: str
    x: float
    y: float


@dataclass(frozen=True)
class Pinned:
    """A badge at its place."""

    badge: Badge
    x: float
    y: float


@dataclass(frozen=True)
class Box:
    """A component or a zone; ``kind``: actor, process, store, or zone."""

    id: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    labels: tuple[Label, ...]
    pinned: tuple[Pinned, ...] = ()

    @property
    def corner(self) -> float:
        """Radius of a process's corners."""
        return min(34.0, self.height / 2)


@dataclass(frozen=True)
class Arrow:
    """A flow: the points of its line, its label and badges."""

    id: str
    points: tuple[tuple[float, float], ...]
    labels: tuple[Label, ...]
    pinned: tuple[Pinned, ...]


@dataclass(frozen=True)
class Drawing:
    """All that is drawn, and the size of the picture."""

    width: float
    height: float
    zones: tuple[Box, ...]
    components: tuple[Box, ...]
    flows: tuple[Arrow, ...]


Badges = Mapping[str, Sequence[Badge]]
