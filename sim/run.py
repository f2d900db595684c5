"""One run, from a checked experiment to its evidence."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from flwr.app import ArrayRecord, ConfigRecord, Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from hydra.utils import get_object

from sim import checkpoints, models, wire
from sim.adversary import AdversarialGrid, Adversary
from sim.blame import blaming
from sim.clipping import clipped
from sim.engines.local import LocalGrid
from sim.evidence import SCHEMA, HospitalFacts, RunRecord
from sim.experiment import Experiment, address, targets
from sim.federation.rounds import Answer, Ended, Observer, Round, State, Weights
from sim.manifest import code_version
from sim.observers.engagement import EngagementObserver, without
from sim.observers.evaluation import Evaluation
from sim.observers.influence import Influence
from sim.observers.privacy import PrivacyObserver
from sim.observers.reconstruction import ReconstructionObserver
from sim.observers.screening import Log, Screening
from sim.observers.selection import SelectionObserver
from sim.seeds import stream
from sim.server import Aggregator
from sim.types import Hospital
from sim.untrusted import printable
from sim.visibility import conflicts, visibility

CLIENT_APP, TOGETHER = "clients.app.app", "clients.app.together"
RAY = "sim.engines.ray.serve"
LONGEST_REASON = 300  # characters of why a hospital has no node
Progress = Callable[[int], None]  # called with the number of each finished round
Kind = TypeVar("Kind")


Measure = Callable[[Experiment], Observer]  # a kind of observer
STANDARD: tuple[Measure, ...] = (  # of every run
    Screening,
    PrivacyObserver,
    Evaluation,
    SelectionObserver,
    ReconstructionObserver,
    EngagementObserver,
)
ATTACK_FREE: tuple[Measure, ...] = (Influence,)  # of a run that nobody attacks


class FederatedRun:
    """One run in progress: aggregator and adversary around the same experiment, and the observers that measure it."""

    def __init__(
        self,
        experiment: Experiment,
        first_node: int = 1,
        progress: Progress | None = None,
        observers: Sequence[Measure] = (),
    ) -> None:
        """``observers``: those beside ``STANDARD`` and ``ATTACK_FREE``."""
        self.experiment, self.progress = experiment, progress
        self.enrolled = dict(enumerate(experiment.consortium.names, first_node))
        self.aggregator = Aggregator(experiment, self.enrolled)
        self.adversary = Adversary(experiment, self.aggregator)
        self.initial = models.initial(experiment.widths, stream(experiment.settings.seed, "model"))
        measures = (*STANDARD, *(() if experiment.attacks else ATTACK_FREE), *observers)
        self.observers = [measure(experiment) for measure in measures]
        self.weights = self.initial
        self.round, self.earlier = 0, 0.0  # rounds done, and seconds that they took before an interruption

    def observer(self, kind: type[Kind]) -> Kind:
        """The observer of this kind."""
        return next(observer for observer in self.observers if isinstance(observer, kind))

    @property
    def log(self) -> Log:
        """Replies that were not used, and rounds that were skipped."""
        return self.observer(Screening).state

    @property
    def states(self) -> Mapping[str, State]:
        """What lasts from round to round, by the part of the run that has it."""
        observers = {f"{i} {type(one).__name__}": one.state for i, one in enumerate(self.observers)}
        return {"aggregator": self.aggregator.state, "adversary": self.adversary.state, **observers}

    def enroll(self, nodes: Mapping[int, int], refused: Sequence[str] = ()) -> None:
        """Take ``nodes`` (node id -> partition) for the hospitals', where they are not known beforehand.

        A hospital without a node sends nothing in the whole run; ``refused`` says why nodes were not enrolled.
        """
        names = self.experiment.consortium.names
        self.enrolled = {node: names[partition] for node, partition in nodes.items()}
        self.aggregator.enrolled.clear()
        self.aggregator.enrolled.update(self.enrolled)
        reason = "; ".join(["no node was enrolled as this hospital", *refused])
        self.aggregator.absent = {name: printable(reason, LONGEST_REASON) for name in names if name not in self.enrolled.values()}

    def observe(self, number: int, arrays: ArrayRecord) -> None:
        """Tell the observers of a round, or of the start (round 0), after which the model is ``arrays``."""
        before, self.weights = self.weights, wire.vector(arrays, wire.WEIGHTS)
        if number == 0:
            for observer in self.observers:
                observer.start(self.weights)
            return
        seen = Round(number, before, self.weights, self.aggregator.aggregated, self.adversary.moved)
        for observer in self.observers:
            observer.round(seen)
        if self.progress is not None:
            self.progress(number)

    def server_app(self) -> ServerApp:
        """The Flower ServerApp of this run."""
        server = ServerApp()

        @server.main()
        def main(grid: Grid, _: Context) -> None:
            self.aggregator.start(
                grid=AdversarialGrid(grid, self.adversary),
                initial_arrays=wire.arrays(wire.WEIGHTS, self.initial),
                num_rounds=self.experiment.settings.training.rounds,
                train_config=wire.settings(self.experiment.text),
                evaluate_config=ConfigRecord(),
                evaluate_fn=self.observe,
            )

        return server

    def record(self, answer: Answer, seconds: float, attack_free: Weights | None = None) -> RunRecord:
        """The evidence of the finished run. ``attack_free``: the final model of the same run without the attack."""
        experiment, ended = self.experiment, Ended(self.initial, self.weights, answer, attack_free)
        settings, consortium = experiment.settings, experiment.consortium
        found = [observer.findings(ended) for observer in self.observers]
        details = {name: value for findings in found for name, value in findings.details.items()}
        return RunRecord.model_validate(
            {
                "schema_": SCHEMA,
                "run": address(experiment, code_version()),
                "consortium": consortium.name,
                "attack": experiment.attack,
                "defense": experiment.label,
                "seed": settings.seed,
                "n_hospitals": len(consortium),
                "n_hostile": settings.adversary.n_hostile,
                "hostile": list(experiment.hostile),
                "rounds": settings.training.rounds,
                "public": consortium.public,
                "adaptive": any(one.about.uses == "updates_and_rule" for one in experiment.of_kind("byzantine").values()),
                "data_source": consortium.source,
                "data_hash": consortium.data_hash,
                "code": code_version(),
                "config": experiment.config,
                "outcomes": tuple(one for findings in found for one in findings.outcomes),
                "hospitals": [self._facts(hospital) for hospital in consortium.hospitals],
                "absences": {name: list(concerned) for name, concerned in experiment.absences.items()},
                "visibility": visibility(experiment),
                "conflicts": conflicts(experiment),
                "seconds": seconds,
                "limit": experiment.chain.most_hostile(experiment.secagg.n_rows(len(consortium)), len(consortium)),
                "data_notes": experiment.data_notes,
                "clipped": clipped(self.aggregator.memory),
                **details,
            }
        )

    def _facts(self, hospital: Hospital) -> HospitalFacts:
        return HospitalFacts(
            hospital=hospital.name,
            origin=hospital.origin,
            hostile=hospital.name in self.experiment.hostile,
            n_train=len(hospital.train),
            n_test=len(hospital.test),
            n_test_positive=int(hospital.test.labels.sum()),
        )


def run(
    experiment: Experiment,
    progress: Progress | None = None,
    app: ClientApp | None = None,
    observers: Sequence[Measure] = (),
) -> RunRecord:
    """Run ``experiment`` through Flower's ServerApp on the engine that it names and return its evidence.

    ``app``: another ClientApp than the project's own; it is then asked hospital by hospital, in this process. ``observers``:
    those beside the standard ones.
    """
    start = time.perf_counter()
    with blaming(targets(experiment.settings), lambda: experiment.is_public):
        run_ = _served(FederatedRun(experiment, progress=progress, observers=observers), app)
        control = _served(FederatedRun(unattacked(experiment)), app).weights if experiment.backdoors else None
        return run_.record(_grid([run_], app).answer, time.perf_counter() - start, control)


def _served(run_: FederatedRun, app: ClientApp | None) -> FederatedRun:
    if app is None and run_.experiment.settings.engine.name == "ray":
        serve: Callable[[FederatedRun, ClientApp], None] = get_object(RAY)
        serve(run_, client_app())
        return run_
    empty = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    run_.server_app()(_grid([run_], app), empty)
    return run_


def unattacked(experiment: Experiment) -> Experiment:
    """The same run without its attacks."""
    return without(experiment, attack={})


@contextmanager
def _frozen() -> Iterator[None]:
    """Python's search for cycles leaves out what is there already: the libraries' many objects, again and again."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def run_together(
    experiments: Sequence[Experiment], progress: Progress | None = None, observers: Sequence[Measure] = ()
) -> list[RunRecord]:
    """The records of ``advance``, in the order of ``experiments``."""
    return list(advance(experiments, progress, observers=observers))


def advance(
    experiments: Sequence[Experiment],
    progress: Progress | None = None,
    folder: Path | None = None,
    observers: Sequence[Measure] = (),
) -> Iterator[RunRecord]:
    """Run all ``experiments`` in lockstep, round by round, so that all their hospitals train in the same batches.

    Each run's evidence is that of ``run``, to float32 rounding. ``seconds`` are shared out evenly. ``progress`` is called with
    each round. The runs without attack that backdoors are compared with are added where they are missing. With a ``folder``, what
    the runs have reached is stored there every few seconds, and they go on from what is stored, with the same digits.
    ``observers``: those beside the standard ones.
    """
    named = {target for experiment in experiments for target in targets(experiment.settings)}
    with blaming(named, lambda: all(experiment.is_public for experiment in experiments)), _frozen():
        start = time.perf_counter()
        attack_free = {experiment.text: unattacked(experiment) for experiment in experiments if experiment.backdoors}
        wanted = {experiment.text for experiment in experiments}
        added = {control.text: control for control in attack_free.values() if control.text not in wanted}
        runs, node = list[FederatedRun](), 1
        for experiment in [*experiments, *added.values()]:
            runs.append(FederatedRun(experiment, node, observers=observers))
            node += len(experiment.consortium)
        grid = _grid(runs)
        stored = None if folder is None else checkpoints.Progress(folder, experiments)
        if stored is not None:
            stored.restore(runs, grid.contexts)
        _lockstep(runs, grid, progress, stored)
        each = (time.perf_counter() - start) / max(1, len(runs))
        final = {run_.experiment.text: run_.weights for run_ in runs}
        controls = [attack_free.get(experiment.text) for experiment in experiments]
        for run_, control in zip(runs, controls, strict=False):
            yield run_.record(grid.answer, run_.earlier + each, None if control is None else final[control.text])


def _lockstep(
    runs: Sequence[FederatedRun], grid: LocalGrid, progress: Progress | None, stored: checkpoints.Progress | None = None
) -> None:
    """What ``Strategy.start`` does for one run, for many at once: the same hooks in the same order."""
    arrays = [wire.arrays(wire.WEIGHTS, run_.weights) for run_ in runs]
    configs = [wire.settings(run_.experiment.text) for run_ in runs]
    for run_, first in zip(runs, arrays, strict=True):
        if run_.round == 0:
            run_.observe(0, first)
    for round_ in range(1, max(run_.experiment.settings.training.rounds for run_ in runs) + 1):
        running = [i for i, run_ in enumerate(runs) if run_.round < round_ <= run_.experiment.settings.training.rounds]
        asked = [list(runs[i].aggregator.configure_train(round_, arrays[i], configs[i], grid)) for i in running]
        replies = iter(grid.send_and_receive([message for messages in asked for message in messages]))
        for i, messages in zip(running, asked, strict=True):
            received = runs[i].adversary.corrupt(round_, runs[i].weights, [next(replies) for _ in messages])
            arrays[i] = runs[i].aggregator.aggregate_train(round_, received)[0] or arrays[i]
            runs[i].observe(round_, arrays[i])
            runs[i].round = round_
        if stored is not None and running:
            stored.after_round(runs, grid.contexts)
        if progress is not None:
            progress(round_)


def _grid(runs: Sequence[FederatedRun], app: ClientApp | None = None) -> LocalGrid:
    partitions = {node: partition for run_ in runs for partition, node in enumerate(run_.enrolled)}
    return LocalGrid(app or client_app(), partitions, None if app else get_object(TOGETHER))


def client_app() -> ClientApp:
    """The hospitals' app, found by name: the simulator does not import what runs in hospitals."""
    app: ClientApp = get_object(CLIENT_APP)
    return app
