"""A whole comparison, alone and as a command, against a plain loop and Flower's simulation on Ray.

Of these two, a few runs are timed before the comparison and as many after it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks import plain
from benchmarks.commands import killed, started
from benchmarks.tools import Result, Row, clocked, experiments, peak_memory
from reports.figures.style import BLUE, guide, logarithmic
from sim import evidence
from sim.study import compare, processes
from sim.study.experiment import Experiment
from sim.study.run import run

# Attacks and defenses, each beside none.
ATTACKS = (
    *("sign_flip", "alie", "label_flip", "gaussian", "ipm", "mimic"),
    ("sign_flip", "label_flip"),
)
DEFENSES = (
    *("median", "trimmed_mean", "krum", "multi_krum", "geometric_median"),
    *("nnm_trimmed_mean", "secagg"),
)
COMMAND = "whole command"  # the name of its row
PATIENCE = 1800.0  # seconds in which the command must be done
SAMPLE = {"plain loop": 8, "Flower on Ray": 1}  # runs before, and as many after


def measure(quick: bool) -> Result:
    """Wall seconds on all cores of 8 attacks x 8 defenses x 5 seeds on heart12 with 40 rounds.

    Peak memory is measured beside them. The same runs are timed once more as a command, from its
    start to its end, with imports, tables and report.
    """
    rounds, n_seeds = (2, 1) if quick else (40, 5)
    attacks = ATTACKS[:1] if quick else ATTACKS
    defenses = DEFENSES[:1] if quick else DEFENSES
    cores = len(os.sched_getaffinity(0))
    words = [f"training.rounds={rounds}"]
    one = experiments(words)[0]
    sides: dict[str, Callable[[], object]] = {"plain loop": lambda: plain.train(one)}
    if not quick and find_spec("ray") is not None:
        sides["Flower on Ray"] = lambda: run(_on_ray(rounds))
    plain.train(one)  # the first one loads what torch loads late
    before = _sampled(sides)
    row = _together(lambda: experiments(words, attacks, n_seeds, defenses), cores)
    whole = _commanded(_words(rounds, n_seeds, attacks, defenses))
    after = _sampled(sides)  # a machine's speed drifts, and the many runs take a while
    slow = [_row(side, before[side] + after[side]) for side in sides]
    ratios = {
        f"{side['side']} / {fast['side']}": side["seconds a run"] / fast["seconds a run"]
        for fast in (row, whole)
        for side in slow
    }
    title = f"heart12, mlp, {rounds} rounds: {row['runs']} runs, {cores} processes"
    return {
        "title": title,
        "rows": [row, whole, *slow],
        "ratios": {**ratios, "peak GB": row["MB"] / 1e3},
    }


def _sampled(sides: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each run of each side."""
    return {name: [clocked(side) for _ in range(SAMPLE[name])] for name, side in sides.items()}


def _row(side: str, seconds: Sequence[float]) -> Row:
    return {
        "side": side,
        "runs": len(seconds),
        "seconds": sum(seconds),
        "seconds a run": sum(seconds) / len(seconds),
    }


def _together(plan: Callable[[], list[Experiment]], workers: int) -> Row:
    """All that ``wardround compare`` does between its imports and its report."""
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


def _words(
    rounds: int,
    n_seeds: int,
    attacks: Sequence[str | Sequence[str]],
    defenses: Sequence[str],
) -> list[str]:
    """The words after ``wardround compare`` that ask for these runs."""
    named = [one if isinstance(one, str) else f"[{','.join(one)}]" for one in attacks]
    return [
        f"training.rounds={rounds}",
        f"attacks=[{','.join(named)}]",
        f"defenses=[{','.join(defenses)}]",
        f"seeds={n_seeds}",
    ]


def _commanded(words: Sequence[str]) -> Row:
    """The time that a user waits for ``wardround compare WORDS``, which is a process of its own.

    Raises ``RuntimeError`` where the command fails.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        start = time.perf_counter()
        process = started(["compare", *words, f"hydra.run.dir={folder}"], Path(place))
        try:
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            killed(process)
        seconds = time.perf_counter() - start
        if process.returncode or not (folder / "report" / "index.html").exists():
            command = f"wardround compare {' '.join(words)}"
            raise RuntimeError(f"{command} ended with {process.returncode}: {errors[-2000:]}")
        n_runs = len(evidence.read(folder))
    return {"side": COMMAND, "runs": n_runs, "seconds": seconds, "seconds a run": seconds / n_runs}


def _on_ray(rounds: int) -> Experiment:
    return experiments(["engine=ray", f"training.rounds={rounds}"])[0]


def draw(result: Result, axes: Axes) -> None:
    """One bar for each side."""
    rows = result["rows"][::-1]
    axes.barh([row["side"] for row in rows], [row["seconds a run"] for row in rows], color=BLUE)
    logarithmic(axes, "x")
    axes.set_xlabel("seconds a run")
    guide(axes, "x")
