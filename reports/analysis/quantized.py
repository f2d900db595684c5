"""Updates that quantization clipped before they were added up: whose, and how much of them."""

from __future__ import annotations

from collections.abc import Sequence

from reports.text import words
from sim.evidence import RunRecord

METRIC = "coordinates_clipped"


def sentences(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each attack and defense under which coordinates of updates were clipped."""
    cells: dict[tuple[str, str], dict[str, float]] = {}
    for record in records:
        shares = cells.setdefault((record.attack, record.defense), {})
        for one in record.outcomes:
            if one.metric == METRIC and one.subject is not None and one.value:
                shares[one.subject] = max(shares.get(one.subject, 0.0), one.value)
    return [
        _sentence(attack, defense, found) for (attack, defense), found in cells.items() if found
    ]


def _sentence(attack: str, defense: str, shares: dict[str, float]) -> str:
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    whose = words.some(f"{name} ({words.share(shares[name])})" for name in ordered)
    return (
        f"{words.attack_first(attack)} {words.under(defense)}: quantization clipped coordinates of"
        f" updates of {whose}, so what was added up is not what they trained. A larger clip with"
        " more bits would hold them."
    )
