"""Processor seconds that attacks which search take beside the training of a run, by own counts.

An attack states how often it computes something (``sim.types``: ``Searching``, ``Shadowing``,
``Trying``, ``Passing``). How long that takes once is measured here, with the plan of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from sim import returned
from sim.devices import one_thread
from sim.errors import RefusedError
from sim.models.released import ReleasedModel
from sim.seeds import stream
from sim.study.experiment import Experiment
from sim.types import Look, Pass, Passing, Searching, Shadowing, Trying, View

if TYPE_CHECKING:
    from sim.types import Observation, Updates

TWICE: Final = 2  # an inversion reads the updates, and shuffled ones
TIMES: Final = 5  # that something is timed, but for the first time
LONGEST_TIMED: Final = 0.3  # seconds, after which it is not timed again
MOST_TIMED: Final = 256  # records in the tries of a look that are timed
MOST_ASKED: Final = 4096  # records that a final model is timed with
TOGETHER: Final = 64  # hospitals that train in the batches whose time is taken


def searches(experiment: Experiment) -> bool:
    """Whether an attack of a run takes more than the run's training does."""
    attacks = experiment.attack_plan.attacks.values()
    return any(isinstance(one, Searching | Shadowing | Trying | Passing) for one in attacks)


@one_thread()
def seconds(experiment: Experiment) -> float:
    """Processor seconds of all that the attacks of a run compute beside its training."""
    from sim.observers.final_model import COPY_EPOCHS

    here = _Here(experiment)
    plan = experiment.plan
    rounds = plan.training.rounds
    total = 0.0
    for attack in experiment.attack_plan.attacks.values():
        if isinstance(attack, Searching):
            looks = returned.looks(attack, attack.looks(here.rows))
            total += TWICE * sum(here.look(one) for one in looks)
        if isinstance(attack, Shadowing):
            trainings = attack.trainings(rounds, len(plan.hospitals))
            total += returned.amount(attack, trainings) * here.federation
        if isinstance(attack, Trying):
            total += returned.amount(attack, attack.tries) * rounds * here.aggregation
        if isinstance(attack, Passing):
            asked = returned.passes(attack, attack.passes(plan.columns, here.n_tested))
            total += sum(here.work(one) for one in asked)
    # beside each copy of the model stands one that is made without it
    alone = Pass("training", here.n_tested // 2, COPY_EPOCHS)
    return total + sum(here.work(alone) for _ in experiment.attack_plan.of_kind("extraction"))


@dataclass(frozen=True, eq=False)
class _Here:
    """The parts of a run that attacks repeat, each timed once."""

    experiment: Experiment

    @cached_property
    def view(self) -> View | None:
        """What an aggregator sees in round 1, with made-up updates; None where it sees nothing."""
        from sim.federation import wire
        from sim.federation.protocols.plain import expected

        plan = self.experiment.plan
        rng = stream(0, "explain", "view")
        reports = {
            one.name: wire.Report(self._update(rng), plan.counted(len(one.train)), {})
            for one in self.experiment.consortium.hospitals
        }
        try:
            view = expected(plan, 1, reports)
        except RefusedError:
            return None
        return replace(view, model=plan.network.initialize(rng).astype(np.float32))

    def _update(self, rng: np.random.Generator) -> Updates:
        return (1e-3 * rng.normal(size=self.experiment.plan.network.n_params)).astype(np.float32)

    @cached_property
    def observation(self) -> Observation | None:
        """What an inversion is given."""
        from sim.observers.reconstruction import observation

        if self.view is None or self.view.model is None:
            return None
        return observation(self.experiment.plan, self.view, self.view.model)

    @cached_property
    def rows(self) -> list[tuple[int, int]]:
        """Records and hospitals behind each row, where their number is known."""
        seen = self.observation
        if seen is None or seen.training is None or seen.n_records is None:
            return []
        pairs = zip(seen.n_records, seen.view.sizes.tolist(), strict=True)
        return [(n, int(n_hospitals)) for n, n_hospitals in pairs if n is not None]

    def look(self, look: Look) -> float:
        """Seconds of all the updates that are computed to search behind rows.

        Of many tries some are timed, for all of them may take gigabytes.
        """
        seen = self.observation
        assert seen is not None
        assert seen.training is not None
        training = seen.training
        rng = stream(0, "explain", "look")
        n_timed = min(look.n_tries, max(1, MOST_TIMED // look.n_records))
        shape = (n_timed, look.n_records)
        features = rng.normal(size=(*shape, seen.schema.n_features))
        labels = rng.integers(2, size=shape).astype(np.float64)

        def once() -> None:
            updates, pull_back = training.traced(features, labels, look.n_hospitals)
            length = np.linalg.norm(updates, axis=1, keepdims=True)
            pull_back(updates / np.maximum(length, 1e-30))
            np.exp(-features) * np.sign(features)  # about what a step of Adam makes of records

        return look.evaluations * look.n_tries / n_timed * _timed(once)

    @property
    def n_tested(self) -> int:
        """Test records of all hospitals."""
        return sum(len(one.test) for one in self.experiment.consortium.hospitals)

    def work(self, asked: Pass) -> float:
        """Seconds of what is asked of a final model. Of many records some are timed."""
        if not asked.n_records or not asked.times:
            return 0.0
        plan = self.experiment.plan
        rng = stream(0, "explain", "work")
        model = ReleasedModel(plan.network, plan.network.initialize(rng).astype(np.float32))
        n_timed = min(asked.n_records, MOST_ASKED)
        features = rng.normal(size=(n_timed, plan.columns.n_features)).astype(np.float32)
        labels = rng.integers(2, size=n_timed).astype(np.float32)

        def once() -> None:
            if asked.work == "answers":
                model.logits(features)
            elif asked.work == "gradients":
                model.gradients(features, labels)
            else:
                model.taught(features, labels, 1, rng)

        return asked.times * asked.n_records / n_timed * _timed(once)

    @cached_property
    def federation(self) -> float:
        """Seconds of a whole federation that trains among many."""
        from sim.inference.agreed import Agreed

        plan = self.experiment.plan
        sizes = [len(one.train) for one in self.experiment.consortium.hospitals]
        largest = max(self.experiment.consortium.hospitals, key=lambda one: len(one.train)).train
        rng = stream(0, "explain", "shadows")
        weights = plan.network.initialize(rng).astype(np.float32)
        n_copies = max(1, TOGETHER // len(sizes))
        drawn = [rng.integers(len(largest), size=size) for size in sizes * n_copies]

        def once() -> None:
            Agreed(plan).updates(weights, largest, drawn, rng)

        return plan.training.rounds * (_timed(once) / n_copies + self.aggregation)

    @cached_property
    def aggregation(self) -> float:
        """Seconds of what becomes of a round's updates; none where they are refused."""
        view = self.view
        if view is None:
            return 0.0
        n_replies = int(view.sizes.sum())
        rng = stream(0, "explain", "aggregation")

        def once() -> None:
            self.experiment.plan.quorum.chain_for(n_replies).run(view, rng, ())

        try:
            return _timed(once)
        except RefusedError:
            return 0.0


def _timed(once: Callable[[], object]) -> float:
    """The median processor seconds of a call, after a first one, which may load libraries."""
    once()
    found = list[float]()
    while len(found) < TIMES and sum(found) < LONGEST_TIMED:
        start = time.process_time()
        once()
        found.append(time.process_time() - start)
    return median(found)
