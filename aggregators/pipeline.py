"""Steps in order, then a rule, then the server's optimizer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Mixing, Remembering, Weighing
from aggregators.checks import Limited, enough, refusal
from sim import returned
from sim.errors import NotFiniteError, PluginError, RefusedError
from sim.states import State, advanced
from sim.types import Aggregate, Release, Rule, ServerOptimizer, Step, Vector, View


@dataclass(frozen=True)
class Chain:
    """The aggregator's way from a view to a step of the model: steps, then the rule.

    All draw from the same generator. ``optimizer`` turns the aggregate into the step of the model;
    None: the aggregate is the step. The states of the parts come in and go out in the order of
    ``parts``.
    """

    steps: tuple[Step, ...]
    rule: Rule
    optimizer: ServerOptimizer | None = None

    @property
    def parts(self) -> tuple[Step | Rule | ServerOptimizer | None, ...]:
        """Steps, rule and optimizer (None where there is none), in the order of their states."""
        return (*self.steps, self.rule, self.optimizer)

    @property
    def min_rows(self) -> int:
        """Least number of rows that the rule accepts."""
        return self.rule.min_rows

    def refusal(self, n_rows: int, n_hospitals: int) -> str | None:
        """The reason why a part cannot work on ``n_rows`` rows of ``n_hospitals``, or None."""
        merged = ""
        parts: tuple[Step | Rule, ...] = (*self.steps, self.rule)
        for part in parts:
            text = None
            if hasattr(part, "min_rows"):
                text = refusal(cast(Limited, part), n_rows, n_rows if merged else n_hospitals)
            if text is not None:
                return text + merged
            left = part.n_rows(n_rows) if hasattr(part, "n_rows") else n_rows
            if left != n_rows:
                merged += f"; {part.about.title} merges {n_rows} rows into {left}"
            n_rows = left
        return None

    def without(self, n_missing: int) -> "Chain":
        """The chain that counts ``n_missing`` hospitals without a usable reply as hostile ones.

        Steps and rule then withstand that many fewer among the rows that did come: a risk, for the
        missing ones may be honest.
        """
        if n_missing == 0:
            return self
        steps = tuple(_without(step, n_missing) for step in self.steps)
        return replace(self, steps=steps, rule=_without(self.rule, n_missing))

    def without_optimizer(self) -> "Chain":
        """The chain whose step of the model is the aggregate itself."""
        return replace(self, optimizer=None)

    @property
    def withstands(self) -> int | None:
        """The least ``n_hostile`` that a step or the rule is given; None if none is given any."""
        parts: tuple[Step | Rule, ...] = (*self.steps, self.rule)
        return min((part.n_hostile for part in parts if hasattr(part, "n_hostile")), default=None)

    def most_hostile(self, n_rows: int, n_hospitals: int) -> int | None:
        """The largest number of hostile hospitals for which steps and rule are defined.

        It is -1 if they are not even for none, and None if they take no such number.
        """
        parts: tuple[Step | Rule, ...] = (*self.steps, self.rule)
        if not any(hasattr(part, "n_hostile") for part in parts):
            return None
        for n_hostile in range(n_hospitals + 1):
            if self._against(n_hostile).refusal(n_rows, n_hospitals) is not None:
                return n_hostile - 1
        return n_hospitals

    def run(
        self,
        view: View,
        rng: np.random.Generator,
        states: Sequence[State] = (),
        release: Release | None = None,
    ) -> Aggregate:
        """The aggregate of a view. ``states``: the parts' after the last round, none in the first.

        ``release``: what is done to the rule's result before the optimizer.

        Raises ``RefusedError`` where a step or the rule does, and where the result is not finite.
        """
        aggregated = self._run(view, rng, states, finite_rule=True, release=release)
        if self.optimizer is not None or release is not None:
            returned.finite(self.optimizer, aggregated.move)
        return aggregated

    def check(self, view: View, rng: np.random.Generator) -> None:
        """Raise ``PluginError`` for a part that returns a wrong value, or none that is finite.

        ``view`` is small and harmless, so that any part has to return finite values for it.
        """
        try:
            found = self._run(view, rng, (), finite_steps=True, finite_rule=True)
            returned.finite(self.optimizer, found.move)
        except NotFiniteError as error:
            raise PluginError(
                error.plugin, "returned values that are not finite for small finite updates"
            ) from None

    def _run(
        self,
        view: View,
        rng: np.random.Generator,
        states: Sequence[State],
        *,
        finite_steps: bool = False,
        finite_rule: bool = False,
        release: Release | None = None,
    ) -> Aggregate:
        """The aggregate as in ``run``; values of steps and rule are finite only where asked for."""
        text = self.refusal(len(view.rows), sum(map(len, view.members)))
        if text is not None:
            raise RefusedError(text)
        *before, of_rule, of_optimizer = states or (None,) * len(self.parts)
        view, after, origin = self._stepped(view, rng, before, finite=finite_steps)
        aggregate, stated, next_state = self._ruled(view, rng, of_rule)
        returned.array(self.rule, aggregate, (view.rows.shape[1],))
        if finite_rule:
            returned.finite(self.rule, aggregate)
        if release is not None:
            aggregate = release(aggregate, stated)
        move = aggregate
        pace = None
        if self.optimizer is not None:
            move, pace = advanced(self.optimizer, aggregate, of_optimizer, rng)
            returned.array(self.optimizer, move, aggregate.shape)
        shares = None if stated is None else origin.shares(stated)
        return Aggregate(move, shares, (*after, next_state, pace))

    def _ruled(
        self, view: View, rng: np.random.Generator, state: State
    ) -> tuple[Vector, NDArray[np.float64] | None, State]:
        """The rule's aggregate, the share that it states of each row, and its next state."""
        rule: Any = self.rule
        if isinstance(rule, Remembering):
            enough(rule, view)
            next_state = rule.remember(view, state)
            shares = rule.weigh_by(view, next_state, rng)
            returned.array(rule, shares, (len(view.rows),))
            return rule.combined_by(view, shares, next_state, rng), shares, next_state
        if isinstance(rule, Weighing):
            shares = rule.shares(view, rng)
            returned.array(rule, shares, (len(view.rows),))
            return rule.combined(view, shares, rng), shares, None
        aggregate, next_state = advanced(rule, view, state, rng)
        return aggregate, None, next_state

    def _stepped(
        self, view: View, rng: np.random.Generator, states: Sequence[State], *, finite: bool
    ) -> tuple[View, list[State], "_Origin"]:
        """The view after all steps, their next states, and where its rows come from."""
        after: list[State] = []
        origin = _Origin()
        for step, state in zip(self.steps, states, strict=True):
            n_rows = len(view.rows)
            next_state: State = None
            if isinstance(step, Mixing):
                mixing = step.mixing(view, rng)
                returned.array(step, mixing, (len(mixing), n_rows))
                view = step.mix(view, mixing)
                origin = origin.mixed(mixing)
            else:
                found, next_state = advanced(step, view, state, rng)
                view = returned.view(step, found, view.rows.shape[1])
                origin = origin if len(view.rows) == n_rows else _Origin(known=False)
            after.append(next_state)
            if finite:
                returned.finite(step, view.rows)
        return view, after, origin

    def _against(self, n_hostile: int) -> "Chain":
        def informed(part: Any) -> Any:
            return replace(part, n_hostile=n_hostile) if hasattr(part, "n_hostile") else part

        return replace(self, steps=tuple(map(informed, self.steps)), rule=informed(self.rule))

    def __call__(
        self, view: View, rng: np.random.Generator, states: Sequence[State] = ()
    ) -> Vector:
        """The step of the model, (n_params,), finite or not.

        Raises ``RefusedError`` where a step or the rule does.
        """
        return self._run(view, rng, states).move


@dataclass(frozen=True)
class _Origin:
    """The share of each row before all steps in each row after; None: each row is its own.

    It is not ``known`` after a step that does not state it.
    """

    mixing: NDArray[np.float64] | None = None
    known: bool = True

    def mixed(self, mixing: NDArray[np.float64]) -> "_Origin":
        """The origin after one more step, with its shares of rows in rows."""
        if self.mixing is None or not self.known:
            return replace(self, mixing=mixing)
        return replace(self, mixing=mixing @ self.mixing)

    def shares(self, stated: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The share of each row before all steps, from shares that are stated of rows after."""
        if not self.known:
            return None
        return stated if self.mixing is None else stated @ self.mixing


def _without(part: Any, n_missing: int) -> Any:
    assumed = getattr(part, "n_hostile", None)
    return replace(part, n_hostile=max(0, assumed - n_missing)) if assumed else part
