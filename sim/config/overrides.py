"""Overrides that concern a part of some cells of a comparison, as a user writes them and as Hydra
takes them.
"""

from __future__ import annotations

from sim.config.groups import STACK
from sim.config.stacks import key_of

FORCE = "++"  # Hydra's prefix for a value that may be new


def forced(word: str) -> str:
    """A partial override as Hydra takes it where the cell that has the key is not composed yet;
    other words as they are.
    """
    return f"{FORCE}{word}" if is_partial(word) and word[0] not in "+~" else word


def unforced(word: str) -> str:
    """What ``forced`` was given."""
    return word.removeprefix(FORCE) if is_partial(word) else word


def is_partial(word: str) -> bool:
    """Whether an override concerns a value of an attack or of a part of a defense, which only some
    cells have.
    """
    group, dot, _ = key_of(word).partition(".")
    return bool(dot) and group in ("attack", *STACK)
