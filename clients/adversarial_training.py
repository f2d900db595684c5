"""Adversarial training in the hospital: records moved against the model that it received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim import feasible
from sim.devices import one_thread
from sim.errors import number, whole
from sim.models.network import Network
from sim.models.released import ReleasedModel
from sim.types import About, Records, Room, Schema

TOGETHER = 512  # records that are moved at a time
LARGEST_REACH = 1e6
MOST_STEPS = 1000
OVERSHOOT = 2.5  # several steps together are so many times the reach, as Madry et al. have them


@dataclass(frozen=True)
class AdversarialTraining:
    """Training on records that are moved against the received model (Goodfellow et al., 2015).

    In each round every record is replaced, with probability ``share``, by one that the model
    decides worse. First up to ``levels`` categorical fields get the level to which the loss's
    gradient points most. Then continuous values go along the gradient's sign, at most by ``reach``,
    in one step or in several projected ones (Madry et al., 2018). Values that are absent stay
    absent, age, sex and label stay as they are, and pixels stay within their range; the limits of
    a table's values are not known to everybody, and not held.

    A record's replacement depends on that record, the received model and a draw of its own alone,
    so what private training states of records holds with it.

    Args:
        share: the probability that a record is replaced in a round.
        reach: how far a value may move: standard deviations, or parts of a pixel's range.
        levels: categorical fields of which another level may be set.
        steps: gradient steps; one goes all the way.
    """

    share: float = 0.5
    reach: float = 0.5
    levels: int = 1
    steps: int = 1
    about: ClassVar[About] = About(
        title="AdversarialTraining",
        paper="Goodfellow et al., Explaining and Harnessing Adversarial Examples; in federations "
        "Zizzo et al. 2020, FAT: Federated Adversarial Training",
        year=2015,
        sees="the hospital's own records and the model that it received",
        cost="a gradient of each replaced record in each step, hospital by hospital",
        variants=("reach=0.03137: images, 8 of 255 steps of a pixel", "levels=0", "steps=7"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        number(0, LARGEST_REACH, open_low=True, reach=self.reach)
        whole(0, levels=self.levels)
        whole(1, MOST_STEPS, steps=self.steps)

    @one_thread()
    def __call__(
        self,
        network: Network,
        weights: NDArray[np.float32],
        records: Records,
        schema: Schema,
        rng: np.random.Generator,
    ) -> Records:
        """The records of a round, as many as before and in their order."""
        held = ReleasedModel(network, weights)
        replaced = np.flatnonzero(rng.random(len(records)) < self.share)
        features = records.features.copy()
        for start in range(0, len(replaced), TOGETHER):
            rows = replaced[start : start + TOGETHER]
            features[rows] = self._moved(held, records.take(rows), schema)
        return Records(features, records.labels)

    def _moved(self, held: ReleasedModel, records: Records, schema: Schema) -> NDArray[np.float64]:
        """The features of ``records`` moved to where the model decides worse."""
        fixed = feasible.fixed_fields(schema, None)
        limits = feasible.known_limits(schema)
        space = feasible.room(schema, records.features, fixed, self.reach, limits)
        length = self.reach if self.steps == 1 else OVERSHOOT * self.reach / self.steps
        way = length * (space.high > space.low)
        found = records.features.astype(np.float64)
        n_levels = min(self.levels, len(space.levels))
        if n_levels:
            slopes = np.nan_to_num(held.gradients(found, records.labels))
            found = _with_levels(found, slopes, space, n_levels)
        for _ in range(self.steps):
            slopes = np.nan_to_num(held.gradients(found, records.labels))
            found = feasible.inside(space, found + way * np.sign(slopes))
        return found


def _with_levels(
    features: NDArray[np.float64], slopes: NDArray[np.float64], space: Room, n_levels: int
) -> NDArray[np.float64]:
    """The features with other levels of the ``n_levels`` fields in which the loss gains most.

    Gains are those of a loss with these ``slopes`` (n, n_features); fields without any stay.
    """
    gains = []
    levels = []
    for columns in map(list, space.levels):
        now = (features[:, columns] * slopes[:, columns]).sum(axis=1)
        gains.append(slopes[:, columns].max(axis=1) - now)
        levels.append(np.take(columns, slopes[:, columns].argmax(axis=1)))
    first = np.argsort(-np.array(gains), axis=0, kind="stable")[:n_levels]
    found = features.copy()
    for place, columns in enumerate(map(list, space.levels)):
        rows = np.flatnonzero((first == place).any(axis=0) & (gains[place] > 0))
        found[rows[:, None], columns] = 0.0
        found[rows, levels[place][rows]] = 1.0
    return found
