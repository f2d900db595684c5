"""State that lasts from round to round: a frozen value that a plug-in is given and returns.

Nobody edits it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard, TypeVar

import numpy as np

from sim import returned
from sim.types import Stateful

# of one plug-in after its last round; None before its first, and of one without a state
State: TypeAlias = object | None

Given = TypeVar("Given")
Result = TypeVar("Result")


def is_stateful(plugin: object) -> TypeGuard[Stateful[object, object, object]]:
    """Whether a plug-in has the form ``sim.types.Stateful``."""
    return hasattr(type(plugin), "advance")


def advanced(
    plugin: Callable[[Given, np.random.Generator], Result],
    given: Given,
    state: State,
    rng: np.random.Generator,
) -> tuple[Result, State]:
    """The result of a plug-in for ``given``, and its next state.

    Raises ``PluginError`` for a state of another type than the plug-in states.
    """
    if not is_stateful(plugin):
        return plugin(given, rng), None
    result: Any = returned.with_state(plugin, plugin.advance(given, state, rng))
    made: tuple[Result, State] = result
    return made
