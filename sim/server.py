"""The aggregator: a Flower Strategy that asks every hospital, screens every reply, builds the view, and aggregates.

What it may use is what arrives in replies. What the simulator knows beyond that (truth, metrics) is not in this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from sim import returned, wire, withheld
from sim.errors import RefusedError
from sim.evidence import Cause, Screened
from sim.experiment import Experiment, Server
from sim.quorum import Quorum
from sim.seeds import stream
from sim.states import State
from sim.types import Vector, View

# Called with the round, the weights sent out, the view, and the states of the chain: a curious aggregator.
Watcher = Callable[[int, NDArray[np.float32], View, Sequence[State]], None]


@dataclass(frozen=True)
class Skipped:
    """A round in which the weights stayed, why, and the hospitals of which nothing usable came, sorted by name."""

    round: int
    cause: Cause
    reason: str
    missing: tuple[str, ...]


@dataclass
class Log:
    """What the aggregator recorded: replies not used, rounds without an aggregate, how far the rule moved from the plain mean.

    ``shares``: each hospital's share of the aggregate, round by round, of a rule that selects or weighs hospitals.
    ``distances`` hold 1 for a round that steps or rule refused: no step is as far from the plain mean as that mean is long.
    """

    screened: list[Screened] = field(default_factory=list)
    skips: list[Skipped] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    shares: list[dict[str, float]] = field(default_factory=list)
    reported: dict[str, dict[str, float]] = field(default_factory=dict)
    not_finite: list[int] = field(default_factory=list)  # rounds whose sum float32 could not hold

    @property
    def skipped(self) -> list[int]:
        """Numbers of the rounds that ended without a new model."""
        return [skipped.round for skipped in self.skips]


class Aggregator(Strategy):
    """One run's strategy. ``enrolled`` gives the hospital behind each node id; a reply's own word is not taken for it.

    ``absent``: hospitals that no node is enrolled for, and why.
    """

    def __init__(self, experiment: Experiment, enrolled: Mapping[int, str], watch: Watcher | None = None) -> None:
        self.experiment, self.enrolled, self.watch = experiment, dict(enrolled), watch
        self.absent: dict[str, str] = {}
        self.log = Log()
        self._weights: NDArray[np.float32] = np.empty(0, np.float32)
        self.states: tuple[State, ...] = ()  # of steps, rule and optimizer after the last round that had an aggregate
        self._read: dict[int, tuple[Any, wire.Report]] = {}
        self._asked: dict[int, Message] = {}

    @property
    def quorum(self) -> Quorum:
        """How many usable replies a round needs."""
        run = self.experiment
        return Quorum(run.chain, run.secagg, run.settings.server.absent, len(self.enrolled) + len(self.absent))

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """One message for each hospital, in order of the node ids."""
        self._weights = wire.vector(arrays, wire.WEIGHTS)
        asked = wire.ask(server_round, arrays, config, self.enrolled)
        self._asked = dict(zip(self.enrolled, asked, strict=True))
        return asked

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The next weights, or None (the weights stay) if too few usable replies arrived or float32 cannot hold the sum.

        A round that is skipped leaves no trace in what steps, rule and optimizer keep from round to round.
        """
        reports = self._screen(server_round, replies)
        if not reports:
            return self._skip(server_round, reports, "absent", "no usable reply")
        self.log.reported.update({name: report.numbers for name, report in reports.items()})
        view = self.view(reports)
        if self.watch is not None:
            self.watch(server_round, self._weights, view, self.states)
        try:
            chain = self.quorum.chain_for(len(reports))
            found = chain.run(view, stream(self.experiment.settings.seed, "rule", server_round), self.states)
        except RefusedError as refused:
            self.log.distances.append(1.0)
            cause: Cause = "absent" if self.quorum.refusal(len(reports)) else "refused"
            return self._skip(server_round, reports, cause, str(refused))
        with np.errstate(over="ignore"):
            weights = (self._weights + found.move).astype(np.float32)
        if not np.isfinite(weights).all():
            self.log.not_finite.append(server_round)
            return self._skip(server_round, reports, "not_finite", "float32 cannot hold the new weights")
        self.states = found.states
        self.log.rows.append(len(view.rows))
        if found.shares is not None and len(view.rows) == len(reports):
            self.log.shares.append(dict(zip(reports, found.shares.tolist(), strict=True)))
        self.log.distances.append(relative_distance(found.move, mean_of(view)))
        return wire.arrays(wire.WEIGHTS, weights), MetricRecord({"rows": len(view.rows)})

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Nothing: the simulator evaluates, with every hospital's test records."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> None:
        """Nothing was asked."""

    def summary(self) -> None:
        """Nothing to print: the evidence says it."""

    def _screen(self, round_: int, replies: Iterable[Message]) -> dict[str, wire.Report]:
        """Usable reports by hospital, sorted by name. A hospital that answers more than once or not at all is recorded."""
        by_node: dict[int, list[tuple[Message, wire.Stated]]] = {node: [] for node in self.enrolled}
        for reply in replies:
            stated = wire.metadata(reply)
            if (node := wire.sender(stated)) in by_node:
                by_node[node].append((reply, stated))
        nodes = {hospital: node for node, hospital in self.enrolled.items()}
        usable: dict[str, wire.Report] = {}
        for hospital in sorted([*nodes, *self.absent]):
            try:
                if hospital in self.absent:
                    raise wire.UnusableError(self.absent[hospital])
                usable[hospital] = self.read(self._answer(nodes[hospital], by_node[nodes[hospital]]))
            except wire.UnusableError as error:
                reason = withheld.reason(str(error), public=self.experiment.is_public)
                self.log.screened.append(Screened(round=round_, hospital=hospital, reason=reason))
        self._read.clear()
        return usable

    def _answer(self, node: int, replies: Sequence[tuple[Message, wire.Stated]]) -> Message:
        """The one reply of ``node`` to what ``configure_train`` asked it last.

        A late reply to something else neither counts nor spoils the right one. Raises ``UnusableError`` if there is not exactly
        one.
        """
        asked = self._asked.get(node)
        wrong = [wire.misdirected(stated, asked) if asked else None for _, stated in replies]
        fitting = [reply for (reply, _), reason in zip(replies, wrong, strict=True) if reason is None]
        if not fitting and wrong:
            raise wire.UnusableError(wrong[0])
        return wire.only(fitting)

    def read(self, reply: Message) -> wire.Report:
        """The usable content of a reply. Raises ``UnusableError`` for anything else.

        Who asks again before the replies are screened is told what was found, because reading takes a while.
        """
        if id(reply) not in self._read:  # what is held here stays alive, so that its id is nobody else's
            report = wire.read_report(reply, len(self._weights), self.experiment.settings.server.max_records)
            self._read[id(reply)] = reply, report
        return self._read[id(reply)][1]

    def foresee(self, reports: Mapping[str, wire.Report], rng: np.random.Generator) -> Vector:
        """What the aggregate of these reports would be in this round, (n_params,); nothing is kept of it.

        Raises ``RefusedError`` where the rule does.
        """
        chain = self.quorum.chain_for(len(reports))
        aggregate: Vector = chain(self.view(reports), rng, self.states)
        return aggregate

    def view(self, reports: Mapping[str, wire.Report]) -> View:
        """What there is to see of the reports, by hospital in order of their names."""
        rows = np.array([report.update for report in reports.values()])
        weights = capped([report.count for report in reports.values()], self.experiment.settings.server)
        secagg = self.experiment.secagg
        seen = returned.view(secagg, secagg(rows, tuple(reports), weights), rows.shape[1])
        return replace(seen, model=self._weights)

    def _skip(self, round_: int, reports: Mapping[str, wire.Report], cause: Cause, reason: str) -> tuple[None, None]:
        missing = tuple(sorted({*self.enrolled.values(), *self.absent} - reports.keys()))
        self.log.skips.append(Skipped(round_, cause, reason, missing))
        return None, None


def capped(counts: Sequence[int], server: Server) -> NDArray[np.float64]:
    """Record counts as weights: none above ``server.weight_cap`` times their median, so that a lie gains no more than that."""
    return np.minimum(np.asarray(counts, dtype=np.float64), server.weight_cap * median(counts))


def mean_of(view: View) -> Vector:
    """The plain mean over hospitals that an aggregator without a rule would take, (n_params,)."""
    shares = view.sizes / view.sizes.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        mean: Vector = np.dot(shares.astype(view.rows.dtype), view.rows)
    return mean if np.isfinite(mean).all() else np.asarray(np.einsum("i,ij->j", shares, view.rows))


def relative_distance(one: Vector, other: Vector) -> float:
    """|one - other| / |other|, with 1e-30 in place of a length below it, so that the distance is always finite."""
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)  # squares of large float32 overflow
    gap = one - other
    return math.sqrt(gap @ gap) / max(math.sqrt(other @ other), 1e-30)
