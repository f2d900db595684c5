"""The differences between two assessments: of criteria, of rows of the register, of the designs.

Criteria are matched by id and compared only where both ask the same; rows are matched by threat,
element and adversary, whatever the stack is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from threats.assessment import Assessment, RegisterRow
from threats.criteria import Judged, wording
from threats.levels import LEVELS
from threats.system import Criterion, Design

Kind = Literal[
    "no longer met",
    "now met",
    "changed",
    "met neither way",
    "as before",
    "only before",
    "only after",
]
Turn = Literal["rose", "fell", "status", "as before", "only before", "only after"]

ORDER: Final[tuple[Kind, ...]] = (
    *("no longer met", "changed", "only before", "only after", "met neither way"),
    *("now met", "as before"),
)
TURNS: Final[tuple[Turn, ...]] = ("rose", "status", "only before", "only after", "fell")
# parts of a design whose items have names: what an item is called by
NAMED_BY: Final = ("id", "threat", "row", "name")


@dataclass(frozen=True)
class CriterionChange:
    """One criterion before and after. ``before`` and ``after`` are None where it is not asked.

    ``asked_before`` and ``asked_after``: what it asks; they differ where it ``changed``, and then
    its outcomes are not compared. ``met neither way``: one of not met and not decided became the
    other.
    """

    id: str
    kind: Kind
    before: Judged | None
    after: Judged | None
    asked_before: str
    asked_after: str


@dataclass(frozen=True)
class RowChange:
    """One row of the register before and after; None where a register has no such row.

    ``turn``: whether the upper level of its risk with the stack rose or fell, else whether its
    status is another.
    """

    threat: str
    element: str
    adversary: str
    turn: Turn
    before: RegisterRow | None
    after: RegisterRow | None

    @property
    def name(self) -> str:
        """The name of the threat."""
        found = self.after or self.before
        return found.name if found else self.threat


@dataclass(frozen=True)
class Stated:
    """A value that two designs state differently; ``absent`` where one of them has none."""

    key: str
    before: str
    after: str


def criteria(
    before: tuple[Design, Assessment], after: tuple[Design, Assessment]
) -> list[CriterionChange]:
    """Every criterion of either design, those that are no longer met first."""
    old = {one.id: one for one in before[1].criteria}
    new = {one.id: one for one in after[1].criteria}
    asked_before = {one.id: one for one in before[0].acceptance}
    asked_after = {one.id: one for one in after[0].acceptance}
    found = [
        CriterionChange(
            id=id_,
            kind=_kind(old.get(id_), new.get(id_), asked_before.get(id_), asked_after.get(id_)),
            before=old.get(id_),
            after=new.get(id_),
            asked_before=_asks(asked_before.get(id_)),
            asked_after=_asks(asked_after.get(id_)),
        )
        for id_ in dict.fromkeys([*old, *new])
    ]
    return sorted(found, key=lambda one: ORDER.index(one.kind))


def rows(before: Assessment, after: Assessment) -> list[RowChange]:
    """Every row of either register that is about a threat, those whose risk rose first."""
    old = _rows(before)
    new = _rows(after)
    order: Sequence[Turn] = (*TURNS, "as before")
    found = [
        RowChange(*key, _turn(old.get(key), new.get(key)), old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
    ]
    return sorted(found, key=lambda one: order.index(one.turn))


def design(before: Design, after: Design) -> list[Stated]:
    """The values that two designs state differently, by their place in the file."""
    old = dict(_flat(before.model_dump(mode="json", by_alias=True, exclude_none=True)))
    new = dict(_flat(after.model_dump(mode="json", by_alias=True, exclude_none=True)))
    return [
        Stated(key, old.get(key, "absent"), new.get(key, "absent"))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _kind(
    before: Judged | None, after: Judged | None, old: Criterion | None, new: Criterion | None
) -> Kind:
    if before is None or old is None:
        return "only after"
    if after is None or new is None:
        return "only before"
    if old != new:
        return "changed"
    if before.outcome == after.outcome:
        return "as before"
    if before.outcome == "met":
        return "no longer met"
    return "now met" if after.outcome == "met" else "met neither way"


def _asks(criterion: Criterion | None) -> str:
    if criterion is None:
        return ""
    effort = [
        f"at least {least} {what}"
        for least, what in ((criterion.min_seeds, "seeds"), (criterion.min_trials, "attempts"))
        if least is not None
    ]
    return (
        f"{wording(criterion)} under {criterion.threat} by {criterion.adversary}"
        f" (alpha {criterion.alpha:g}, {', '.join(effort)})"
    )


def _rows(assessment: Assessment) -> dict[tuple[str, str, str], RegisterRow]:
    return {
        (row.threat, row.element, row.adversary): row
        for row in assessment.rows
        if row.kind == "threat"
    }


def _turn(before: RegisterRow | None, after: RegisterRow | None) -> Turn:
    if before is None:
        return "only after"
    if after is None:
        return "only before"
    old = None if before.adjusted is None else LEVELS.index(before.adjusted.upper.risk)
    new = None if after.adjusted is None else LEVELS.index(after.adjusted.upper.risk)
    if old is not None and new is not None and old != new:
        return "rose" if new > old else "fell"
    return "as before" if before.status == after.status and old == new else "status"


def _flat(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every value by its place; an item of a list by what it is called, where it has a name."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        for number, one in enumerate(value, 1):
            named = next((str(one[name]) for name in NAMED_BY if name in one), str(number))
            yield from _flat(one, f"{key}[{named}]")
    else:
        yield key, value if isinstance(value, str) else json.dumps(value)
