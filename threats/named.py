"""The plain names of powers of an adversary, levels of knowledge and classes of assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Final

import yaml

from sim.evidence.written import listed
from sim.titles import Title
from sim.types import Level
from threats.powers import AssetClass, Place, Power

FILE: Final = "words.yaml"


def power(name: Power) -> Title:
    """A power with a sentence on it; its title follows ``the power to``.

    >>> power("modify_update").title
    'change the update that a hospital sends'
    """
    return _all()["powers"][name]


def knowledge(level: Level) -> Title:
    """A level of knowledge with a sentence on it; its title follows ``knows``.

    >>> knowledge("colluders").title
    'the updates of all hostile hospitals'
    """
    return _all()["knowledge"][level]


def asset(class_: AssetClass) -> Title:
    """A class of assets with a sentence on it."""
    return _all()["assets"][class_]


def powers(names: Iterable[Power]) -> str:
    """Several powers in a sentence, each with the name that a design has for it.

    >>> powers(["query_api", "see_global_model"])
    'ask the finished model (query_api) and see the shared model (see_global_model)'
    """
    return listed(f"{power(name).title} ({name})" for name in names)


def knows(level: Level) -> str:
    """A level of knowledge in a sentence, with the name that a design has for it.

    >>> knows("own")
    'its own update only (own)'
    """
    return f"{knowledge(level).title} ({level})"


def place(role: Place) -> str:
    """The place where a threat strikes, as ``the aggregator``."""
    return _all()["places"][role].title


@cache
def _all() -> Mapping[str, Mapping[str, Title]]:
    text = (resources.files(__package__) / "data" / FILE).read_text("utf-8")
    return {
        group: {name: Title(**title) for name, title in titles.items()}
        for group, titles in yaml.safe_load(text).items()
    }
