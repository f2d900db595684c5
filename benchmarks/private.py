"""Batched DP-SGD against Opacus, one hospital at a time."""

from __future__ import annotations

from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, best_seconds, experiments
from reports.figures.style import BLUE, guide
from sim.study.run import client_app, run, run_together


def measure(quick: bool) -> Result:
    """Seconds a run of heart12 under record-level DP, with noise calibrated beforehand."""
    rounds, n_runs, repetitions = (2, 2, 1) if quick else (40, 12, 2)
    words = ("dp=record", "dp.target_epsilon=null", "dp.noise_multiplier=1.0")
    runs = experiments([*words, f"training.rounds={rounds}"], n_seeds=n_runs)
    run_together(runs[:1])  # asks the accountant what both sides ask it
    sides = {
        "batched": lambda: run_together(runs),
        "one by one": lambda: run(runs[0], app=client_app()),
    }
    seconds = best_seconds(sides, repetitions)
    rows: list[Row] = [
        {"side": "batched", "seconds a run": seconds["batched"] / n_runs},
        {"side": "one by one", "seconds a run": seconds["one by one"]},
    ]
    ratios = {"one by one / batched": rows[1]["seconds a run"] / rows[0]["seconds a run"]}
    return {
        "title": f"heart12, DP-SGD, {rounds} rounds, {n_runs} runs together",
        "rows": rows,
        "ratios": ratios,
    }


def draw(result: Result, axes: Axes) -> None:
    """One bar for each side."""
    rows = result["rows"][::-1]
    axes.barh([row["side"] for row in rows], [row["seconds a run"] for row in rows], color=BLUE)
    axes.set_xlabel("seconds a run")
    guide(axes, "x")
