"""The batched engine against one hospital at a time through the ClientApp, and a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from matplotlib.axes import Axes

from benchmarks import plain
from benchmarks.tools import Result, Row, best_seconds, experiments
from reports.figures.style import BLUE, guide, logarithmic
from sim.study.run import client_app, run, run_together


def measure(quick: bool) -> Result:
    """Seconds a run, plain mean without attack, for each model."""
    rounds, n_runs, repetitions = (2, 2, 1) if quick else (40, 24, 3)
    rows: list[Row] = []
    for model in ("mlp", "logistic"):
        runs = experiments([f"model={model}", f"training.rounds={rounds}"], n_seeds=n_runs)
        sides: dict[str, Callable[[], object]] = {
            "batched": partial(run_together, runs),
            "one by one": partial(run, runs[0], app=client_app()),
            "plain loop": partial(plain.train, runs[0]),
        }
        seconds = best_seconds(sides, repetitions)
        each = {**seconds, "batched": seconds["batched"] / n_runs}
        rows += [{"model": model, "side": side, "seconds a run": each[side]} for side in each]
    ratios = {}
    for i, row in enumerate(rows):
        if row["side"] != "batched":
            fast = rows[3 * (i // 3)]
            ratio = row["seconds a run"] / fast["seconds a run"]
            ratios[f"{row['model']}: {row['side']} / batched"] = ratio
    return {
        "title": f"heart12, {rounds} rounds, {n_runs} runs together, one thread",
        "rows": rows,
        "ratios": ratios,
    }


def draw(result: Result, axes: Axes) -> None:
    """One bar for each side."""
    labels = [f"{row['model']}, {row['side']}" for row in result["rows"]]
    axes.barh(labels[::-1], [row["seconds a run"] for row in result["rows"]][::-1], color=BLUE)
    logarithmic(axes, "x")
    axes.set_xlabel("seconds a run")
    guide(axes, "x")
