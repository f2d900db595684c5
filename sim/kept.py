"""What a rule keeps of each hospital's update, and how different that update is, in a few rounds of a run without attacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError
from sim.experiment import Experiment
from sim.seeds import stream
from sim.states import State
from sim.types import View

EVERY = 20  # rounds: the first is measured, and every twentieth from there; the rule runs about twice more in each
STEP = 1e-6  # how far an entry is moved, relative to the typical size of an entry
JUMP = 1e3  # steps: an entry of the aggregate that moves further has jumped, and has no slope there
SAME = 1e-3  # equal shares: up to this difference the shares that a rule states are its slopes
ENOUGH = 10  # entries of a row, on average, that a slope is the mean of at least

Rows = NDArray[np.float64]


class Kept:
    """Watches the aggregator's views in rounds 1, 21, 41, ... and notes two figures for each hospital; touches nothing.

    Share kept: how far an entry of the aggregate follows that entry of the hospital's update, in units of an equal share 1 / n,
    mean over entries and rounds: 1 under the plain mean, n or 0 in a round of Krum. It is the mean diagonal of the Jacobian of
    steps and rule. Where the shares that a rule states agree with it, it is their mean over all rounds.
    Distance: |update - mean of the others| / |mean of the others|, mean over the measured rounds.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self._stated = experiment, True
        self._kept = defaultdict[str, list[float]](list)
        self._distance = defaultdict[str, list[float]](list)

    def __call__(self, round_: int, weights: NDArray[np.float32], view: View, states: Sequence[State]) -> None:
        """Called by the aggregator in each round before steps and rule. Nothing is noted where rows are sums over hospitals."""
        if round_ % EVERY != 1 or len(view.rows) < 2 or any(len(group) != 1 for group in view.members):
            return
        rows = view.rows.astype(np.float64)
        try:
            slopes = self._slopes(round_, view, rows, states)
        except RefusedError:  # the aggregator will skip this round
            return
        for (name,), slope, distance in zip(view.members, slopes.tolist(), distances(rows).tolist(), strict=True):
            self._distance[name].append(distance)
            self._kept[name] += [slope] if np.isfinite(slope) else []

    def kept(self, hospital: str, shares: Sequence[Mapping[str, float]]) -> float | None:
        """None where nothing was measured. ``shares``: those that the rule stated, round by round."""
        found = self._kept[hospital]
        stated = [len(row) * row[hospital] for row in shares if hospital in row] if found and self._stated else []
        return _mean(stated or found)

    def distance(self, hospital: str) -> float | None:
        """None where nothing was measured."""
        return _mean(self._distance[hospital])

    def _slopes(self, round_: int, view: View, rows: Rows, states: Sequence[State]) -> Rows:
        seed, n, stated = self.experiment.settings.seed, len(rows), list[Rows | None]()
        chain = replace(self.experiment.quorum.chain_for(n), optimizer=None)

        def aggregate(changed: Rows) -> Rows:
            draws = stream(seed, "rule", round_)  # the aggregator's own, repeated
            found = chain.run(replace(view, rows=changed), draws, states)
            stated.append(found.shares)
            return np.asarray(found.move, dtype=np.float64)

        slopes = slopes_of(aggregate, rows, stream(seed, "kept", round_))
        gaps = [np.nan_to_num(np.abs(n * shares - slopes)).max() for shares in stated if shares is not None]
        self._stated &= bool(gaps) and max(gaps) < SAME
        return slopes


def slopes_of(aggregate: Callable[[Rows], Rows], rows: Rows, rng: np.random.Generator) -> Rows:
    """Mean slope of ``aggregate`` (n, n_params) -> (n_params,) along each row's own entries, times n, (n,).

    Each entry is moved in one row, drawn by lot; all at once, by a small step with a random sign, so that what they do to each
    other's entries cancels (Hutchinson 1990). Exact for the entries drawn where they do nothing to each other: in rules that work
    on each entry by itself or select rows. Repeated until a row has had about ``ENOUGH`` entries. An entry of 0 is not moved:
    there is nothing to keep. NaN for a row of which none is.
    """
    n, n_params = rows.shape
    step, before = STEP * float(np.sqrt(np.mean(rows**2))), aggregate(rows)
    follows, counts, entry = np.zeros(n), np.zeros(n), np.arange(n_params)
    for _ in range(-(-ENOUGH * n // n_params)):
        owner, signs = rng.integers(0, n, n_params), 2.0 * rng.integers(0, 2, n_params) - 1
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
    """How far each row is from the mean of the others, relative to the length of that mean, (n,)."""
    total, n = rows.sum(axis=0), len(rows)
    own, along = np.einsum("ij,ij->i", rows, rows), np.einsum("ij,j->i", rows, total)
    gaps = n**2 * own - 2 * n * along + total @ total  # of n * row and the total: (n - 1) times the distance asked for, squared
    sizes = np.maximum(own - 2 * along + total @ total, 1e-30)  # and of the mean of the others
    return np.asarray(np.sqrt(np.maximum(gaps, 0) / sizes))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
