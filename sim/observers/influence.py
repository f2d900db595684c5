"""The influence of each hospital's update on the model, and how different that update is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError
from sim.evidence import Outcome, outcome
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.states import State
from sim.types import View

# the first round is measured, and every twentieth after it; the rule runs about twice more in each
EVERY = 20
STEP = 1e-6  # how far an entry is moved, relative to the typical size of an entry
JUMP = 1e3  # steps: an entry of the aggregate that moves further has jumped, and has no slope there
SAME = 1e-3  # equal shares: up to this difference the shares that a rule states are its slopes
ENOUGH = 10  # entries of a row, on average, that a slope is the mean of at least

Rows = NDArray[np.float64]


@dataclass
class Measured:
    """Figures of each hospital by name, one a measured round.

    ``influence``: the slopes. ``distance``: of its update. ``shares``: stated by the rule, in units
    of an equal share, one a round; ``agree``: whether they have been the slopes so far.
    """

    influence: dict[str, list[float]] = field(default_factory=dict)
    distance: dict[str, list[float]] = field(default_factory=dict)
    shares: dict[str, list[float]] = field(default_factory=dict)
    agree: bool = True


class Influence:
    """Two figures for each hospital, from what the aggregator sees in rounds 1, 21, 41, ...

    Influence: how far an entry of the aggregate follows that entry of the hospital's update, in
    units of an equal share 1 / n, mean over entries and rounds: 1 under the plain mean, n or 0 in a
    round of Krum. It is the mean diagonal of the Jacobian of steps and rule. Where the shares that
    a rule states agree with it, it is their mean over all rounds.

    Distance: |update - mean of the others| / |mean of the others|, mean over the measured rounds.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.state = Measured()

    def start(self, weights: Weights) -> None:
        """There is nothing to measure before round 1."""

    def round(self, seen: Round) -> None:
        """Measure one round in ``EVERY``, but nothing where rows are sums over hospitals."""
        shares = seen.aggregated.shares or {}
        for name, share in shares.items():
            self.state.shares.setdefault(name, []).append(len(shares) * share)
        view = seen.aggregated.view
        if seen.number % EVERY == 1 and view is not None:
            self.measure(seen.number, view, seen.aggregated.states)

    def measure(self, number: int, view: View, states: Sequence[State] = ()) -> None:
        """Note both figures for the hospitals of a view. ``states``: before the round."""
        if len(view.rows) < 2 or any(len(group) != 1 for group in view.members):
            return
        rows = view.rows.astype(np.float64)
        try:
            slopes = self._slopes(number, view, rows, states)
        except RefusedError:  # the aggregator skipped this round
            return
        figures = zip(view.members, slopes.tolist(), distances(rows).tolist(), strict=True)
        for (name,), slope, distance in figures:
            self.state.distance.setdefault(name, []).append(distance)
            if np.isfinite(slope):
                self.state.influence.setdefault(name, []).append(slope)

    def influence(self, hospital: str) -> float | None:
        """A hospital's influence on the model; None where nothing was measured."""
        return _mean(self._slopes_of(hospital))

    def distance(self, hospital: str) -> float | None:
        """The distance of a hospital's updates from the others'; None where none was measured."""
        return _mean(self.state.distance.get(hospital, []))

    def findings(self, ended: Ended) -> Findings:
        """Both figures at each hospital."""
        names = self.subject.plan.hospitals
        return Findings([one for name in names for one in self._outcomes(name)])

    def _outcomes(self, hospital: str) -> list[Outcome]:
        """Both outcomes of a hospital; none where nothing was measured."""
        if not (measured := self.state.distance.get(hospital, [])):
            return []
        n = len(self._slopes_of(hospital))
        still = "no entry of its update is far enough from 0 to be moved"
        return [
            outcome("influence", self.influence(hospital), n, hospital=hospital, undefined=still),
            outcome("update_distance", self.distance(hospital), len(measured), hospital=hospital),
        ]

    def _slopes_of(self, hospital: str) -> list[float]:
        """The slopes of the measured rounds, or the shares of all rounds where these agree."""
        found = self.state.influence.get(hospital, [])
        stated = self.state.shares.get(hospital, [])
        return stated if found and stated and self.state.agree else found

    def _slopes(self, number: int, view: View, rows: Rows, states: Sequence[State]) -> Rows:
        n = len(rows)
        stated = list[Rows | None]()
        chain = self.subject.plan.quorum.chain_for(n).without_optimizer()

        def aggregate(changed: Rows) -> Rows:
            draws = self.subject.key.stream("rule", number)  # the aggregator's own, repeated
            found = chain.run(replace(view, rows=changed), draws, states)
            stated.append(found.shares)
            return np.asarray(found.move, dtype=np.float64)

        draws = self.subject.truth.key.stream("kept", number)  # it keeps its name, and its draws
        slopes = slopes_of(aggregate, rows, draws)
        known = [shares for shares in stated if shares is not None]
        gaps = [np.nan_to_num(np.abs(n * shares - slopes)).max() for shares in known]
        self.state.agree &= bool(gaps) and bool(max(gaps) < SAME)
        return slopes


def slopes_of(aggregate: Callable[[Rows], Rows], rows: Rows, rng: np.random.Generator) -> Rows:
    """The mean slope of ``aggregate`` along each row's own entries, times n, (n,).

    ``aggregate``: (n, n_params) -> (n_params,). Each entry is moved in one row, drawn by lot; all
    at once, by a small step with a random sign, so that what they do to each other's entries
    cancels (Hutchinson 1990). Exact for the entries drawn where they do nothing to each other: in
    rules that work on each entry by itself or select rows. Repeated until a row has had about
    ``ENOUGH`` entries. An entry of 0 is not moved: it shows no slope. NaN for a row of which none
    is moved.
    """
    n, n_params = rows.shape
    step = STEP * float(np.sqrt(np.mean(rows**2)))
    before = aggregate(rows)
    follows = np.zeros(n)
    counts = np.zeros(n)
    entry = np.arange(n_params)
    for _ in range(-(-ENOUGH * n // n_params)):
        owner = rng.integers(0, n, n_params)
        signs = 2.0 * rng.integers(0, 2, n_params) - 1
        moving = np.abs(rows[owner, entry]) > step
        moved = rows.copy()
        moved[owner, entry] += step * signs * moving
        change = signs * (aggregate(moved) - before)
        moving &= np.abs(change) < JUMP * step
        follows += np.bincount(owner, weights=change * moving, minlength=n)
        counts += np.bincount(owner, weights=moving, minlength=n)
    with np.errstate(invalid="ignore"):
        return np.asarray(n * follows / (step * counts))


def distances(rows: Rows) -> Rows:
    """The distance of each row from the mean of the others, relative to its length, (n,)."""
    total = rows.sum(axis=0)
    n = len(rows)
    own = np.einsum("ij,ij->i", rows, rows)
    along = np.einsum("ij,j->i", rows, total)
    # of n * row and the total: (n - 1) times the distance asked for, squared
    gaps = n**2 * own - 2 * n * along + total @ total
    sizes = np.maximum(own - 2 * along + total @ total, 1e-30)  # and of the mean of the others
    return np.asarray(np.sqrt(np.maximum(gaps, 0) / sizes))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
