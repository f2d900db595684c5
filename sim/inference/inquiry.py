"""One inference attack on one finished run: asked without the truth, scored with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import returned
from sim.design.batches import drawn
from sim.federation.observing import Subject
from sim.types import Asked, Holdings, Inference


@dataclass(frozen=True, eq=False)
class Inquiry:
    """An inference attack by the name ``name``, and the run after which it is asked.

    ``seen``: what its party holds. ``subject``: the truth, for questions and scores. ``joined``:
    the rounds in which each hospital's update was part of what the aggregator saw, by name.
    """

    name: str
    attack: Inference
    seen: Holdings
    subject: Subject
    joined: Mapping[str, Sequence[int]]

    @property
    def others(self) -> tuple[str, ...]:
        """The hospitals that the attacker may ask about: all honest ones but its own."""
        left_out = {*self.subject.truth.hostile} if self.subject.attack.by_hospitals else set()
        if self.seen.own is not None:
            left_out.add(self.seen.own[0])
        return tuple(name for name in self.subject.plan.hospitals if name not in left_out)

    def answers(self, asked: Asked, n: int) -> NDArray[np.float64]:
        """The attack's scores of ``n`` questions, (n, n_choices).

        Raises ``PluginError`` where they have another form.
        """
        rng = self.subject.attack.key.stream("attack", self.name, "answers")
        made = self.attack(self.seen, asked, rng)
        return returned.scores(self.attack, made, (n, len(asked.choices)))

    def draws(self, *names: str) -> np.random.Generator:
        """Draws of the simulator's own: no attack can repeat them."""
        return self.subject.truth.key.stream("inference", self.name, *names)

    def trained_on(self, hospital: str) -> NDArray[np.int64]:
        """The rows of an honest hospital's records that it really trained on, sorted."""
        plan = self.subject.plan
        site = self.subject.truth.site(hospital)
        n = len(site.records)
        counted = None if plan.dp is None else plan.dp.counted(n)
        rounds = self.joined.get(hospital, ())
        rows = [drawn(site.key, number, n, plan.training, counted) for number in rounds]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
