"""Growth of time and memory with runs, hospitals and parameters."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, experiments, peak_memory
from reports.figures.style import COLORS, guide, logarithmic
from sim.study.experiment import Experiment
from sim.study.run import run_together

ROUNDS = 50
WIDTHS = {
    1_000: [28, 20],
    10_000: [100, 80],
    100_000: [300, 300],
    1_000_000: [1000, 980],
    10_000_000: [3200, 3100],
}


def measure(quick: bool) -> Result:
    """Seconds and bytes above those before, each along one axis while the others stay."""
    rounds = 2 if quick else ROUNDS
    runs = experiments([f"training.rounds={rounds}"], ["sign_flip"], 1 if quick else 48)
    rows = [_row("runs", n, runs[:n]) for n in ((1, 2) if quick else (1, 3, 12, 24, 48, 96))]
    for n in (4, 8) if quick else (4, 20, 100, 300, 1000):
        rows.append(_row("hospitals", n, _synthetic(rounds, f"consortium.n_hospitals={n}")))
    for n_params, hidden in list(WIDTHS.items())[: 2 if quick else None]:
        shape = (
            f"model.hidden=[{','.join(map(str, hidden))}]",
            "consortium.n_hospitals=8",
            "training.local_steps=2",
        )
        rows.append(_row("parameters", n_params, _synthetic(2, *shape)))
    ratios = {
        f"{axis}: time grows as power": _power(rows, axis)
        for axis in ("runs", "hospitals", "parameters")
    }
    return {
        "title": f"Growth ({rounds} rounds; parameters: 2 rounds)",
        "rows": rows,
        "ratios": ratios,
    }


def _synthetic(rounds: int, *words: str) -> list[Experiment]:
    fixed = ["consortium=synthetic", "adversary.n_hostile=1", f"training.rounds={rounds}"]
    return experiments([*fixed, *words])


def _row(axis: str, n: int, runs: Sequence[Experiment]) -> Row:
    for experiment in runs:
        assert experiment.consortium  # made before the clock starts
    gc.collect()
    with peak_memory() as peak:
        before = peak[0]
        start = time.perf_counter()
        run_together(runs)
        seconds = time.perf_counter() - start
    return {"axis": axis, "n": n, "seconds": seconds, "MB": (peak[0] - before) / 1e6}


def _power(rows: Sequence[Row], axis: str) -> float:
    """Slope between the last two sizes in logarithms: 1 is linear."""
    sizes = [(row["n"], row["seconds"]) for row in rows if row["axis"] == axis]
    (n, seconds), (more, longer) = sizes[-2:]
    return float(np.log(longer / seconds) / np.log(more / n))


def draw(result: Result, axes: Axes) -> None:
    """Seconds along each axis, relative to its first size."""
    for axis, color in zip(("runs", "hospitals", "parameters"), COLORS, strict=False):
        chosen = [row for row in result["rows"] if row["axis"] == axis]
        label = f"{axis} ({chosen[0]['n']:,} to {chosen[-1]['n']:,})"
        numbers = [row["n"] for row in chosen]
        axes.plot(numbers, [row["seconds"] for row in chosen], "o-", color=color, label=label)
    logarithmic(axes, "both")
    axes.set(xlabel="number", ylabel="seconds")
    axes.legend()
    guide(axes)
