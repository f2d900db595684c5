"""A plug-in in successive rounds, as the aggregator and the adversary work with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.states import State, advanced


@dataclass
class Rounds:
    """Each call is the next round of ``plugin``; its state lasts from call to call."""

    plugin: Any
    state: State = None

    def __call__(self, given: Any, rng: np.random.Generator) -> Any:
        """What the plug-in makes of ``given`` in this round."""
        result, self.state = advanced(self.plugin, given, self.state, rng)
        return result
