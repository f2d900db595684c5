"""Other models to other hospitals, so that a sum holds one update (Pasquini et al., 2022, CCS)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError
from sim.messages import Concluded, Stage, Talk
from sim.types import About, Isolated, Layout, View

DEAD = -1e6  # a bias below which no record brings a neuron


@dataclass(frozen=True)
class ModelInconsistency:
    """The round's model to one hospital, and to all others one whose last hidden layer is dead.

    A dead ReLU neuron passes on no gradient, so the others' updates are zero but for the last bias:
    everything else in the sum is the victim's. Hospitals that compare what they received before
    they answer stop it.

    Args:
        victim: the hospital whose update is isolated; None: each in turn, another one each round.
    """

    victim: str | None = None
    colludes: ClassVar[bool] = False
    about: ClassVar[About] = About(
        title="ModelInconsistency",
        paper="Pasquini et al., Eluding Secure Aggregation in Federated Learning via Model"
        " Inconsistency",
        year=2022,
        sees="what the aggregator sees; it chooses the model that each hospital is sent",
    )

    def __call__(self, talk: Talk, stage: Stage, rng: np.random.Generator) -> Talk:
        """The honest half with other models for all hospitals but the victim.

        Raises:
            RefusedError: the model has no hidden layer, or there is no such hospital.
        """
        victim = self._victim(stage)
        bias = last_hidden_bias(stage.layout)
        dead = stage.model.copy()
        dead[bias] = DEAD
        others = {name: dead for name in stage.hospitals if name != victim}
        end = yield from _sending(talk, others)
        return replace(end, isolated=_isolated(end, victim, bias.stop, stage))

    def _victim(self, stage: Stage) -> str:
        if self.victim is None:
            return stage.hospitals[(stage.number - 1) % len(stage.hospitals)]
        if self.victim not in stage.hospitals:
            raise RefusedError(
                f"victim={self.victim}: expected one of {', '.join(stage.hospitals)}"
            )
        return self.victim


def _sending(talk: Talk, models: dict[str, NDArray[np.float32]]) -> Talk:
    """The same half, which sends these models to these hospitals wherever a model is sent."""
    try:
        trip = next(talk)
        while True:
            sent = trip if trip.model is None else replace(trip, models=models)
            trip = talk.send((yield sent))
    except StopIteration as end:
        concluded: Concluded = end.value
        return concluded


def _isolated(end: Concluded, victim: str, end_of_dead: int, stage: Stage) -> Isolated | None:
    """The victim's update in the row that it is in, up to the end of the dead layer."""
    if end.view is None:
        return None
    found = zip(end.view.rows, end.view.members, strict=True)
    sums = [len(group) * row.astype(np.float64) for row, group in found if victim in group]
    n_params = len(stage.model)
    known = np.arange(n_params) < end_of_dead
    rows = np.where(known, np.array(sums).reshape(-1, n_params), 0.0)
    return Isolated(View(rows, ((victim,),) * len(rows)), known)


def last_hidden_bias(layout: Layout) -> slice:
    """The place of the bias of the last hidden layer in the vector.

    Raises:
        RefusedError: there is no hidden layer with a bias.
    """
    places = list(_places(layout))
    biases = [(name, place) for name, place in places if name.endswith("bias")]
    if len(biases) < 2:
        shown = ", ".join(name for name, _ in places)
        raise RefusedError(f"layout={shown}: ModelInconsistency needs a hidden layer with a bias")
    return biases[-2][1]


def _places(layout: Layout) -> Iterator[tuple[str, slice]]:
    start = 0
    for name, shape in layout:
        end = start + int(np.prod(shape))
        yield name, slice(start, end)
        start = end
