"""State that lasts from round to round: a frozen value that a plug-in is given and returns, and that nobody edits."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from sim import returned

State: TypeAlias = object | None  # of one plug-in after its last round; None before its first, and of one that keeps nothing


def is_stateful(plugin: object) -> bool:
    """Whether a plug-in has the form ``sim.types.Stateful``."""
    return hasattr(type(plugin), "advance")


def advanced(plugin: Any, given: object, state: State, rng: np.random.Generator) -> tuple[Any, State]:
    """What a plug-in makes of ``given``, and its next state. Raises ``PluginError`` for a state of another type than stated."""
    if not is_stateful(plugin):
        return plugin(given, rng), None
    return returned.with_state(plugin, plugin.advance(given, state, rng))
