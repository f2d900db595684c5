"""Steps in order, then a rule."""

from dataclasses import dataclass, replace

import numpy as np

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

    def __call__(self, view: View, rng: np.random.Generator) -> Vector:
        """The aggregated update, (n_params,). Raises ``RefusedError`` where a step or the rule does."""
        rows = view.rows
        for step in self.steps:
            rows = step(rows, rng)
        return self.rule(replace(view, rows=rows), rng)
