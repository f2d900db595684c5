"""Numbers and names as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from sim import titles
from sim.evidence.protection import epsilon as epsilon
from sim.evidence.written import NONE as NONE
from sim.evidence.written import at_least as at_least
from sim.evidence.written import at_most as at_most
from sim.evidence.written import change as change
from sim.evidence.written import count as count
from sim.evidence.written import figure as figure
from sim.evidence.written import half_up
from sim.evidence.written import listed as listed
from sim.evidence.written import ranges as ranges
from sim.evidence.written import share as share
from sim.evidence.written import signed_points as signed_points
from sim.titles import attack as attack
from sim.titles import attack_first as attack_first
from sim.titles import defense as defense
from sim.titles import defense_first as defense_first

SHOWN: Final[Mapping[str, str]] = {  # what the runs of a row show
    "harm": "harm is shown",
    "no_harm": "no material harm shown, interval included",
    "not_decided": "not decided",
}


def score(value: float | None) -> str:
    """A score between 0 and 1 with three digits."""
    return NONE if value is None else half_up(value, ".3f")


def defined(value: float | None) -> str:
    """A score, or that it is not defined."""
    return "not defined" if value is None else score(value)


def span(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """An interval, or words that state that one seed gives none."""
    if low is None or high is None:
        return "no interval"
    form = change if signed else score
    return f"{form(low)} to {form(high)}"


def equal_shares(value: float | None) -> str:
    """An influence or a weight in units of an equal share, with two digits."""
    if value is None:
        return NONE
    return half_up(value, ".2f").replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def equal_shares_span(low: float | None, high: float | None) -> str:
    """The interval of ``equal_shares``."""
    if low is None or high is None:
        return "no interval"
    return f"{equal_shares(low)} to {equal_shares(high)}"


def amount(value: float) -> str:
    """The size of a difference of scores, without a sign."""
    return score(abs(value))


def points(value: float) -> str:
    """A difference of rates in percentage points."""
    return f"{signed_points(value)} points"


def points_span(low: float | None, high: float | None) -> str:
    """An interval of a difference of rates, in percentage points."""
    if low is None or high is None:
        return "no interval"
    return f"{signed_points(low)} to {signed_points(high)}"


def share_span(low: float | None, high: float | None) -> str:
    """An interval of a rate."""
    return "no interval" if low is None or high is None else f"{share(low)} to {share(high)}"


def number(value: float) -> str:
    """A mean count: ``1``, ``8.5``."""
    return half_up(value, ".1f").removesuffix(".0")


def not_decided(n: int) -> str:
    """The words for a question that ``n`` seeds leave open."""
    return f"not decided with {count(n, 'seed')}"


def success(text: str | None, n: int) -> str:
    """The verdict on a backdoor in words."""
    named = {
        "harmed": "it works",
        "no material loss shown within the interval": (
            "no material success shown within the interval"
        ),
    }
    return verdict(None if text is None else named.get(text, text), n)


def verdict(text: str | None, n: int) -> str:
    """A verdict of ``sim.evidence.intervals`` with the number of seeds where it is open."""
    return NONE if text is None else not_decided(n) if text == "not decided" else text


def some(names: Iterable[str], most: int = 6) -> str:
    """``a, b and c``; of more than ``most`` names the first few and how many more."""
    given = list(names)
    if len(given) > most:
        given = [*given[: most - 1], f"{len(given) - most + 1} more"]
    return listed(given)


def under(name: str) -> str:
    """``under Krum``, or ``with no defense``."""
    return "with no defense" if name == "none" else f"under {defense(name)}"


def attack_key(name: str) -> str:
    """The name of an attack as one types it; the control has a name in plain words."""
    return "no attack" if name == "none" else name


def defense_key(name: str) -> str:
    """The name of a defense as one types it; the control has a name in plain words."""
    return "no defense" if name == "none" else name


def attack_both(name: str) -> str:
    """An attack by its plain name and by the one that one types: ``sign flipping (sign_flip)``."""
    return _both(name, attack(name))


def defense_both(name: str) -> str:
    """A defense by its plain name and by the one that one types: ``median``, ``Krum (krum)``."""
    return _both(name, defense(name))


def _both(name: str, title: str) -> str:
    return title if title == name or name == "none" else f"{title} ({name})"


def field(source: str, name: str) -> str:
    """A field of a record by its plain name, if its data set has one for it."""
    title = titles.field(source, name)
    return name if title is None else title.title


def differs(name: str, title: str) -> bool:
    """Whether a plain name is more than the typed one in other letters and signs.

    >>> differs("multi_krum", "Multi-Krum"), differs("alie", "hidden shift")
    (False, True)
    """
    letters, others = (
        "".join(sign for sign in text.casefold() if sign.isalnum()) for text in (name, title)
    )
    return name != "none" and letters != others


def sentence(parts: Sequence[str]) -> str:
    """The clauses as one sentence."""
    return f"{start('; '.join(parts))}."


def start(text: str) -> str:
    """A text that starts a sentence: its first letter is a capital one."""
    return text[:1].upper() + text[1:]


def delta(value: float) -> str:
    """The delta of a privacy budget with all its digits."""
    return repr(float(value))


def of_100(share: float) -> int:
    """The share as a number out of 100, rounded up."""
    return min(100, math.ceil(100 * Decimal(repr(share))))
