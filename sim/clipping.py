"""What the parts of a defense that shorten updates did: noted by them round by round, summed up in the evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.evidence import Clipped

NOTES = "clipped"  # where the notes are in the memory of the aggregator's steps and rule


def median_length(lengths: NDArray[np.float64]) -> float:
    """The radius that is taken from a round's rows: their median length.

    It lies between the shortest and the longest honest row as long as fewer than half of the rows are hostile.
    """
    return float(np.median(lengths))


def note(memory: dict[str, Any], part: str, given: float | None, lengths: NDArray[np.float64], radius: float) -> None:
    """Note one round of a part that shortens rows longer than ``radius``. ``given``: the radius of its configuration."""
    notes: dict[str, float | None] = memory.setdefault(NOTES, {}).setdefault(part, {"radius": given})
    rows, longer = len(lengths), int(np.count_nonzero(lengths > radius))
    for name, value in (("rounds", 1), ("rows", rows), ("longer", longer), ("medians", median_length(lengths))):
        notes[name] = (notes.get(name) or 0) + value
    notes["longest"] = max(notes.get("longest") or 0.0, float(lengths.max()))


def clipped(memory: dict[str, Any]) -> list[Clipped]:
    """What was noted over all rounds, one entry a part."""
    return [
        Clipped(
            part=part,
            radius=notes["radius"],
            rounds=notes["rounds"],
            shortened=notes["longer"] / notes["rows"],
            median_length=notes["medians"] / notes["rounds"],
            longest=notes["longest"],
        )
        for part, notes in memory.get(NOTES, {}).items()
    ]
