"""Feasible changes along the loss's gradient (Madry et al., 2018, ICLR), computed by ART."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attacks._shared import art
from sim import feasible
from sim.errors import number, whole
from sim.limits import REPEATS
from sim.types import About, Pass, Records, Released, Room, Schema


@dataclass(frozen=True)
class ProjectedGradient:
    """Steps along the sign of the loss's gradient, projected onto what can be changed of a record.

    Continuous values stay within ``reach`` of the true ones and within the limits of the data, an
    absent value stays absent, and ``fixed`` fields stay as they are. Of tables, the levels of up to
    ``levels`` categorical fields are set first: in turn the one change that moves the score most,
    which takes a query for each other level. Images have no levels.

    Args:
        reach: how far a value may move: standard deviations, or parts of a pixel's range.
        levels: categorical fields of which another level may be set.
        steps: gradient steps.
        fixed: fields that nobody can change; null takes age and sex where the data have them.
    """

    reach: float = 0.5
    levels: int = 1
    steps: int = 20
    fixed: list[str] | None = None
    about: ClassVar[About] = About(
        title="ProjectedGradient",
        paper="Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks",
        year=2018,
        sees="the weights of the final model, the record, the public schema of a record",
        variants=("reach=0.03137 levels=0: images, 8 of 255 steps of a pixel",),
    )

    def __post_init__(self) -> None:
        number(0, reach=self.reach)
        whole(0, levels=self.levels)
        whole(1, REPEATS, steps=self.steps)
        art.require(self.about.title)

    def room(self, schema: Schema, features: NDArray[np.floating], seen: Records) -> Room:
        """The room for changes of ``features``.

        ``seen``: records that show the limits of the data.

        Raises ``InputError`` for a fixed field that the data do not have.
        """
        fixed = feasible.fixed_fields(schema, self.fixed)
        return feasible.room(schema, features, fixed, self.reach, feasible.limits(seen.features))

    def passes(self, schema: Schema, n_records: int) -> list[Pass]:
        """The gradients of all records at each step, and their answers to each level tried."""
        fixed = feasible.fixed_fields(schema, self.fixed)
        free = [
            len(field.columns)
            for field in schema.fields
            if field.kind == "categorical" and field.name not in fixed
        ]
        rounds = min(self.levels, len(free))
        return [
            Pass("gradients", n_records, self.steps),
            Pass("answers", n_records, rounds * (1 + sum(free))),
        ]

    def __call__(
        self, held: Released, records: Records, space: Room, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The changed features (n, n_features)."""
        from art.attacks.evasion import ProjectedGradientDescent

        started = self._with_levels(held, records, space)
        mask = (space.high > space.low).astype(np.float32)
        if not self.reach or not mask.any():
            return started
        attack = ProjectedGradientDescent(
            art.classifier(held, started.shape[1]),
            eps=self.reach,
            eps_step=2.5 * self.reach / self.steps,
            max_iter=self.steps,
            batch_size=len(started),
            verbose=False,
        )
        labels = (records.labels > 0.5).astype(np.int64)
        found = attack.generate(started.astype(np.float32), y=labels, mask=mask)
        return feasible.inside(space, np.where(mask > 0, found, started))

    def _with_levels(self, held: Released, records: Records, space: Room) -> NDArray[np.float64]:
        """The features with the levels set that move the scores most towards the other class."""
        found = records.features.astype(np.float64)
        towards = np.where(records.labels > 0.5, -1.0, 1.0)
        touched = np.zeros((len(found), len(space.levels)), dtype=np.bool_)
        for _ in range(min(self.levels, len(space.levels))):
            best = towards * held.logits(found)
            changed = found.copy()
            place = np.full(len(found), -1)
            for number_, columns in enumerate(space.levels):
                for column in columns:
                    tried = found.copy()
                    tried[:, list(columns)] = 0.0
                    tried[:, column] = 1.0
                    score = towards * held.logits(tried)
                    better = (score > best) & ~touched[:, number_]
                    best = np.where(better, score, best)
                    changed[better] = tried[better]
                    place[better] = number_
            moved = place >= 0
            touched[moved, place[moved]] = True
            found = changed
        return found
