"""The aggregator: a Flower Strategy that asks every hospital, screens every reply, builds the view, and aggregates.

What it may use is what arrives in replies. What the simulator knows beyond that (truth, metrics) is not in this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from sim import wire
from sim.errors import RefusedError
from sim.evidence import Screened
from sim.experiment import Experiment, Server
from sim.seeds import stream
from sim.types import Vector, View

Watcher = Callable[[int, NDArray[np.float32], View], None]  # (round, weights sent out, view): a curious aggregator


@dataclass
class Log:
    """What the aggregator recorded: replies not used, rounds without an aggregate, how far the rule moved from the plain mean.

    ``shares``: each hospital's share of the aggregate, round by round, of a rule that selects or weighs hospitals.
    """

    screened: list[Screened] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    shares: list[dict[str, float]] = field(default_factory=list)
    reported: dict[str, dict[str, float]] = field(default_factory=dict)


class Aggregator(Strategy):
    """One run's strategy. ``enrolled`` gives the hospital behind each node id; a reply's own word is not taken for it."""

    def __init__(self, experiment: Experiment, enrolled: Mapping[int, str], watch: Watcher | None = None) -> None:
        self.experiment, self.enrolled, self.watch = experiment, dict(enrolled), watch
        self.log = Log()
        self._weights: NDArray[np.float32] = np.empty(0, np.float32)
        self._memory: dict[str, Any] = {}
        self._read: dict[int, tuple[RecordDict | None, wire.Report]] = {}

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """One message for each hospital, in order of the node ids."""
        self._weights = wire.vector(arrays, wire.WEIGHTS)
        return wire.ask(server_round, arrays, config, self.enrolled)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The next weights, or None (the weights stay) if too few usable replies arrived or float32 cannot hold the sum."""
        reports = self._screen(server_round, replies)
        if not reports:
            return self._skip(server_round)
        self.log.reported.update({name: report.numbers for name, report in reports.items()})
        view = self.view(reports, self._memory)
        if self.watch is not None:
            self.watch(server_round, self._weights, view)
        chain = self.experiment.chain.without(len(self.enrolled) - len(reports))
        try:
            aggregate, shares = chain.run(view, stream(self.experiment.settings.seed, "rule", server_round))
        except RefusedError:  # too few rows are left in this round, or the trusted hospital is not among them
            return self._skip(server_round)
        with np.errstate(over="ignore"):
            weights = (self._weights + aggregate).astype(np.float32)
        if not np.isfinite(weights).all():
            return self._skip(server_round)
        self.log.rows.append(len(view.rows))
        if shares is not None and len(view.rows) == len(reports):
            self.log.shares.append(dict(zip(reports, shares.tolist(), strict=True)))
        self.log.distances.append(relative_distance(aggregate, mean_of(view)))
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
        answers: dict[str, list[Message]] = {name: [] for name in sorted(self.enrolled.values())}
        for reply in replies:
            answers.get(self.enrolled.get(reply.metadata.src_node_id, ""), []).append(reply)
        usable: dict[str, wire.Report] = {}
        for hospital, given in answers.items():
            try:
                usable[hospital] = self.read(_only(given))
            except wire.UnusableError as reason:
                self.log.screened.append(Screened(round=round_, hospital=hospital, reason=str(reason)))
        self._read.clear()
        return usable

    def read(self, reply: Message) -> wire.Report:
        """The usable content of a reply to what ``configure_train`` asked last. Raises ``UnusableError`` for anything else.

        Who asks again before the replies are screened is told what was found, because reading takes a while.
        """
        content = None if reply.has_error() else reply.content
        if id(content) not in self._read:  # what is held here stays alive, so that its id is nobody else's
            report = wire.read_report(reply, len(self._weights), self.experiment.settings.server.max_records)
            self._read[id(content)] = content, report
        return self._read[id(content)][1]

    def foresee(self, reports: Mapping[str, wire.Report], rng: np.random.Generator) -> Vector:
        """What the aggregate of these reports would be in this round, (n_params,); nothing is kept of it.

        Raises ``RefusedError`` where the rule does.
        """
        chain = self.experiment.chain.without(len(self.enrolled) - len(reports))
        aggregate: Vector = chain(self.view(reports, deepcopy(self._memory)), rng)
        return aggregate

    def view(self, reports: Mapping[str, wire.Report], memory: dict[str, Any]) -> View:
        """What there is to see of the reports, by hospital in order of their names."""
        rows = np.array([report.update for report in reports.values()])
        weights = capped([report.count for report in reports.values()], self.experiment.settings.server)
        return replace(self.experiment.secagg(rows, tuple(reports), weights), memory=memory, model=self._weights)

    @property
    def memory(self) -> dict[str, Any]:
        """What steps and rule have kept from round to round."""
        return self._memory

    def _skip(self, round_: int) -> tuple[None, None]:
        self.log.skipped.append(round_)
        return None, None


def _only(replies: Sequence[Message]) -> Message:
    if len(replies) != 1:
        raise wire.UnusableError("more than one reply" if replies else "no reply")
    return replies[0]


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
