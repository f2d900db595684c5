"""Inner product manipulation (Xie et al., 2020, arXiv:1903.03936)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks._shared.honest import mean, repeated, seen
from sim.errors import number
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class IPM:
    """All send ``-epsilon`` times the honest mean: small passes for honest, large turns the mean.

    The mean over n hospitals, f of them hostile, turns around from ``epsilon = (n - f)/f`` on.

    Args:
        epsilon: 0.1 to 100 in the paper and in common code.
    """

    epsilon: float = 0.5
    about: ClassVar[About] = About(
        title="IPM",
        paper=(
            "Xie et al.,"
            " Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation"
        ),
        year=2020,
        sees="honest updates, or those of the hostile hospitals",
        needs="own",
        uses="updates",
        variants=("epsilon=0.1", "epsilon=0.5", "epsilon=100"),
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, epsilon=self.epsilon)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        return repeated(-self.epsilon * mean(seen(known)), known)
