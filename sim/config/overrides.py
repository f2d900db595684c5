"""Overrides that only some cells of a comparison have, as users write and as Hydra takes them."""

from __future__ import annotations

from collections.abc import Iterable

from sim.config.groups import STACK
from sim.config.stacks import key_of

FORCE = "++"  # Hydra's prefix for a value that may be new


def forced(word: str) -> str:
    """An override as Hydra takes it where its key is not composed yet; other words unchanged."""
    return f"{FORCE}{word}" if is_partial(word) and word[0] not in "+~" else word


def unforced(word: str) -> str:
    """The word that ``forced`` was given."""
    return word.removeprefix(FORCE) if is_partial(word) else word


def is_partial(word: str) -> bool:
    """Whether an override is of a value of an attack or of a part of a defense.

    Only some cells of a comparison have such a value.
    """
    group, dot, _ = key_of(word).partition(".")
    return bool(dot) and group in ("attack", *STACK)


def ask_for_several(words: Iterable[str]) -> bool:
    """Whether words ask for cells of a comparison or for jobs of a sweep."""
    several = ("attacks", "defenses", "-m", "--multirun")
    return any(key_of(word) in several for word in words)
