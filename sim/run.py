"""One run, from a checked experiment to its evidence."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from hydra.utils import get_object
from numpy.typing import NDArray

from sim import checkpoints, wire
from sim.adversary import AdversarialGrid, Adversary
from sim.batches import sample_rate
from sim.blame import blaming
from sim.clipping import clipped
from sim.engagement import Answer, engagement, without
from sim.engines.local import LocalGrid
from sim.evidence import HospitalOutcome, Planted, Privacy, RunRecord, Screened, Skip, Spent
from sim.experiment import Experiment, address, targets
from sim.kept import Kept
from sim.manifest import code_version
from sim.metrics import BACKDOOR, Examiner, curve, defined
from sim.privacy import NOT_COVERED
from sim.reconstruction import Curious
from sim.selection import selection
from sim.server import Aggregator, Skipped
from sim.sight import conflicts, sight
from sim.types import Hospital
from sim.untrusted import printable

CLIENT_APP, TOGETHER = "clients.app.app", "clients.app.together"
RAY = "sim.engines.ray.serve"
LONGEST_REASON = 300  # characters of why a hospital has no node
SAME_EPSILON = 1e-6  # relative: a reported epsilon within it is the plan's
Progress = Callable[[int], None]  # called with the number of each finished round


class Trial:
    """One run in progress: strategy, adversary, curious aggregator and examiner around the same experiment."""

    def __init__(self, experiment: Experiment, first_node: int = 1, progress: Progress | None = None) -> None:
        self.experiment, self.progress = experiment, progress
        self.enrolled = dict(enumerate(experiment.consortium.names, first_node))
        self.curious = Curious(experiment)
        self.kept = Kept(experiment)
        self.strategy = Aggregator(experiment, self.enrolled, self.curious if experiment.attacks else self.kept)
        self.adversary = Adversary(experiment, self.strategy)
        backdoor = next(iter(experiment.backdoors.values()), None)
        self.examiner = Examiner(experiment.consortium, experiment.network, experiment.settings.metrics.min_class_rows, backdoor)
        self.initial = experiment.first_weights
        self.weights = self.initial
        self.scores: list[NDArray[np.float64]] = []
        self.planted: list[float] = []
        self.overflowed: list[int] = []
        self.round, self.earlier = 0, 0.0  # rounds done, and seconds that they took before an interruption

    def enroll(self, nodes: Mapping[int, int], refused: Sequence[str] = ()) -> None:
        """Take ``nodes`` (node id -> partition) for the hospitals', where they are not known beforehand.

        A hospital without a node sends nothing in the whole run; ``refused`` says why nodes were not enrolled.
        """
        names = self.experiment.consortium.names
        self.enrolled = {node: names[partition] for node, partition in nodes.items()}
        self.strategy.enrolled.clear()
        self.strategy.enrolled.update(self.enrolled)
        reason = "; ".join(["no node was enrolled as this hospital", *refused])
        self.strategy.absent = {name: printable(reason, LONGEST_REASON) for name in names if name not in self.enrolled.values()}

    def examine(self, server_round: int, arrays: ArrayRecord) -> None:
        """Keep what the model says of the test records after each round (and before the first): Flower's ``evaluate_fn``."""
        self.weights = wire.vector(arrays, wire.WEIGHTS)
        scores, fits = self.examiner.scored(self.weights)
        self.scores.append(scores)
        self.overflowed += [] if fits else [server_round]
        if self.examiner.backdoor is not None:
            self.planted.append(self.examiner.planted(self.weights))
        if self.progress is not None and server_round:
            self.progress(server_round)

    def server_app(self) -> ServerApp:
        """The Flower ServerApp of this run."""
        server = ServerApp()

        @server.main()
        def main(grid: Grid, _: Context) -> None:
            self.strategy.start(
                grid=AdversarialGrid(grid, self.adversary),
                initial_arrays=wire.arrays(wire.WEIGHTS, self.initial),
                num_rounds=self.experiment.settings.training.rounds,
                train_config=wire.settings(self.experiment.text),
                evaluate_config=ConfigRecord(),
                evaluate_fn=self.examine,
            )

        return server

    def record(self, answer: Answer, seconds: float, quiet: NDArray[np.float32] | None = None) -> RunRecord:
        """The evidence of the finished run. ``quiet``: the final model of the same run without the attack, for a backdoor."""
        experiment, log = self.experiment, self.strategy.log
        settings, consortium = experiment.settings, experiment.consortium
        by_round = self.examiner.by_round(self.scores)
        if self.planted:
            by_round[BACKDOOR] = np.array(self.planted)[:, None]
        privacy = _privacy(experiment)
        return RunRecord(
            run=address(experiment, code_version()),
            consortium=consortium.name,
            attack=experiment.attack,
            defense=experiment.label,
            seed=settings.seed,
            n_hospitals=len(consortium),
            n_hostile=settings.adversary.n_hostile,
            hostile=list(experiment.hostile),
            rounds=settings.training.rounds,
            public=consortium.public,
            adaptive=any(attack.about.uses == "updates_and_rule" for attack in experiment.of_kind("byzantine").values()),
            data_source=consortium.source,
            data_hash=consortium.data_hash,
            code=code_version(),
            config=experiment.config,
            outcome=self.examiner.outcome(self.weights if self._is_trained else None),
            hospitals=self._hospitals(privacy, {metric: values[-1] for metric, values in by_round.items()}),
            engagement=engagement(experiment, answer, self.initial, log, self.adversary.distances, self.curious),
            screened=log.screened,
            skipped_rounds=log.skipped,
            skips=[self._skip(skipped) for skipped in log.skips],
            absences={name: list(concerned) for name, concerned in experiment.absences.items()},
            privacy=privacy,
            selection=selection(log.shares, experiment.hostile),
            inversion=next(iter(self.curious.results.values()), None),
            sight=sight(experiment),
            conflicts=conflicts(experiment),
            curve=curve(consortium.names, by_round),
            seconds=seconds,
            limit=experiment.chain.most_hostile(experiment.secagg.n_rows(len(consortium)), len(consortium)),
            backdoor=None if quiet is None else self._planted(quiet),
            data_notes=experiment.data_notes,
            not_finite_from=self._not_finite_from(),
            disputed=_disputed(experiment, privacy, log.reported),
            clipped=clipped(self.strategy.states),
        )

    def _skip(self, skipped: Skipped) -> Skip:
        """The evidence of a skipped round, with who was missing by the simulator's truth."""
        hostile = [name for name in skipped.missing if name in self.experiment.hostile]
        honest = [name for name in skipped.missing if name not in self.experiment.hostile]
        return Skip(
            round=skipped.round,
            cause=skipped.cause,
            reason=skipped.reason,
            replies=len(self.experiment.consortium) - len(skipped.missing),
            needed=self.experiment.quorum.least,
            hostile=hostile,
            honest=honest,
        )

    @property
    def _is_trained(self) -> bool:
        """Whether any round gave a new model."""
        return len(self.strategy.log.skipped) < self.experiment.settings.training.rounds

    def _not_finite_from(self) -> int | None:
        """The first round in which an honest update, the new weights or a score was not finite in float32."""
        log, hostile = self.strategy.log, self.experiment.hostile
        screened = [entry.round for entry in log.screened if entry.reason == wire.NOT_FINITE and entry.hospital not in hostile]
        return min([*self.overflowed, *log.not_finite, *screened], default=None)

    def _planted(self, quiet: NDArray[np.float32]) -> Planted:
        (name, backdoor), examiner = next(iter(self.experiment.backdoors.items())), self.examiner
        return Planted(
            attack=name,
            target=backdoor.target,
            success=defined(self.planted[-1]),
            false_trigger=defined(examiner.planted(quiet)),
            n=examiner.n_marked,
        )

    def _hospitals(self, privacy: Privacy | None, final: Mapping[str, NDArray[np.float64]]) -> list[HospitalOutcome]:
        spent = {entry.hospital: entry for entry in privacy.hospitals} if privacy else {}
        figures = {metric: values if self._is_trained else np.full_like(values, np.nan) for metric, values in final.items()}
        return [
            HospitalOutcome(
                hospital=hospital.name,
                origin=hospital.origin,
                hostile=hospital.name in self.experiment.hostile,
                n_train=len(hospital.train),
                n_test=len(hospital.test),
                n_test_positive=int(hospital.test.labels.sum()),
                auroc=defined(figures["auroc"][i]),
                brier=defined(figures["brier"][i]),
                accuracy=defined(figures["accuracy"][i]),
                epsilon=spent[hospital.name].epsilon if hospital.name in spent else None,
                noise_multiplier=spent[hospital.name].noise_multiplier if hospital.name in spent else None,
                kept=self.kept.kept(hospital.name, self.strategy.log.shares),
                distance=self.kept.distance(hospital.name),
            )
            for i, hospital in enumerate(self.experiment.consortium.hospitals)
        ]


def run(experiment: Experiment, progress: Progress | None = None, app: ClientApp | None = None) -> RunRecord:
    """Run ``experiment`` through Flower's ServerApp on the engine that it names and return its evidence.

    ``app``: another ClientApp than the project's own; it is then asked hospital by hospital, in this process.
    """
    start = time.perf_counter()
    with blaming(targets(experiment.settings), lambda: experiment.is_public):
        trial = _served(Trial(experiment, progress=progress), app)
        quiet = _served(Trial(unattacked(experiment)), app).weights if experiment.backdoors else None
        return trial.record(_grid([trial], app).answer, time.perf_counter() - start, quiet)


def _served(trial: Trial, app: ClientApp | None) -> Trial:
    if app is None and trial.experiment.settings.engine.name == "ray":
        serve: Callable[[Trial, ClientApp], None] = get_object(RAY)
        serve(trial, client_app())
        return trial
    empty = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    trial.server_app()(_grid([trial], app), empty)
    return trial


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


def run_together(experiments: Sequence[Experiment], progress: Progress | None = None) -> list[RunRecord]:
    """The records of ``advance``, in the order of ``experiments``."""
    return list(advance(experiments, progress))


def advance(
    experiments: Sequence[Experiment], progress: Progress | None = None, folder: Path | None = None
) -> Iterator[RunRecord]:
    """Run all ``experiments`` in lockstep, round by round, so that all their hospitals train in the same batches.

    Each run's evidence is that of ``run``, to float32 rounding. ``seconds`` are shared out evenly. ``progress`` is called with
    each round. The runs without attack that backdoors are compared with are added where they are missing. With a ``folder``, what
    the runs have reached is stored there every few seconds, and they go on from what is stored, with the same digits.
    """
    named = {target for experiment in experiments for target in targets(experiment.settings)}
    with blaming(named, lambda: all(experiment.is_public for experiment in experiments)), _frozen():
        start = time.perf_counter()
        quiet = {experiment.text: unattacked(experiment) for experiment in experiments if experiment.backdoors}
        wanted = {experiment.text for experiment in experiments}
        added = {control.text: control for control in quiet.values() if control.text not in wanted}
        trials, node = list[Trial](), 1
        for experiment in [*experiments, *added.values()]:
            trials.append(Trial(experiment, node))
            node += len(experiment.consortium)
        grid = _grid(trials)
        stored = None if folder is None else checkpoints.Progress(folder, experiments)
        if stored is not None:
            stored.restore(trials, grid.contexts)
        _lockstep(trials, grid, progress, stored)
        each = (time.perf_counter() - start) / max(1, len(trials))
        final = {trial.experiment.text: trial.weights for trial in trials}
        controls = [quiet.get(experiment.text) for experiment in experiments]
        for trial, control in zip(trials, controls, strict=False):
            yield trial.record(grid.answer, trial.earlier + each, None if control is None else final[control.text])


def _lockstep(
    trials: Sequence[Trial], grid: LocalGrid, progress: Progress | None, stored: checkpoints.Progress | None = None
) -> None:
    """What ``Strategy.start`` does for one run, for many at once: the same hooks in the same order."""
    arrays = [wire.arrays(wire.WEIGHTS, trial.weights) for trial in trials]
    configs = [wire.settings(trial.experiment.text) for trial in trials]
    for trial, first in zip(trials, arrays, strict=True):
        if trial.round == 0:
            trial.examine(0, first)
    for round_ in range(1, max(trial.experiment.settings.training.rounds for trial in trials) + 1):
        running = [i for i, trial in enumerate(trials) if trial.round < round_ <= trial.experiment.settings.training.rounds]
        asked = [list(trials[i].strategy.configure_train(round_, arrays[i], configs[i], grid)) for i in running]
        replies = iter(grid.send_and_receive([message for messages in asked for message in messages]))
        for i, messages in zip(running, asked, strict=True):
            received = trials[i].adversary.corrupt(round_, trials[i].weights, [next(replies) for _ in messages])
            arrays[i] = trials[i].strategy.aggregate_train(round_, received)[0] or arrays[i]
            trials[i].examine(round_, arrays[i])
            trials[i].round = round_
        if stored is not None and running:
            stored.after_round(trials, grid.contexts)
        if progress is not None:
            progress(round_)


def _grid(trials: Sequence[Trial], app: ClientApp | None = None) -> LocalGrid:
    partitions = {node: partition for trial in trials for partition, node in enumerate(trial.enrolled)}
    return LocalGrid(app or client_app(), partitions, None if app else get_object(TOGETHER))


def client_app() -> ClientApp:
    """The hospitals' app, found by name: the simulator does not import what runs in hospitals."""
    app: ClientApp = get_object(CLIENT_APP)
    return app


def _privacy(experiment: Experiment) -> Privacy | None:
    """What the hospitals spend; the consortium's epsilon is the largest (disjoint patients)."""
    if experiment.dp is None:
        return None
    spent = [_spent(experiment, hospital) for hospital in experiment.consortium.hospitals]
    return Privacy(
        unit="record",
        epsilon=max(entry.epsilon for entry in spent),
        delta=experiment.dp.delta,
        accountant=experiment.dp.accountant,
        max_grad_norm=experiment.dp.max_grad_norm,
        target_epsilon=experiment.dp.target_epsilon,
        hospitals=spent,
        not_covered=list(NOT_COVERED),
    )


def _spent(experiment: Experiment, hospital: Hospital) -> Spent:
    """What one hospital spends by the plan that all agreed on, in all rounds: no hospital's own word can lower or raise it."""
    n, training = len(hospital.train), experiment.settings.training
    sigma, rate, steps = experiment.dp.noise(n, training), sample_rate(n, training), training.rounds * training.steps(n)
    epsilon = experiment.dp.epsilon([(sigma, rate, steps)])
    return Spent(hospital=hospital.name, n_train=n, epsilon=epsilon, noise_multiplier=sigma, sample_rate=rate, steps=steps)


def _disputed(experiment: Experiment, privacy: Privacy | None, reported: Mapping[str, Mapping[str, float]]) -> list[Screened]:
    """The epsilons that hospitals report and the plan does not give."""
    plan = {entry.hospital: entry.epsilon for entry in privacy.hospitals} if privacy else {}
    found = list[Screened]()
    for hospital, numbers in sorted(reported.items()):
        stated = numbers.get("epsilon")
        if stated is None or (hospital in plan and math.isclose(stated, plan[hospital], rel_tol=SAME_EPSILON)):
            continue
        expected = f"the plan gives {plan[hospital]:.6g}, which is recorded" if privacy else "this run has no privacy"
        reason = f"reports that it spent epsilon {stated:.6g}; {expected}"
        found.append(Screened(round=experiment.settings.training.rounds, hospital=hospital, reason=reason))
    return found
