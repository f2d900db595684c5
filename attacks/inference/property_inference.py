"""The share of a hospital's patients with the condition, from its updates (Melis et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError, one_of, whole
from sim.types import PARTIES, About, Asked, Holdings, Party, Question, Records, SeenRound

SHADOWS = 40  # hospitals of the attacker's own making, of each size and round
DEGREE = 2  # of the polynomial from the update of the last bias to the share


@dataclass(frozen=True)
class PropertyInference:
    """Shadow hospitals with known shares of patients train as the real ones; the shares are fitted.

    In each of the first rounds the attacker lets hospitals of its own making, of the real sizes
    where they are known, train on records that it knows, with shares from 0 to 1; a polynomial
    takes the update of the last bias to the share. The aggregator so reads each hospital, or each
    group of a secure sum; a hospital reads the step of the common model, and so the consortium; who
    has the final model alone has the mean of its predictions. Later rounds tell ever less, for a
    trained model's updates depend on more than labels.

    Args:
        party: who attacks; all parties can.
        n_rounds: rounds that are looked at, from the first on.
        known: records that the attacker knows whole, from all hospitals; a hospital has its own.
    """

    party: Party = "aggregator"
    n_rounds: int = 3
    known: int = 100
    question: ClassVar[Question] = "prevalence"
    min_rows: ClassVar[int] = 1
    about: ClassVar[About] = About(
        title="PropertyInference",
        paper="Melis et al., Exploiting Unintended Feature Leakage in Collaborative Learning",
        year=2019,
        sees="updates or their sums, the model, the training values; some patients of its own",
    )

    def __post_init__(self) -> None:
        one_of(PARTIES, party=self.party)
        whole(1, 1000, n_rounds=self.n_rounds)
        whole(2, known=self.known)

    def watched(self, rounds: int) -> tuple[int, ...]:
        return tuple(range(1, min(self.n_rounds, rounds) + 1))

    def trainings(self, rounds: int, n_hospitals: int) -> float:
        """The updates of hospitals of its own for each real one, as a share of whole runs."""
        return SHADOWS * len(self.watched(rounds)) / rounds

    def __call__(
        self, seen: Holdings, asked: Asked, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        if asked.known is None or not 0 < asked.known.labels.mean() < 1:
            raise RefusedError("known: PropertyInference needs records with and without the label")
        n = max(1, len(asked.hospitals))
        found = [
            self._of_round(one, seen, asked.hospitals, asked.known, rng)
            for one in seen.rounds
            if one.view is not None
        ]
        if not found:
            predicted = 1 / (1 + np.exp(-seen.outputs(asked.known.features)))
            return np.full((n, 1), float(np.mean(predicted)))
        guesses = np.array(found)
        # a hospital that was in no row is guessed as the others are
        other = float(np.nanmean(guesses)) if np.isfinite(guesses).any() else 0.5
        filled = np.where(np.isfinite(guesses), guesses, other)
        return np.asarray(filled.mean(axis=0)[:, None])

    def _of_round(
        self,
        one: SeenRound,
        seen: Holdings,
        hospitals: tuple[str, ...],
        known: Records,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """The guess of each hospital, (n_hospitals,), or of all, (1,); NaN without a row."""
        view = one.view
        assert view is not None
        guesses = np.full(max(1, len(hospitals)), np.nan)
        for place, members in enumerate(view.members):
            size = len(known)
            if view.weights is not None:
                size = max(2, int(view.weights[place]) // len(members))
            share = _fitted(float(view.rows[place, -1]), one, seen, known, size, rng)
            for at, name in enumerate(hospitals or ("",)):
                if not name or name in members:
                    guesses[at] = share
        return guesses


def _fitted(
    move: float,
    one: SeenRound,
    seen: Holdings,
    known: Records,
    size: int,
    rng: np.random.Generator,
) -> float:
    """The share of records with the label that moves the last bias by ``move``."""
    with_, without = (np.flatnonzero((known.labels > 0.5) == has) for has in (True, False))
    counts = np.unique(np.round(np.linspace(0, size, SHADOWS)).astype(np.int64))
    drawn = [
        np.concatenate([rng.choice(with_, count), rng.choice(without, size - count)])
        for count in counts
    ]
    moves = seen.model.updates(one.before, known, drawn, rng)[:, -1].astype(np.float64)
    center = float(moves.mean())
    scale = float(moves.std())
    if not np.isfinite(scale) or not np.isfinite(move) or scale == 0:
        return float("nan")
    line = np.polyfit((moves - center) / scale, counts / size, min(DEGREE, len(counts) - 1))
    # beyond what any shadow did a polynomial tells nothing
    at = np.clip(
        (move - center) / scale, (moves.min() - center) / scale, (moves.max() - center) / scale
    )
    return float(np.clip(np.polyval(line, at), 0, 1))
