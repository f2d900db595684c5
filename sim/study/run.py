"""One run, from a checked experiment to its evidence."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from sim.blame import blaming
from sim.design.site import Source
from sim.devices import one_thread
from sim.evidence import SCHEMA, HospitalFacts, RunRecord
from sim.evidence.manifest import code_version
from sim.federation import wire
from sim.federation.driver import Parties, Roster, drive
from sim.federation.engines.local import LocalGrid, Together, call
from sim.federation.observing import Answer, Ended, Observer, Subject
from sim.federation.rounds import Weights
from sim.names import CLIENT_APP, RAY, TOGETHER, named
from sim.observers.clipping import clipped
from sim.observers.engagement import EngagementObserver
from sim.observers.evaluation import Evaluation
from sim.observers.final_model import FinalModelObserver
from sim.observers.inference import InferenceObserver
from sim.observers.influence import Influence
from sim.observers.isolation import IsolationObserver
from sim.observers.privacy import PrivacyObserver
from sim.observers.quantizing import QuantizingObserver
from sim.observers.reconstruction import ReconstructionObserver
from sim.observers.screening import Log, Screening
from sim.observers.selection import SelectionObserver
from sim.observers.traffic import TrafficObserver
from sim.study import checkpoints, unmasking
from sim.study.access import access
from sim.study.experiment import Described, Experiment, address, load, targets
from sim.study.missing import may_be_missing
from sim.study.visibility import conflicts, visibility
from sim.types import Hospital, ImageSchema

Progress = Callable[[int], None]  # called with the number of each finished round
AppOf = Callable[[Source], ClientApp]  # the app of hospitals whose plan and sites are in a source
Kind = TypeVar("Kind")
YOUNG = 20_000  # new objects before a search for cycles: by default 700, fewer than a round makes

Measure = Callable[[Subject], Observer]  # a kind of observer
STANDARD: tuple[Measure, ...] = (  # of every run
    Screening,
    PrivacyObserver,
    Evaluation,
    SelectionObserver,
    ReconstructionObserver,
    InferenceObserver,
    IsolationObserver,
    EngagementObserver,
    QuantizingObserver,
    TrafficObserver,
    FinalModelObserver,
)
ATTACK_FREE: tuple[Measure, ...] = (Influence,)  # of a run that nobody attacks


class FederatedRun(Parties):
    """One run in progress, with the experiment that it is made from.

    ``earlier``: seconds that its rounds took before an interruption.
    """

    def __init__(
        self,
        experiment: Experiment,
        first_node: int = 1,
        observers: Sequence[Measure] = (),
    ) -> None:
        """``observers``: those beside ``STANDARD`` and ``ATTACK_FREE``."""
        measures = (*STANDARD, *(() if experiment.attack_plan.attacks else ATTACK_FREE), *observers)
        super().__init__(
            plan=experiment.plan,
            attack=experiment.attack_plan,
            key=experiment.aggregator_key,
            initial=experiment.plan.first_weights(experiment.aggregator_key),
            roster=Roster.numbered(experiment.consortium.names, first_node),
            observers=[measure(subject(experiment)) for measure in measures],
        )
        self.experiment = experiment
        self.earlier = 0.0

    def observer(self, kind: type[Kind]) -> Kind:
        """The observer of this kind."""
        return next(observer for observer in self.observers if isinstance(observer, kind))

    @property
    def log(self) -> Log:
        """Replies that were not used, and rounds that were skipped."""
        return self.observer(Screening).state

    def record(
        self, answer: Answer, seconds: float, attack_free: Weights | None = None
    ) -> RunRecord:
        """The evidence of the finished run.

        ``attack_free``: the final model of the same run without the attack.
        """
        experiment = self.experiment
        settings = experiment.settings
        consortium = experiment.consortium
        attack = experiment.attack_plan
        ended = Ended(self.initial, self.weights, answer, attack_free)
        found = [observer.findings(ended) for observer in self.observers]
        details = {name: value for findings in found for name, value in findings.details.items()}
        byzantine = attack.of_kind("byzantine").values()
        n_rows = len(experiment.plan.groups(1))
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
                "hostile": list(attack.hostile),
                "rounds": settings.training.rounds,
                "public": consortium.public,
                "adaptive": any(one.about.uses == "updates_and_rule" for one in byzantine),
                "data_source": consortium.source,
                "provenance": consortium.provenance,
                "form": "image" if isinstance(consortium.schema, ImageSchema) else "table",
                "data_hash": consortium.data_hash,
                "code": code_version(),
                "config": experiment.config,
                "outcomes": tuple(one for findings in found for one in findings.outcomes),
                "hospitals": [self._facts(hospital) for hospital in consortium.hospitals],
                "absences": {name: list(concerned) for name, concerned in attack.absent.items()},
                "visibility": visibility(experiment),
                "access": access(experiment),
                "conflicts": conflicts(experiment),
                "missing": may_be_missing(experiment),
                "unmasking": unmasking.sentences(experiment),
                "seconds": seconds,
                "limit": experiment.plan.chain.most_hostile(n_rows, len(consortium)),
                "data_notes": experiment.data_notes,
                "clipped": clipped(self.aggregator.state.states),
                **details,
            }
        )

    def _facts(self, hospital: Hospital) -> HospitalFacts:
        return HospitalFacts(
            hospital=hospital.name,
            origin=hospital.origin,
            hostile=hospital.name in self.experiment.attack_plan.hostile,
            n_train=self.experiment.plan.counted(len(hospital.train)),
            n_test=len(hospital.test),
            n_test_positive=int(hospital.test.labels.sum()),
        )


def run(
    experiment: Experiment,
    progress: Progress | None = None,
    app: AppOf | None = None,
    observers: Sequence[Measure] = (),
) -> RunRecord:
    """Run ``experiment`` through Flower's ServerApp on the engine it names; returns its evidence.

    ``app`` makes the ClientApp of hospitals that are asked one by one, in this process; without it
    those of the project train together. ``observers``: those beside the standard ones.
    """
    start = time.perf_counter()
    with blaming(targets(experiment.settings), lambda: experiment.consortium.public), one_thread():
        run_ = _served(FederatedRun(experiment, observers=observers), app, progress)
        control = None
        if experiment.attack_plan.backdoors:
            control = _served(FederatedRun(unattacked(experiment)), app).weights
        return run_.record(answering(app), time.perf_counter() - start, control)


def _served(
    run_: FederatedRun, app: AppOf | None, progress: Progress | None = None
) -> FederatedRun:
    server = run_.server_app(progress)
    if app is None and run_.experiment.settings.engine.name == "ray":
        serve = cast(Callable[[FederatedRun, ServerApp, ClientApp], None], named(RAY))
        serve(run_, server, client_app()(Described(run_.experiment.text)))
        return run_
    empty = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    server(_grid([run_], app), empty)
    return run_


def unattacked(experiment: Experiment) -> Experiment:
    """The same run without its attacks."""
    config = {**experiment.config, "attack": {}}
    del config["label"]
    return load(config, experiment.label)


def subject(experiment: Experiment) -> Subject:
    """The values of a run that its observers hold."""
    settings = experiment.settings
    return Subject(
        plan=experiment.plan,
        attack=experiment.attack_plan,
        truth=experiment.truth,
        key=experiment.aggregator_key,
        min_class_rows=settings.metrics.min_class_rows,
        show_records=experiment.consortium.public or settings.report.show_reconstructions,
    )


@contextmanager
def _frozen() -> Iterator[None]:
    """Python's search for cycles leaves out all objects that exist before this block, and is rarer.

    A round of many runs makes and drops thousands of objects, none of them in a cycle.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def run_together(
    experiments: Sequence[Experiment],
    progress: Progress | None = None,
    observers: Sequence[Measure] = (),
) -> list[RunRecord]:
    """The records of ``advance``, in the order of ``experiments``."""
    return list(advance(experiments, progress, observers=observers))


def advance(
    experiments: Sequence[Experiment],
    progress: Progress | None = None,
    folder: Path | None = None,
    observers: Sequence[Measure] = (),
) -> Iterator[RunRecord]:
    """Run all ``experiments`` in lockstep, so that all their hospitals train in the same batches.

    Each run's evidence is that of ``run``, to float32 rounding. ``seconds`` of a run are those of
    its own rounds, and an equal part of the rest. ``progress`` is called with each round. The runs
    without attack that backdoors are compared with are added where they are missing. With a
    ``folder``, what the runs have reached is stored there every few seconds, and they go on from
    what is stored, with the same digits. ``observers``: those beside the standard ones.
    """
    classes = {target for experiment in experiments for target in targets(experiment.settings)}
    with (
        blaming(classes, lambda: all(experiment.consortium.public for experiment in experiments)),
        _frozen(),
        one_thread(),
    ):
        start = time.perf_counter()
        attack_free = {
            experiment.text: unattacked(experiment)
            for experiment in experiments
            if experiment.attack_plan.backdoors
        }
        wanted = {experiment.text for experiment in experiments}
        added = {
            control.text: control for control in attack_free.values() if control.text not in wanted
        }
        runs = list[FederatedRun]()
        node = 1
        for experiment in [*experiments, *added.values()]:
            runs.append(FederatedRun(experiment, node, observers=observers))
            node += len(experiment.consortium)
        grid = _grid(runs)
        stored = None if folder is None else checkpoints.Progress(folder, experiments)
        if stored is not None:
            stored.restore(runs, grid.contexts)

        def after_round(number: int) -> None:
            if stored is not None:
                stored.after_round(runs, grid.contexts)
            if progress is not None:
                progress(number)

        drive(runs, grid, after_round)
        took = checkpoints.shared_out(time.perf_counter() - start, runs)
        final = {run_.experiment.text: run_.weights for run_ in runs}
        controls = [attack_free.get(experiment.text) for experiment in experiments]
        for run_, control, seconds in zip(runs, controls, took, strict=False):
            attack_free_weights = None if control is None else final[control.text]
            yield run_.record(answering(None), run_.earlier + seconds, attack_free_weights)


def _grid(runs: Sequence[FederatedRun], app: AppOf | None = None) -> LocalGrid:
    """The nodes of all runs; without ``app`` all hospitals of a trip train together."""
    partitions = {
        node: partition
        for run_ in runs
        for partition, node in enumerate(run_.roster.nodes.values())
    }
    sources = {node: run_.experiment.source for run_ in runs for node in run_.roster.nodes.values()}
    if app is None:
        return LocalGrid({}, partitions, together(sources))
    return LocalGrid({node: app(source) for node, source in sources.items()}, partitions)


def answering(app: AppOf | None) -> Answer:
    """The answers of hospitals that are asked outside of a run.

    Apps of ``app`` give them, or without it the project's own together.
    """

    def answer(
        sources: Mapping[int, Source], messages: Sequence[Message], contexts: Sequence[Context]
    ) -> list[Message]:
        if app is None:
            return list(together(sources)(messages, contexts))
        return [
            call(app(sources[wire.receiver(message)]), message, context)
            for message, context in zip(messages, contexts, strict=True)
        ]

    return answer


def client_app() -> AppOf:
    """The maker of the hospitals' app, found by name: the simulator does not import it."""
    return cast(AppOf, named(CLIENT_APP))


def together(sources: Mapping[int, Source]) -> Together:
    """The function that answers for the hospitals of all runs at once; ``sources``: by node."""
    made = cast(Callable[[Mapping[int, Source]], Together], named(TOGETHER))
    return made(sources)
