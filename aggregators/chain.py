"""Steps in order, then a rule, then the server's optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregators.kinds import Mixing, Weighing
from aggregators.limits import refusal
from sim import returned
from sim.errors import NotFiniteError, PluginError, RefusedError
from sim.types import Rule, Step, Vector, View


@dataclass(frozen=True)
class Chain:
    """What the aggregator does with a view: every step on the rows, then the rule. All draw from the same generator.

    ``optimizer`` turns the aggregate and the view's memory into the step of the model; None: the aggregate is the step.
    """

    steps: tuple[Step, ...]
    rule: Rule
    optimizer: Callable[[Vector, dict[str, Any]], Vector] | None = None

    @property
    def min_rows(self) -> int:
        """Least number of rows that the rule accepts."""
        return self.rule.min_rows

    def refusal(self, n_rows: int, n_hospitals: int) -> str | None:
        """Why a step or the rule cannot work on ``n_rows`` rows that stand for ``n_hospitals`` hospitals; None if all can."""
        merged = ""
        parts: tuple[Any, ...] = (*self.steps, self.rule)
        for part in parts:
            text = refusal(part, n_rows, n_rows if merged else n_hospitals) if hasattr(part, "min_rows") else None
            if text is not None:
                return text + merged
            left = part.n_rows(n_rows) if hasattr(part, "n_rows") else n_rows
            if left != n_rows:
                merged += f"; {part.about.title} merges {n_rows} rows into {left}"
            n_rows = left
        return None

    def without(self, n_missing: int) -> "Chain":
        """The chain that takes ``n_missing`` hospitals of which nothing usable came for hostile ones.

        Steps and rule then withstand that many fewer among the rows that did come: a risk, for the missing ones may be honest.
        """
        if n_missing == 0:
            return self
        steps = tuple(_without(step, n_missing) for step in self.steps)
        return replace(self, steps=steps, rule=_without(self.rule, n_missing))

    @property
    def withstands(self) -> int | None:
        """The least number of hostile rows that a step or the rule is given to withstand; None if none of them is given one."""
        parts: tuple[Any, ...] = (*self.steps, self.rule)
        return min((part.n_hostile for part in parts if hasattr(part, "n_hostile")), default=None)

    def most_hostile(self, n_rows: int, n_hospitals: int) -> int | None:
        """The largest number of hostile hospitals for which steps and rule are defined; None if that is no matter to them."""
        parts: tuple[Any, ...] = (*self.steps, self.rule)
        if not any(hasattr(part, "n_hostile") for part in parts):
            return None
        numbers = range(n_hospitals + 1)
        return next((n - 1 for n in numbers if self._against(n).refusal(n_rows, n_hospitals) is not None), n_hospitals)

    def run(self, view: View, rng: np.random.Generator) -> tuple[Vector, NDArray[np.float64] | None]:
        """The step of the model, (n_params,), and the share of each row of ``view`` in the aggregate, (n_rows,).

        Shares are None for a rule that works on each coordinate by itself. Raises ``RefusedError`` where a step or the rule does,
        and where the result is not finite.
        """
        aggregate, shares = self._aggregate(view, rng)
        returned.finite(self.rule, aggregate)
        return returned.finite(self.optimizer, self._step(aggregate, view)), shares

    def check(self, view: View, rng: np.random.Generator) -> None:
        """Raise ``PluginError`` that names the part which gives something wrong, or not finite, for a harmless view."""
        try:
            aggregate, _ = self._aggregate(view, rng, strict=True)
            returned.finite(self.optimizer, self._step(aggregate, view))
        except NotFiniteError as error:
            raise PluginError(error.plugin, "returned values that are not finite for small finite updates") from None

    def _aggregate(
        self, view: View, rng: np.random.Generator, *, strict: bool = False
    ) -> tuple[Vector, NDArray[np.float64] | None]:
        """What the rule gives, and shares as in ``run``. ``strict``: what each part gives must be finite."""
        text = self.refusal(len(view.rows), sum(map(len, view.members)))
        if text is not None:
            raise RefusedError(text)
        view, origin = self._stepped(view, rng, strict=strict)
        shares = None
        if isinstance(self.rule, Weighing):
            stated = self.rule.shares(view, rng)
            returned.array(self.rule, stated, (len(view.rows),))
            shares = None if origin is None else stated @ origin
            aggregate = self.rule.combined(view, stated, rng)
        else:
            aggregate = self.rule(view, rng)
        returned.array(self.rule, aggregate, (view.rows.shape[1],))
        if strict:
            returned.finite(self.rule, aggregate)
        return aggregate, shares

    def _stepped(self, view: View, rng: np.random.Generator, *, strict: bool) -> tuple[View, NDArray[np.float64] | None]:
        """The view after all steps, and the share of each row before in each row after; None where a step does not state it."""
        origin: NDArray[np.float64] | None = np.eye(len(view.rows))
        for step in self.steps:
            n_rows = len(view.rows)
            if isinstance(step, Mixing):
                mixing = step.mixing(view, rng)
                returned.array(step, mixing, (len(mixing), n_rows))
                view, origin = step.mix(view, mixing), None if origin is None else mixing @ origin
            else:
                view = returned.view(step, step(view, rng), view.rows.shape[1])
                origin = origin if len(view.rows) == n_rows else None
            if strict:
                returned.finite(step, view.rows)
        return view, origin

    def _against(self, n_hostile: int) -> "Chain":
        def told(part: Any) -> Any:
            return replace(part, n_hostile=n_hostile) if hasattr(part, "n_hostile") else part

        return replace(self, steps=tuple(map(told, self.steps)), rule=told(self.rule))

    def _step(self, aggregate: Vector, view: View) -> Vector:
        if self.optimizer is None:
            return aggregate
        return returned.array(self.optimizer, self.optimizer(aggregate, view.memory), aggregate.shape)

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The step of the model, (n_params,), finite or not. Raises ``RefusedError`` where a step or the rule does."""
        return self._step(self._aggregate(view, rng)[0], view)


def _without(part: Any, n_missing: int) -> Any:
    assumed = getattr(part, "n_hostile", None)
    return replace(part, n_hostile=max(0, assumed - n_missing)) if assumed else part
