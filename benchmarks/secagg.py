"""What secure aggregation costs a hospital in a round: messages, bytes and seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, experiments
from reports.figures.style import COLORS, guide, logarithmic
from sim.federation.protocols.plain import protocol_of
from sim.federation.protocols.secagg import chances
from sim.study.experiment import Experiment
from sim.study.run import run_together

MODES = {
    "none": ["secagg=none"],
    "sum": ["secagg=sum"],
    "all neighbors": ["secagg=protocol"],
    "100 neighbors": ["secagg=protocol", "secagg.neighbors=100"],
}
LARGE = "model.hidden=[1000,980]"  # a million parameters on the synthetic records
RATE = 0.1  # share of hospitals that are hostile, or absent, in the chances of a graph


def measure(quick: bool) -> Result:
    """Whole rounds of runs in lockstep, by form of secure aggregation and number of hospitals.

    Seconds are processor time of one process, in which all hospitals and the aggregator are.
    """
    n_seeds, rounds, repetitions = (1, 1, 1) if quick else (20, 20, 3)
    rows = []
    for mode in ("none", "sum", "all neighbors"):
        words = ["consortium=heart12", f"training.rounds={rounds}", *MODES[mode]]
        rows.append(_row(mode, _turns(words, n_seeds, repetitions)))
    for n in (8, 14) if quick else (30, 100, 300, 1000):
        for mode, words in MODES.items():
            # with all neighbors the pairs grow with the square of the hospitals
            if (n > 100 or mode != "100 neighbors") and (n < 1000 or mode != "all neighbors"):
                rows.append(_row(mode, _synthetic(n, words)))
    if not quick:
        rows.append(_extrapolated(rows, 1000))
        for mode in ("sum", "all neighbors"):
            turns = _synthetic(12, [*MODES[mode], "model=mlp", LARGE], repetitions)
            rows.append(_row(mode, turns))
    first = {row["secagg"]: row["ms a hospital"] for row in rows[:3]}
    ratios = {
        "12 hospitals: protocol / sum": first["all neighbors"] / first["sum"],
        **({} if quick else _chances()),
    }
    return {"title": "A hospital's part of a round", "rows": rows, "ratios": ratios}


def _synthetic(n: int, words: Sequence[str], repetitions: int = 1) -> list[list[Experiment]]:
    fixed = ["consortium=synthetic", "model=logistic", "training.rounds=1"]
    return _turns([*fixed, f"consortium.n_hospitals={n}", *words], 1, repetitions)


def _turns(words: Sequence[str], n_seeds: int, repetitions: int) -> list[list[Experiment]]:
    """The runs of each repetition, of seeds of its own: no turn finds what another has stored."""
    runs = experiments(["adversary.n_hostile=0", *words], n_seeds=n_seeds * repetitions)
    return [runs[turn * n_seeds : (turn + 1) * n_seeds] for turn in range(repetitions)]


def _row(mode: str, turns: Sequence[Sequence[Experiment]]) -> Row:
    one = turns[0][0]
    milliseconds = float("inf")
    for runs in turns:
        assert all(run.consortium for run in runs)  # made before the clock starts
        start = time.process_time()  # which other processes slow down less
        records = run_together(runs)
        seconds = time.process_time() - start
        assert not any(record.skipped_rounds for record in records)
        n_rounds = sum(run.plan.training.rounds for run in runs)
        milliseconds = min(milliseconds, 1e3 * seconds / n_rounds / len(one.consortium))
    return _stated(mode, one, milliseconds)


def _stated(mode: str, one: Experiment, milliseconds: float) -> Row:
    protocol: Any = protocol_of(one.plan)
    found = protocol.traffic(one.plan)
    return {
        "secagg": mode,
        "hospitals": len(one.consortium),
        "parameters": one.plan.network.n_params,
        "messages": found.messages,
        "bytes sent": found.sent,
        "bytes received": found.received,
        "ms a hospital": milliseconds,
    }


def _extrapolated(rows: Sequence[Row], n: int) -> Row:
    """The row of so many hospitals with all of them as neighbors, which takes too long to run.

    A hospital's part grows with their number (masks, sealed shares) and with its square (each share
    is the value of a polynomial as long as the threshold): both are fitted to the rounds that ran.
    """
    ran = [row for row in rows if row["secagg"] == "all neighbors" and row["parameters"] < 1000]
    sizes = np.array([row["hospitals"] for row in ran], np.float64)
    taken = np.array([row["ms a hospital"] for row in ran])
    parts = np.array([sizes, sizes**2]).T
    fitted, *_ = np.linalg.lstsq(parts / taken[:, None], np.ones(len(taken)), rcond=None)
    ((one,),) = _synthetic(n, MODES["all neighbors"])
    return _stated("all neighbors (extrapolated)", one, float(fitted @ [n, n**2]))


def _chances() -> dict[str, float]:
    """What the graph of 100 neighbors leaves to chance among 1000 hospitals."""
    ((one,),) = _synthetic(1000, MODES["100 neighbors"])
    secagg: Any = one.plan.secagg
    n_marked = round(RATE * 1000)
    hostile, apart, absent = (
        find(secagg.parameters, 1000, n_marked)
        for find in (chances.exposed, chances.split, chances.stuck)
    )
    lying = chances.exposed(secagg.parameters, 1000, n_marked, lies=True)
    return {
        f"1000 hospitals, {n_marked} hostile: chance that an update is read": hostile,
        f"1000 hospitals, {n_marked} hostile: the same, if the aggregator lies": lying,
        f"1000 hospitals, {n_marked} hostile: chance that the sum is split": apart,
        f"1000 hospitals, {n_marked} absent: chance that one is left out": absent,
    }


def draw(result: Result, axes: Axes) -> None:
    """Milliseconds a hospital and round by number of hospitals."""
    rows = [row for row in result["rows"] if row["parameters"] < 1000]
    for mode, color in zip(MODES, COLORS, strict=False):
        chosen = [row for row in rows if row["secagg"] == mode]
        sizes = [row["hospitals"] for row in chosen]
        axes.plot(sizes, [row["ms a hospital"] for row in chosen], "o-", color=color, label=mode)
    logarithmic(axes, "both")
    axes.set_xlabel("hospitals")
    axes.set_ylabel("ms a hospital and round")
    guide(axes)
    axes.legend()
