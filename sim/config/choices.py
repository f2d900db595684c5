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
    return tuple(
        sorted(
            path.name
            for path in CONF.iterdir()
            if path.name not in NO_GROUPS and any(path.glob("*.yaml"))
        )
    )


def options(group: str) -> list[str]:
    """Names that a configuration group of the project offers."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def check_choice(group: str, value: object) -> None:
    """Raise ``InputError`` unless ``value`` is a name, or a list of names."""
    for name in value if isinstance(value, list) and value else [value]:
        if not isinstance(name, str) or not _is_name(name, stacked=group == "defense"):
            raise InputError(
                group,
                value,
                f"expected {choice(str(name), options(group), f'wardround list {group}')}",
            )


def check_listed(key: str, value: object) -> None:
    """As ``check_choice`` for the lists of names that a comparison is planned from: lists in lists,
    and names joined with +.
    """
    for name in _flat(value):
        if isinstance(name, str) and not _is_name(name, stacked=True):
            group = key.removesuffix("s")
            raise InputError(
                key, name, f"expected {choice(name, options(group), f'wardround list {group}')}"
            )


def check_present(chosen: Iterable[str], attacks: object) -> None:
    """Raise ``InputError`` for an attack that was chosen and is not in the configuration: the run
    would be a control.
    """
    known = attacks if isinstance(attacks, Mapping) else {}
    for name in chosen:
        if name != NONE and not known.get(name):
            raise InputError(
                "attack",
                name,
                f"sets no attack.{name}, so that nothing would attack under this name",
            )


def _is_name(text: str, *, stacked: bool) -> bool:
    return (
        all(NAME.fullmatch(part.strip()) for part in text.split(STACKED))
        if stacked
        else bool(NAME.fullmatch(text))
    )


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    else:
        yield value
