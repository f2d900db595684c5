"""The levels of NIST SP 800-30: bins of a share, words of a magnitude, and two tables to look up.

Nothing here multiplies: tables G-5 and I-2 are lookups, and at a very high likelihood a very low
impact is a very low risk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from threats.system import Grade, Scale

LEVELS: Final[tuple[Grade, ...]] = ("very_low", "low", "moderate", "high", "very_high")
WORDS: Final[Mapping[Grade, str]] = {
    "very_low": "very low",
    "low": "low",
    "moderate": "moderate",
    "high": "high",
    "very_high": "very high",
}
# Tables G-2, G-4, H-3 and I-3 have the same bins, 0-4, 5-20, 21-79, 80-95 and 96-100: a share below
# each end is of that level.
ENDS: Final[Mapping[Grade, float]] = {"very_low": 0.05, "low": 0.21, "moderate": 0.8, "high": 0.96}

_Table = Mapping[Grade, tuple[Grade, Grade, Grade, Grade, Grade]]

# by row the likelihood of initiation, by column that of adverse impact once it is begun
G5: Final[_Table] = {
    "very_high": ("low", "moderate", "high", "very_high", "very_high"),
    "high": ("low", "moderate", "moderate", "high", "very_high"),
    "moderate": ("low", "low", "moderate", "moderate", "high"),
    "low": ("very_low", "low", "low", "moderate", "moderate"),
    "very_low": ("very_low", "very_low", "low", "low", "low"),
}
# by row the overall likelihood, by column the impact
I2: Final[_Table] = {
    "very_high": ("very_low", "low", "moderate", "high", "very_high"),
    "high": ("very_low", "low", "moderate", "high", "very_high"),
    "moderate": ("very_low", "low", "moderate", "moderate", "high"),
    "low": ("very_low", "low", "low", "low", "moderate"),
    "very_low": ("very_low", "very_low", "very_low", "low", "low"),
}


def of_share(share: float) -> Grade:
    """The level of a share of attempts that end in adverse impact (table G-4).

    >>> of_share(0.049), of_share(0.05), of_share(0.96)
    ('very_low', 'low', 'very_high')
    """
    return next((level for level, end in ENDS.items() if share < end), "very_high")


def overall(initiation: Grade, adverse: Grade) -> Grade:
    """The overall likelihood (table G-5) of an attack that is begun and ends in adverse impact."""
    return G5[initiation][LEVELS.index(adverse)]


def risk(likelihood: Grade, impact: Grade) -> Grade:
    """The level of risk (table I-2) of an overall likelihood and an impact."""
    return I2[likelihood][LEVELS.index(impact)]


def of_magnitude(magnitude: float, scale: Scale) -> Grade:
    """The level of impact (table H-3) that a consortium's own scale gives to a magnitude."""
    ends = zip(LEVELS, (scale.very_low, scale.low, scale.moderate, scale.high), strict=False)
    return next((level for level, end in ends if magnitude <= end), "very_high")


def worst(levels: Iterable[Grade]) -> Grade:
    """The highest of several levels. Raises ``ValueError`` if there is none."""
    return max(levels, key=LEVELS.index)
