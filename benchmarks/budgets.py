"""What a privacy budget costs: AUROC by epsilon, of each hospital and of all patients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, experiments
from reports.figures.privacy import ALL, draw_utility
from sim.evidence import RunRecord
from sim.evidence.intervals import mean_interval
from sim.evidence.metrics import SHARE
from sim.study.run import run_together

BUDGETS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, math.inf)
NO_PRIVACY = "none"  # what an infinite budget is called in JSON


def measure(quick: bool) -> Result:
    """Mean AUROC over seeds with its 95 % interval, with record-level privacy on heart4."""
    budgets = (1.0, math.inf) if quick else BUDGETS
    n_seeds = 2 if quick else 10
    words = ["consortium=heart4", *(["training.rounds=2"] if quick else ())]
    rows = list[Row]()
    for budget in budgets:
        private = [] if math.isinf(budget) else ["dp=record", f"dp.target_epsilon={budget:g}"]
        runs = [
            run
            for run in experiments([*words, *private], [], n_seeds, [NO_PRIVACY])
            if (run.plan.dp is None) == (not private)
        ]
        rows += _rows(budget, run_together(runs))
    whole = {row["epsilon"]: row["AUROC"] for row in rows if row["hospital"] == ALL}
    ratios = {
        f"AUROC lost at epsilon {budget:g}": whole[NO_PRIVACY] - whole[budget]
        for budget in budgets
        if not math.isinf(budget)
    }
    return {"title": "AUROC by privacy budget", "rows": rows, "ratios": ratios}


def _rows(budget: float, records: Sequence[RunRecord]) -> list[Row]:
    found = list[Row]()
    for name in (None, *(one.hospital for one in records[0].hospitals)):
        values = [record.value("auroc", name) for record in records]
        defined = [value for value in values if value is not None]
        if not defined:
            continue  # too few patients of a class
        interval = mean_interval(defined, SHARE)
        found.append(
            {
                "epsilon": NO_PRIVACY if math.isinf(budget) else budget,
                "hospital": name or ALL,
                "seeds": len(defined),
                "AUROC": sum(defined) / len(defined),
                "from": None if interval is None else interval.low,
                "to": None if interval is None else interval.high,
            }
        )
    return found


def points(result: Result) -> pl.DataFrame:
    """The rows of a result as the frame that the figure takes."""
    rows = [
        {
            "defense": "",
            "epsilon": math.inf if row["epsilon"] == NO_PRIVACY else float(row["epsilon"]),
            "hospital": row["hospital"],
            "auroc": row["AUROC"],
            "low": row["from"],
            "high": row["to"],
        }
        for row in result["rows"]
    ]
    return pl.DataFrame(rows)


def draw(result: Result, axes: Axes) -> None:
    """AUROC by budget, with 95 % intervals over seeds."""
    draw_utility(axes, points(result))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5)
