"""The updates that an attack on secure aggregation has worked out, and how far off they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.evidence import Isolating, Outcome, outcome
from sim.federation import rounding
from sim.federation.observing import Ended, Findings, Round, Subject
from sim.federation.rounds import Weights
from sim.federation.server import relative_distance
from sim.messages import ProtocolAttack
from sim.types import Isolated, Isolation, Vector, View

RECOVERED = 0.1  # the largest error, relative to its length, with which an update is recovered


@dataclass
class Worked:
    """The rows that an attack has worked out so far.

    ``errors``: of the best guess of each honest hospital's update, by name. ``smallest``: honest
    hospitals in the smallest sum that was held; 0 where none was.
    """

    errors: dict[str, float] = field(default_factory=dict)
    smallest: int = 0


class IsolationObserver:
    """Compares what an attack has worked out of a round with what hospitals uploaded in it.

    Where updates are quantized, that is the quantized update: no more of it enters any sum.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.attacks: dict[str, Isolation | ProtocolAttack] = {
            **subject.attack.of_kind("isolation"),
            **subject.attack.of_kind("protocol"),
        }
        self.state = Worked()

    def start(self, weights: Weights) -> None:
        """Nothing is worked out before round 1."""

    def round(self, seen: Round) -> None:
        """Note the errors of single updates, and the smallest sum, of an attacked round."""
        view = seen.aggregated.view
        held = [] if view is None else [Isolated(view)]
        held += [] if seen.isolated is None else [seen.isolated]
        if not self.attacks or not held:
            return
        quantization = self.subject.plan.quantization
        truth = {
            name: rounding.contributed(
                quantization, self.subject.truth.site(name).key, seen.number, update
            )
            for name, update in seen.uploads.items()
        }
        for one in held:
            self._note_size(one.view)
            self._note_errors(one.view, one.known, truth)
            if one.estimates is not None:
                self._note_errors(one.estimates, None, truth)

    def findings(self, ended: Ended) -> Findings:
        """The figures of an attack on secure aggregation; nothing without one."""
        if not self.attacks:
            return Findings()
        ((name, attack),) = self.attacks.items()
        tried = Isolating(
            attack=name,
            reads_only=name in self.subject.attack.of_kind("isolation"),
            colluding=list(self.subject.truth.hostile) if attack.colludes else [],
        )
        return Findings(self._outcomes(), {"isolation": tried})

    def _note_size(self, view: View) -> None:
        sizes = [len({*group} - {*self.subject.truth.hostile}) for group in view.members]
        held = [size for size in (*sizes, self.state.smallest) if size]
        self.state.smallest = min(held, default=0)

    def _note_errors(
        self, view: View, entries: NDArray[np.bool_] | None, truth: Mapping[str, Vector]
    ) -> None:
        known = slice(None) if entries is None else entries
        for row, (name, *others) in zip(view.rows, view.members, strict=True):
            if others or name in self.subject.truth.hostile or name not in truth:
                continue
            error = relative_distance(row[known], truth[name][known])
            self.state.errors[name] = min(error, self.state.errors.get(name, np.inf))

    def _outcomes(self) -> list[Outcome]:
        honest = [
            name for name in self.subject.plan.hospitals if name not in self.subject.truth.hostile
        ]
        errors = self.state.errors
        n_recovered = sum(error <= RECOVERED for error in errors.values())
        best = min(errors.values(), default=None)
        smallest = float(self.state.smallest) or None
        each = [outcome("update_error", errors[name], hospital=name) for name in sorted(errors)]
        return [
            outcome("updates_recovered", n_recovered / len(honest), len(honest)),
            outcome("update_error", best, undefined="no single update was worked out"),
            outcome("smallest_sum", smallest, undefined="no sum of honest updates was held"),
            *each,
        ]
