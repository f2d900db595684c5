"""Names of what can be chosen in a configuration: a name is a name, and no path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from sim.config.plain import NAME
from sim.errors import InputError
from sim.near import choice
from sim.plugins import CONF

NONE = "none"  # the choice of nothing
NO_GROUPS = ("design", "hydra")  # folders of conf/ that hold no choices of a configuration
STACKED = "+"  # between names that stand for one together


@cache
def groups() -> tuple[str, ...]:
    """Configuration groups of the project."""
    folders = [path for path in CONF.iterdir() if any(path.glob("*.yaml"))]
    return tuple(sorted(path.name for path in folders if path.name not in NO_GROUPS))


def options(group: str) -> list[str]:
    """The names that a configuration group of the project offers, sorted."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def offered(group: str, given: str) -> str:
    """The names of a configuration group, for a message about the name that was ``given``."""
    parts = given.split("+")
    if group == "attack" and len(parts) > 1 and set(parts) <= set(options(group)):
        together = f"[{','.join(parts)}]"
        return f"{together}, attacks that run together, or attacks=[{together}] in a comparison"
    return choice(given, options(group), f"wardround list {group}")


def check_choice(group: str, value: object) -> None:
    """Raise ``InputError`` unless ``value`` is a name, or a list of names."""
    for name in value if isinstance(value, list) and value else [value]:
        if not isinstance(name, str) or not _is_name(name, stacked=group == "defense"):
            raise InputError(group, value, f"expected {offered(group, str(name))}")


def check_listed(key: str, value: object) -> None:
    """Raise ``InputError`` unless the lists of a comparison hold names, or names joined with +.

    Lists may be in lists.
    """
    for name in _flat(value):
        if isinstance(name, str) and not _is_name(name, stacked=True):
            raise InputError(key, name, f"expected {offered(key.removesuffix('s'), name)}")


def check_present(chosen: Iterable[str], attacks: object) -> None:
    """Raise ``InputError`` for a chosen attack that is not there: the run would be a control."""
    known = attacks if isinstance(attacks, Mapping) else {}
    for name in chosen:
        if name != NONE and not known.get(name):
            expected = f"sets no attack.{name}, so that nothing would attack under this name"
            raise InputError("attack", name, expected)


def _is_name(text: str, *, stacked: bool) -> bool:
    parts = [part.strip() for part in text.split(STACKED)] if stacked else [text]
    return all(NAME.fullmatch(part) for part in parts)


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    else:
        yield value
