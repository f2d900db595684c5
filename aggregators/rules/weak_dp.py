"""Norm bounding with a little noise, "weak DP" (Sun et al., 2019, arXiv:1911.07963)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aggregators.base import shortening
from aggregators.checks import enough
from aggregators.linalg import lengths, mixed
from sim.errors import number
from sim.shortened import Shortened, median_length
from sim.types import About, Stateful, Vector, View


@dataclass(frozen=True)
class WeakDp(Stateful[View, Vector, Shortened]):
    """The mean of rows clipped to ``max_norm``, plus Gaussian noise, without a privacy guarantee.

    Where ``max_norm`` is given, one row moves the mean by at most ``2 * max_norm / n_rows``.

    Args:
        max_norm: greatest Euclidean length of an update, as in the paper; None takes the median
            length of the round's rows, which a hostile minority cannot move beyond the lengths of
            honest rows (a variant).
        noise: standard deviation of the noise in every coordinate.
    """

    max_norm: float | None
    noise: float
    state: ClassVar[type] = Shortened
    about: ClassVar[About] = About(
        title="WeakDp",
        paper="Sun et al., Can You Really Backdoor Federated Learning?",
        year=2019,
        sees="rows of few hospitals each",
        limit="n_rows >= 1",
        cost="nd",
        variants=("max_norm=1.0",),
        promise=(
            "its mean is at most max_norm long (None: the median length of the rows);"
            " given max_norm, one row moves it by at most 2 * max_norm / n_rows; no privacy"
        ),
    )

    def __post_init__(self) -> None:
        if self.max_norm is not None:
            number(0, open_low=True, max_norm=self.max_norm)
        number(0, noise=self.noise)

    @property
    def min_rows(self) -> int:
        """Least number of rows."""
        return 1

    def advance(
        self, view: View, state: Shortened | None, rng: np.random.Generator
    ) -> tuple[Vector, Shortened]:
        """The noisy mean, (n_params,), and what has been shortened so far.

        Raises ``RefusedError`` for too few rows.
        """
        enough(self, view)
        norms = lengths(view.rows)
        radius = median_length(norms) if self.max_norm is None else self.max_norm
        mean = mixed(shortening(norms, radius) / len(view.rows), view.rows)
        before = state or Shortened("weak_dp", self.max_norm)
        noise = self.noise * rng.normal(size=len(mean))
        return np.asarray(mean + noise), before.after(norms, radius)
