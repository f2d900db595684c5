"""What each hospital has spent of its privacy after each round."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, experiments
from reports.figures.privacy import draw_spending
from sim.design.batches import sample_rate

WORDS = ("consortium=heart4", "dp=record")
# equal noise, so that small hospitals spend more
EQUAL = ("dp.target_epsilon=null", "dp.noise_multiplier=3")


def measure(quick: bool) -> Result:
    """Epsilon after each round by the accountant of the plan, on heart4 with equal noise."""
    words = [*WORDS, *EQUAL, *(["training.rounds=4"] if quick else ())]
    (run, *_) = [one for one in experiments(words) if one.plan.dp is not None]
    plan = run.plan
    dp = plan.dp
    assert dp is not None
    training = plan.training
    rows = list[Row]()
    for site in run.truth.sites:
        counted = dp.counted(len(site.records))
        one = (dp.noise(counted, training), sample_rate(counted, training))
        for number in range(1, training.rounds + 1):
            epsilon = dp.epsilon([(*one, number * training.steps(counted))])
            rows.append(
                {
                    "hospital": site.name,
                    "records": counted,
                    "round": number,
                    "epsilon": epsilon,
                }
            )
    last = [row for row in rows if row["round"] == training.rounds]
    ratios = {f"epsilon of {row['hospital']}": row["epsilon"] for row in last}
    return {"title": "Privacy spent by round", "rows": rows, "ratios": ratios}


def draw(result: Result, axes: Axes) -> None:
    """Epsilon by round, a line for each hospital."""
    rows = [
        {
            "round": row["round"],
            "hospital": row["hospital"],
            "n_train": row["records"],
            "epsilon": row["epsilon"],
            "budget": None,
        }
        for row in result["rows"]
    ]
    draw_spending(axes, pl.DataFrame(rows))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5)
