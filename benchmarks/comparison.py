"""A whole comparison against a plain loop and against Flower's simulation on Ray, each on a few runs before it and after it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks import plain
from benchmarks.tools import Result, Row, clocked, experiments, peak_memory
from reports.figures.style import BLUE, guide
from sim.study import compare, processes
from sim.study.experiment import Experiment
from sim.study.run import run

ATTACKS = ("sign_flip", "alie", "label_flip", "gaussian", "ipm", "mimic", ("sign_flip", "label_flip"))  # and none
DEFENSES = ("median", "trimmed_mean", "krum", "multi_krum", "geometric_median", "nnm_trimmed_mean", "secagg")  # and none
SAMPLE = {"plain loop": 8, "Flower on Ray": 1}  # runs before, and as many after


def measure(quick: bool) -> Result:
    """Wall seconds on all cores, and peak memory, of 8 attacks x 8 defenses x 5 seeds on heart12 with 40 rounds."""
    rounds, n_seeds, attacks, defenses = (2, 1, ATTACKS[:1], DEFENSES[:1]) if quick else (40, 5, ATTACKS, DEFENSES)
    cores, one = len(os.sched_getaffinity(0)), experiments([f"training.rounds={rounds}"])[0]
    sides: dict[str, Callable[[], object]] = {"plain loop": lambda: plain.train(one)}
    if not quick and find_spec("ray") is not None:
        sides["Flower on Ray"] = lambda: run(_on_ray(rounds))
    plain.train(one)  # the first one loads what torch loads late
    before = _sampled(sides)
    row = _together(lambda: experiments([f"training.rounds={rounds}"], attacks, n_seeds, defenses), cores)
    after = _sampled(sides)  # a machine's speed drifts, and the many runs take a while
    slow = [_row(side, before[side] + after[side]) for side in sides]
    ratios = {f"{side['side']} / this engine": side["seconds a run"] / row["seconds a run"] for side in slow}
    title = f"heart12, mlp, {rounds} rounds: {row['runs']} runs, {cores} processes"
    return {"title": title, "rows": [row, *slow], "ratios": {**ratios, "peak GB": row["MB"] / 1e3}}


def _sampled(sides: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each run of each side."""
    return {name: [clocked(side) for _ in range(SAMPLE[name])] for name, side in sides.items()}


def _row(side: str, seconds: Sequence[float]) -> Row:
    return {"side": side, "runs": len(seconds), "seconds": sum(seconds), "seconds a run": sum(seconds) / len(seconds)}


def _together(plan: Callable[[], list[Experiment]], workers: int) -> Row:
    """What ``wardround compare`` does between its imports and its report: planning, starting processes, all runs."""
    with tempfile.TemporaryDirectory() as folder, peak_memory(every=0.2) as peak:
        start = time.perf_counter()
        processes.warm_up()
        runs = plan()
        compare.complete(runs, Path(folder), workers, lambda _: None)
        seconds = time.perf_counter() - start
    return {
        "side": "this engine",
        "runs": len(runs),
        "seconds": seconds,
        "seconds a run": seconds / len(runs),
        "MB": peak[0] / 1e6,
    }


def _on_ray(rounds: int) -> Experiment:
    return experiments(["engine=ray", f"training.rounds={rounds}"])[0]


def draw(result: Result, axes: Axes) -> None:
    """One bar for each side."""
    rows = result["rows"][::-1]
    axes.barh([row["side"] for row in rows], [row["seconds a run"] for row in rows], color=BLUE)
    axes.set_xscale("log")
    axes.set_xlabel("seconds a run")
    guide(axes, "x")
