"""Honest hospitals of which nothing arrives (Bonawitz et al., 2019, arXiv:1902.01046)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.errors import InputError, number, whole
from sim.types import About, Hospital


@dataclass(frozen=True)
class HonestAbsence:
    """Honest hospitals train, and their replies do not arrive: at random, or in a span of rounds.

    Args:
        rate: probability that nothing arrives of a hospital in a round; each hospital draws alone.
        n_hospitals: how many honest hospitals, drawn at random, are concerned; None: all.
        hospitals: names of hospitals or of sites (all hospitals of it) among which these are;
            empty: all. Those that are hostile in a run are left out.
        first_round: first round of the span.
        last_round: last round of the span; None: to the end.
        phase: from which trip of a round on nothing arrives. A plain round has ``train`` alone;
            ``secagg=protocol`` has ``keys``, ``shares``, ``train``, ``agree`` and ``unmask``.
    """

    rate: float = 0.2
    n_hospitals: int | None = None
    hospitals: tuple[str, ...] = ()
    first_round: int = 1
    last_round: int | None = None
    phase: str = "train"
    about: ClassVar[About] = About(
        title="HonestAbsence",
        paper="Bonawitz et al., Towards Federated Learning at Scale: System Design",
        year=2019,
        sees="nothing",
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, rate=self.rate)
        whole(1, first_round=self.first_round)
        whole(1, n_hospitals=1 if self.n_hospitals is None else self.n_hospitals)
        given = self.hospitals if isinstance(self.hospitals, (list, tuple)) else (None,)
        if any(not isinstance(name, str) for name in given):
            expected = "expected a list of names of hospitals or sites"
            raise InputError("hospitals", self.hospitals, expected)
        object.__setattr__(self, "hospitals", tuple(self.hospitals))  # a list in the configuration
        if self.last_round is not None:
            whole(self.first_round, last_round=self.last_round)

    def concerned(
        self, hospitals: Sequence[Hospital], hostile: Sequence[str], rng: np.random.Generator
    ) -> tuple[str, ...]:
        """Names of the honest hospitals that may be away, sorted.

        Raises ``InputError`` for an unknown name, or if fewer hospitals are honest than asked for.
        """
        known = {name for hospital in hospitals for name in (hospital.name, hospital.origin)}
        for name in self.hospitals:
            if name not in known:
                expected = f"expected names among {', '.join(sorted(known))}"
                raise InputError("hospitals", name, expected)
        asked = set(self.hospitals)
        chosen = [one.name for one in hospitals if not asked or {one.name, one.origin} & asked]
        honest = [name for name in chosen if name not in hostile]
        if self.n_hospitals is None:
            return tuple(sorted(honest))
        if self.n_hospitals > len(honest):
            expected = f"expected at most {len(honest)}, the honest hospitals to draw from"
            raise InputError("n_hospitals", self.n_hospitals, expected)
        return tuple(sorted(honest[i] for i in rng.permutation(len(honest))[: self.n_hospitals]))

    def away(self, round_: int, rng: np.random.Generator) -> bool:
        """Whether nothing arrives of one of them in this round."""
        last = round_ if self.last_round is None else self.last_round
        return self.first_round <= round_ <= last and bool(rng.random() < self.rate)
