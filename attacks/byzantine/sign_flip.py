"""Sign flipping (Li et al., 2019, arXiv:1811.03761)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from attacks._shared.honest import mean, repeated, seen
from sim.errors import number, one_of
from sim.types import About, Knowledge, Updates


@dataclass(frozen=True)
class SignFlip:
    """An honest update times ``-scale``.

    Args:
        scale: length of the sent update, relative to the honest one.
        of: ``own`` flips what each hostile hospital would have sent; ``mean`` flips the mean of the
            honest updates, or of the hostile hospitals' own where the honest are not known, and all
            send the same.
    """

    scale: float = 4.0
    of: Literal["own", "mean"] = "own"
    about: ClassVar[About] = About(
        title="SignFlip",
        paper=(
            "Li et al.,"
            " RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed Learning"
        ),
        year=2019,
        sees="its own update; of=mean: all updates it can get",
        needs="own",
        uses="updates",
        variants=("of=own", "of=mean"),
    )

    def __post_init__(self) -> None:
        number(0, open_low=True, scale=self.scale)
        one_of(("own", "mean"), of=self.of)

    def __call__(self, known: Knowledge, rng: np.random.Generator) -> Updates:
        """The rows that the hostile hospitals send, (len(known.own), n_params), float64."""
        if self.of == "own":
            return -self.scale * known.own.astype(np.float64)
        return repeated(-self.scale * mean(seen(known)), known)
