"""The risk of a row of the register by the tables of NIST SP 800-30."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from threats import levels
from threats.catalog import Fact, Status
from threats.levels import WORDS
from threats.statements import Magnitude, Statement
from threats.system import Grade

Color = Literal["green", "amber", "red", "gray"]


class Risk(Fact):
    """Four levels of NIST SP 800-30: of adverse impact once begun (G-4), overall likelihood (G-5),
    impact (H-3) and risk (I-2).
    """

    adverse: Grade
    """The likelihood of adverse impact once the attack has begun (table G-4)."""
    likelihood: Grade
    """The overall likelihood (table G-5)."""
    impact: Grade
    """The level of impact (table H-3)."""
    risk: Grade
    """The level of risk (table I-2)."""


class Range(Fact):
    """Risk from both sides."""

    upper: Risk
    """The risk by the bound that does not flatter a defense."""
    lower: Risk
    """The risk by the bound that does not flatter an attack."""


def of_statements(statements: Sequence[Statement], initiation: Grade) -> Range | None:
    """The risk of the worst of several attacks; attacks are never pooled, for one that fails would
    hide one that works.
    """
    if not statements:
        return None
    # what no scale of the design measures may be as large as can be
    magnitudes = [one.level for made in statements for one in made.magnitudes]
    impact = levels.worst(magnitudes or ["very_high"])
    upper = levels.worst(levels.of_share(made.upper) for made in statements)
    lower = levels.worst(levels.of_share(made.lower) for made in statements)
    return Range(upper=_risk(initiation, upper, impact), lower=_risk(initiation, lower, impact))


def _risk(initiation: Grade, adverse: Grade, impact: Grade) -> Risk:
    likelihood = levels.overall(initiation, adverse)
    return Risk(
        adverse=adverse,
        likelihood=likelihood,
        impact=impact,
        risk=levels.risk(likelihood, impact),
    )


def largest(statements: Sequence[Statement]) -> tuple[Magnitude, ...]:
    """Of each kind of impact the largest magnitude."""
    found: dict[str, Magnitude] = {}
    for one in (magnitude for made in statements for magnitude in made.magnitudes):
        held = found.get(one.kind)
        if held is None or _size(one) > _size(held):
            found[one.kind] = one
    return tuple(found.values())


def _size(one: Magnitude) -> float:
    return float("inf") if one.value is None else one.value


def color(status: Status, after: Range | None) -> Color:
    """Green only for what was measured and is at most low; gray where nobody knows."""
    if after is None:
        return "gray"
    risk = levels.LEVELS.index(after.upper.risk)
    if risk >= levels.LEVELS.index("high"):
        return "red"
    return "green" if status == "measured" and risk <= levels.LEVELS.index("low") else "amber"


def residual(status: Status, before: Range | None, after: Range | None) -> str:
    """The sentence on the risk that is left."""
    if after is None:
        return "Nobody knows what risk is left: nothing was measured."
    upper = after.upper.risk
    lower = after.lower.risk
    apart = "" if upper == lower else f"; by the lower bound it is {WORDS[lower]}"
    without = ""
    if before is not None and before != after:
        without = f" (without the controls: {WORDS[before.upper.risk]})"
    least = "" if status == "measured" else "at least "
    part = "" if status == "measured" else "; not all of it was measured"
    return f"The risk that is left is {least}{WORDS[upper]}{without}{apart}{part}."
