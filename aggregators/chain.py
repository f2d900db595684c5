"""Steps in order, then a rule."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aggregators.limits import refusal
from sim.types import Rule, Step, Vector, View


@dataclass(frozen=True)
class Chain:
    """What the aggregator does with a view: every step on the rows, then the rule. All draw from the same generator."""

    steps: tuple[Step, ...]
    rule: Rule

    @property
    def min_rows(self) -> int:
        """Least number of rows that the rule accepts."""
        return self.rule.min_rows

    def refusal(self, n_rows: int, n_hospitals: int) -> str | None:
        """Why the rule cannot work on ``n_rows`` rows that stand for ``n_hospitals`` hospitals; None if it can."""
        return refusal(self.rule, n_rows, n_hospitals)

    def without(self, n_missing: int) -> "Chain":
        """The chain for a round in which ``n_missing`` hospitals sent nothing usable.

        A hospital that fails counts as one of the hostile ones that the rule must withstand, so that many fewer are left.
        """
        assumed: Any = getattr(self.rule, "n_hostile", None)
        if not n_missing or not assumed:
            return self
        return replace(self, rule=replace(self.rule, n_hostile=max(0, assumed - n_missing)))  # type: ignore[type-var]

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The aggregated update, (n_params,). Raises ``RefusedError`` where a step or the rule does."""
        for step in self.steps:
            view = step(view, rng)
        return self.rule(view, rng)
