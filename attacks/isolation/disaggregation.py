"""Sums over changing groups as a linear system (Lam et al., 2021, ICML)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attacks.isolation.collusion import without
from sim.errors import whole
from sim.limits import REPEATS
from sim.sums import estimated, solved
from sim.types import About, Isolated, Pooled, Stateful, Updates, View


@dataclass(frozen=True)
class Sums:
    """The sums of the last rounds.

    ``members``: the hospitals in each, of which none colludes. ``totals`` (n_sums, n_params).
    ``rounds``: in which each was seen.
    """

    members: tuple[tuple[str, ...], ...]
    totals: Updates
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class Disaggregation(Stateful[Pooled, Isolated, Sums]):
    """Updates that sums over changing groups of hospitals determine, taken to stay as they are.

    Each sum is an equation: its hospitals' updates add up to it. Sums of the last rounds, in which
    groups are drawn anew or a hospital is missing, are solved together (least squares); hospitals
    that are in the same sums stay together. What is found is an update's mean over these rounds, as
    good as updates are alike from round to round. Updates of colluding hospitals are subtracted.
    Groups that stay the same determine nothing. Where record counts are public, what sums leave
    open is estimated: each hospital adds the equation that its update goes with its batches.

    Args:
        window: rounds whose sums are used, the last one included.
    """

    window: int = 10
    state: ClassVar[type] = Sums
    colludes: ClassVar[bool] = True
    about: ClassVar[About] = About(
        title="Disaggregation",
        paper=(
            "Lam et al., Gradient Disaggregation: Breaking Privacy in Federated Learning by"
            " Reconstructing the User Participant Matrix"
        ),
        year=2021,
        sees="the aggregator's view of each round, and which hospitals are in each sum",
    )

    def __post_init__(self) -> None:
        whole(1, REPEATS, window=self.window)

    def advance(
        self, pooled: Pooled, state: Sums | None, rng: np.random.Generator, /
    ) -> tuple[Isolated, Sums]:
        """The smallest groups whose sum is determined, and the sums to work with from now on."""
        new = list(without(pooled))
        members = [group for _, group in new]
        totals = [total for total, _ in new]
        rounds = [pooled.round] * len(new)
        if state is not None:
            recent = [i for i, at in enumerate(state.rounds) if at > pooled.round - self.window]
            members = [state.members[i] for i in recent] + members
            totals = [state.totals[i] for i in recent] + totals
            rounds = [state.rounds[i] for i in recent] + rounds
        n_params = pooled.view.rows.shape[1]
        sums = Sums(tuple(members), np.array(totals).reshape(-1, n_params), tuple(rounds))
        found = solved(sums.members)
        sizes = np.array([len(group) for group in found.groups])
        rows = found.weights @ sums.totals / sizes[:, None]
        open_ = {name for group in sums.members for name in group}
        open_ -= {name for group in found.groups if len(group) == 1 for name in group}
        guessed = estimated(sums.members, pooled.steps)
        chosen = [at for at, (name,) in enumerate(guessed.groups) if name in open_]
        estimates = View(
            guessed.weights[chosen] @ sums.totals, tuple(guessed.groups[at] for at in chosen)
        )
        return Isolated(View(rows, found.groups), None, estimates if chosen else None), sums
