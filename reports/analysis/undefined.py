"""Cells of a comparison that did not run because a rule, a step or an attack is not defined there.

Each is a mapping with ``attack``, ``defense``, ``n_hostile`` (None: the same in all cells),
``reason``, and ``part``: what is not defined, the ``attack`` or the ``defense``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.text import words
from sim.types import TableRow

Refused = TableRow
SHORT = 28  # characters up to which a cell of a table has room for what is needed


def sentences(refused: Sequence[Refused]) -> list[str]:
    """One sentence for each defense, and each attack, that is not defined.

    The reason is the one for the fewest hostile hospitals.
    """
    groups: dict[tuple[str, str], list[Refused]] = {}
    for one in refused:
        what = part(one)
        groups.setdefault((what, one[what]), []).append(one)
    return [_sentence(what, name, group) for (what, name), group in groups.items()]


def cells(refused: Sequence[Refused], n_hostile: int) -> dict[tuple[str, str], str]:
    """The text that stands in a table in place of a figure, by attack and defense."""
    here = [one for one in refused if one["n_hostile"] in (None, n_hostile)]
    return {(one["attack"], one["defense"]): f"not defined{_needs(one['reason'])}" for one in here}


def part(one: Refused) -> str:
    """The part that is not defined, ``attack`` or ``defense``."""
    return str(one.get("part", "defense"))


def _sentence(what: str, name: str, group: Sequence[Refused]) -> str:
    least = min(group, key=lambda one: one["n_hostile"] or 0)
    numbers = sorted({one["n_hostile"] for one in group if one["n_hostile"] is not None})
    where = f" with n_hostile={words.ranges(numbers)}" if numbers else ""
    if what == "attack":
        defenses = dict.fromkeys(words.defense(one["defense"]) for one in group)
        where = f" {words.under(words.some(defenses))}{where}"
    named = words.attack_both(name) if what == "attack" else words.defense_both(name)
    named = named if named == name else words.start(named)
    return f"{named} is not defined{where}: {least['reason']}"


def _needs(reason: str) -> str:
    """``: needs 5`` from a reason that ends so, if that is short."""
    found = re.search(r"(?:needs|expected) (.+?)(?: for |[;:]|$)", reason)
    text = found[1].rpartition(" = ")[2].strip() if found else ""
    if (number := re.match(r"\d+", text)) is not None:
        text = number[0]
    return f": needs {text}" if 0 < len(text) <= SHORT else ""
