"""Parts of a defense that shortened no update, and a radius with which they would have."""

from __future__ import annotations

from collections.abc import Sequence

from reports.text import words
from sim.evidence import Clipped, RunRecord


def idle(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each part whose chosen radius no update reached in any run of an attack."""
    groups: dict[tuple[str, str], dict[str, list[Clipped]]] = {}
    for record in records:
        for one in record.clipped:
            attacks = groups.setdefault((one.part, record.defense), {})
            attacks.setdefault(record.attack, []).append(one)
    texts = []
    for (part, defense), cells in groups.items():
        texts += _sentence(part, defense, cells)
    return texts


def effect(one: Clipped) -> str:
    """The effect of a part in a run, in a few words."""
    if nothing(one):
        return (
            f"NO: every update was shorter than {one.radius:.3g}; a radius of"
            f" {one.median_length:.3g} would shorten some"
        )
    radius = "the median length of each round" if one.radius is None else f"{one.radius:.3g}"
    return f"{words.share(one.shortened)} of updates shortened to {radius}"


def nothing(one: Clipped) -> bool:
    """Whether a chosen radius was never reached."""
    return one.radius is not None and one.shortened == 0


def _sentence(part: str, defense: str, cells: dict[str, list[Clipped]]) -> list[str]:
    still = {attack: found for attack, found in cells.items() if all(map(nothing, found))}
    seen = [one for found in still.values() for one in found]
    if not seen:
        return []
    where = "in every run"
    if len(still) < len(cells):
        where = f"under {words.some(map(words.attack, still))}"
    chosen = sorted({one.radius for one in seen if one.radius is not None})
    radii = words.listed(f"{radius:.3g}" for radius in chosen)
    longest = max(one.longest for one in seen)
    median = sum(one.median_length for one in seen) / len(seen)
    return [
        f"{part} {words.under(defense)} did nothing {where}:"
        f" every update was shorter than the radius {radii} (the longest had {longest:.3g})."
        f" A radius of {median:.3g}, the median length seen, would do something."
    ]
