"""The aggregator: a Flower Strategy that asks every hospital, screens every reply, builds the view, and aggregates.

What it may use is what arrives in replies. What the simulator knows beyond that (truth, metrics) is not in this file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from sim import returned, wire, withheld
from sim.config.settings import Server
from sim.errors import RefusedError
from sim.evidence import Cause, Screened
from sim.experiment import Experiment
from sim.federation.rounds import Aggregated, Skipped
from sim.quorum import Quorum
from sim.seeds import stream
from sim.types import Vector, View


@dataclass
class Memory:
    """What the aggregator's steps and rule keep from round to round, each under a name of its own."""

    memory: dict[str, Any] = field(default_factory=dict)


class Aggregator(Strategy):
    """One run's strategy. ``enrolled`` gives the hospital behind each node id; a reply's own word is not taken for it.

    ``absent``: hospitals that no node is enrolled for, and why. ``aggregated``: the last round, after its end.
    """

    def __init__(self, experiment: Experiment, enrolled: Mapping[int, str]) -> None:
        self.experiment, self.enrolled = experiment, dict(enrolled)
        self.absent: dict[str, str] = {}
        self.aggregated = Aggregated()
        self._weights: NDArray[np.float32] = np.empty(0, np.float32)
        self.state = Memory()
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
        reports, screened = self._screen(server_round, replies)
        reported = {name: report.numbers for name, report in reports.items()}
        self.aggregated = Aggregated(screened=tuple(screened), reported=reported)
        if not reports:
            return self._skip(server_round, reports, "absent", "no usable reply")
        seen = self.view(reports, self.state.memory)
        self.aggregated = replace(self.aggregated, view=seen)
        view = replace(seen, memory=branched(self.state.memory))
        try:
            chain = self.quorum.chain_for(len(reports))
            aggregate, shares = chain.run(view, stream(self.experiment.settings.seed, "rule", server_round))
        except RefusedError as refused:
            cause: Cause = "absent" if self.quorum.refusal(len(reports)) else "refused"
            return self._skip(server_round, reports, cause, str(refused))
        with np.errstate(over="ignore"):
            weights = (self._weights + aggregate).astype(np.float32)
        if not np.isfinite(weights).all():
            return self._skip(server_round, reports, "not_finite", "float32 cannot hold the new weights")
        self.state.memory = view.memory
        by_name = None
        if shares is not None and len(view.rows) == len(reports):
            by_name = dict(zip(reports, shares.tolist(), strict=True))
        self.aggregated = replace(self.aggregated, aggregate=aggregate, shares=by_name)
        return wire.arrays(wire.WEIGHTS, weights), MetricRecord({"rows": len(view.rows)})

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Nothing: the simulator evaluates, with every hospital's test records."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> None:
        """Nothing was asked."""

    def summary(self) -> None:
        """Nothing to print: the evidence says it."""

    def _screen(self, round_: int, replies: Iterable[Message]) -> tuple[dict[str, wire.Report], list[Screened]]:
        """Usable reports by hospital, sorted by name, and who answers more than once, not at all or with something unusable."""
        by_node: dict[int, list[tuple[Message, wire.Stated]]] = {node: [] for node in self.enrolled}
        for reply in replies:
            stated = wire.metadata(reply)
            if (node := wire.sender(stated)) in by_node:
                by_node[node].append((reply, stated))
        nodes = {hospital: node for node, hospital in self.enrolled.items()}
        usable: dict[str, wire.Report] = {}
        screened = list[Screened]()
        for hospital in sorted([*nodes, *self.absent]):
            try:
                if hospital in self.absent:
                    raise wire.UnusableError(self.absent[hospital])
                usable[hospital] = self.read(self._answer(nodes[hospital], by_node[nodes[hospital]]))
            except wire.UnusableError as error:
                reason = withheld.reason(str(error), public=self.experiment.is_public)
                screened.append(Screened(round=round_, hospital=hospital, reason=reason))
        self._read.clear()
        return usable, screened

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

    def preview(self, reports: Mapping[str, wire.Report], rng: np.random.Generator) -> Vector:
        """What the aggregate of these reports would be in this round, (n_params,); nothing is kept of it.

        Raises ``RefusedError`` where the rule does.
        """
        chain = self.quorum.chain_for(len(reports))
        aggregate: Vector = chain(self.view(reports, deepcopy(self.state.memory)), rng)
        return aggregate

    def view(self, reports: Mapping[str, wire.Report], memory: dict[str, Any]) -> View:
        """What there is to see of the reports, by hospital in order of their names."""
        rows = np.array([report.update for report in reports.values()])
        weights = capped([report.count for report in reports.values()], self.experiment.settings.server)
        secagg = self.experiment.secagg
        seen = returned.view(secagg, secagg(rows, tuple(reports), weights), rows.shape[1])
        return replace(seen, memory=memory, model=self._weights)

    @property
    def memory(self) -> dict[str, Any]:
        """What steps and rule hold from round to round."""
        return self.state.memory

    def _skip(self, round_: int, reports: Mapping[str, wire.Report], cause: Cause, reason: str) -> tuple[None, None]:
        missing = tuple(sorted({*self.enrolled.values(), *self.absent} - reports.keys()))
        self.aggregated = replace(self.aggregated, skipped=Skipped(round_, cause, reason, missing))
        return None, None


def branched(memory: dict[str, Any]) -> dict[str, Any]:
    """A memory that can be added to without changing ``memory``; the arrays in it are shared, for no plug-in writes to them."""
    return {key: branched(value) if isinstance(value, dict) else value for key, value in memory.items()}


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
