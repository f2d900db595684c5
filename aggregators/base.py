"""Code that rules share which weigh rows, and steps which scale or mix rows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aggregators.checks import enough, minority, record_counts
from aggregators.linalg import lengths, mixed, mixtures, precision
from sim.errors import one_of, whole
from sim.types import About, OwnState, Stateful, Vector, View


@dataclass(frozen=True)
class Majority:
    """A rule or step that is given ``n_hostile``, and is defined as long as the others are more."""

    n_hostile: int

    def __post_init__(self) -> None:
        whole(0, n_hostile=self.n_hostile)

    @property
    def min_rows(self) -> int:
        """Least number of rows: a majority of honest ones."""
        return 2 * self.n_hostile + 1


@dataclass(frozen=True)
class Counting(Majority):
    """A rule in which a row may weigh as much as the records or the hospitals behind it.

    ``weighting``: ``uniform``; ``count``: rows are weighed by record counts, as far as the party
    learns them; ``size``: by the number of hospitals that they are averages of, which differs under
    secure aggregation in groups. By count and size the rule refuses where the ``n_hostile``
    heaviest rows weigh half of all.
    """

    about: ClassVar[About]
    weighting: Literal["uniform", "count", "size"] = field(default="uniform", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("uniform", "count", "size"), weighting=self.weighting)

    def weights(self, view: View) -> NDArray[np.float64]:
        """The weight of each row, (n_rows,), 1 if uniform.

        Raises ``RefusedError`` where counts are asked for and hidden, or the heaviest rows are too
        heavy.
        """
        if self.weighting == "uniform":
            return np.ones(len(view.rows))
        by_count = self.weighting == "count"
        weights = record_counts(self, view) if by_count else view.sizes.astype(np.float64)
        return minority(self, weights)


class Weighing(ABC):
    """A rule that states the share of each row in the aggregate. A subclass states ``weigh``."""

    about: ClassVar[About]

    @property
    @abstractmethod
    def min_rows(self) -> int:
        """Least number of rows."""

    @abstractmethod
    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """The shares of a view that has enough rows."""

    def shares(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Share of each row, (n_rows,): at least 0, sum 1, or all 0 if no row is trusted.

        Raises ``RefusedError`` for too few rows.
        """
        enough(self, view)
        return self.weigh(view, rng)

    def combined(self, view: View, shares: NDArray[np.float64], rng: np.random.Generator) -> Vector:
        """The aggregated update, (n_params,), once the shares are known."""
        return mixed(shares, view.rows)

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The aggregated update, (n_params,). Raises ``RefusedError`` for too few rows."""
        return self.combined(view, self.shares(view, rng), rng)


class Remembering(Weighing, Stateful[View, Vector, OwnState]):
    """A rule whose shares depend on earlier rounds, by its state.

    A subclass states ``remember`` and ``weigh_by``.
    """

    @abstractmethod
    def remember(self, view: View, state: OwnState | None) -> OwnState:
        """The next state, with this round's rows."""

    @abstractmethod
    def weigh_by(
        self, view: View, state: OwnState, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The shares of a view that has enough rows. ``state``: the next one."""

    def combined_by(
        self, view: View, shares: NDArray[np.float64], state: OwnState, rng: np.random.Generator
    ) -> Vector:
        """The aggregated update, (n_params,), from known shares. ``state``: the next one."""
        return mixed(shares, view.rows)

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """The shares in a first round."""
        return self.weigh_by(view, self.remember(view, None), rng)

    def combined(self, view: View, shares: NDArray[np.float64], rng: np.random.Generator) -> Vector:
        """The aggregated update of a first round, (n_params,)."""
        return self.combined_by(view, shares, self.remember(view, None), rng)

    def advance(
        self, view: View, state: OwnState | None, rng: np.random.Generator
    ) -> tuple[Vector, OwnState]:
        """The aggregated update, (n_params,), and the next state.

        Raises ``RefusedError`` for too few rows.
        """
        enough(self, view)
        after = self.remember(view, state)
        return self.combined_by(view, self.weigh_by(view, after, rng), after, rng), after


class Scaling(ABC):
    """A step that changes the length of rows and nothing else. A subclass states ``factors``."""

    @abstractmethod
    def factors(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factor of each row of the given lengths, (n_rows,)."""

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The view with scaled rows; as it is where nothing changes."""
        return scaled(view, self.factors(lengths(view.rows)))


class Mixing(ABC):
    """A step that replaces rows by averages of rows. A subclass states ``mixing``."""

    @abstractmethod
    def mixing(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Share of each row in each new row, (n_new_rows, n_rows); every line sums to 1."""

    def mix(self, view: View, mixing: NDArray[np.float64]) -> View:
        """The view with the new rows."""
        return replace(view, rows=mixtures(mixing, view.rows))

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        """The view with mixed rows."""
        return self.mix(view, self.mixing(view, rng))


def scaled(view: View, factors: NDArray[np.float64]) -> View:
    """The view with each row multiplied by its factor; as it is where nothing changes."""
    if np.count_nonzero(factors != 1) == 0:
        return view
    rows = np.empty_like(view.rows)
    fitting = factors.astype(precision(view.rows, factors))
    np.multiply(view.rows, fitting[:, None], out=rows, casting="same_kind")
    return replace(view, rows=rows)


def chosen(rows: NDArray[np.intp], n_rows: int) -> NDArray[np.float64]:
    """Equal shares, (n_rows,), for the rows with the given numbers; all 0 if there are none."""
    shares = np.zeros(n_rows)
    shares[rows] = 1.0 / max(1, len(rows))
    return shares


def shortening(norms: NDArray[np.float64], max_norm: float) -> NDArray[np.float64]:
    """Factors (n_rows,) that bring longer rows down to ``max_norm`` and leave the others alone."""
    return max_norm / np.maximum(norms, max_norm) if max_norm > 0 else np.zeros_like(norms)
