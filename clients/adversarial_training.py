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
from sim.types import About, Records, Schema

TOGETHER = 512  # records that are moved at a time
LARGEST_REACH = 1e6
MOST_STEPS = 1000
OVERSHOOT = 2.5  # several steps together are so many times the reach, as Madry et al. have them


@dataclass(frozen=True)
class AdversarialTraining:
    """Training on records that are moved against the received model (Goodfellow et al., 2015).

    In each round every record is replaced, with probability ``share``, by one that the model
    decides worse: its continuous values go along the sign of the loss's gradient, at most by
    ``reach``, in one step or in several projected ones (Madry et al., 2018). Its label stays.
    Values that are absent stay absent, age, sex and categories stay as they are, and pixels stay
    within their range; the limits of a table's values are not known to everybody, and not held.

    A record's replacement depends on that record, the received model and a draw of its own alone,
    so what private training states of records holds with it.

    Args:
        share: the probability that a record is replaced in a round.
        reach: how far a value may move: standard deviations, or parts of a pixel's range.
        steps: gradient steps; one goes all the way.
    """

    share: float = 0.5
    reach: float = 0.5
    steps: int = 1
    about: ClassVar[About] = About(
        title="AdversarialTraining",
        paper="Goodfellow et al., Explaining and Harnessing Adversarial Examples; in federations "
        "Zizzo et al. 2020, FAT: Federated Adversarial Training",
        year=2015,
        sees="the hospital's own records and the model that it received",
        cost="a gradient of each replaced record in each step, hospital by hospital",
        variants=("reach=0.03137: images, 8 of 255 steps of a pixel", "steps=7 share=1.0"),
    )

    def __post_init__(self) -> None:
        number(0, 1, open_low=True, share=self.share)
        number(0, LARGEST_REACH, open_low=True, reach=self.reach)
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
        for _ in range(self.steps):
            slopes = np.nan_to_num(held.gradients(found, records.labels))
            found = feasible.inside(space, found + way * np.sign(slopes))
        return found
