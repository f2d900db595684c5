"""The clipping by the parts of a defense that shorten updates, summed up for the evidence."""

from __future__ import annotations

from collections.abc import Iterable

from sim.evidence import Clipped
from sim.shortened import Shortened
from sim.states import State


def clipped(states: Iterable[State]) -> list[Clipped]:
    """The clipping over all rounds, one entry for each state of a part that shortens rows."""
    return [
        Clipped(
            part=state.part,
            radius=state.radius,
            rounds=state.rounds,
            shortened=state.longer / state.rows,
            median_length=state.medians / state.rounds,
            longest=state.longest,
        )
        for state in states
        if isinstance(state, Shortened)
    ]
