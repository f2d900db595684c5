"""Rules and steps against ByzFL on the same float32 updates, and their memory on large ones."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from matplotlib.axes import Axes

from aggregators.arc import Arc
from aggregators.bulyan import Bulyan
from aggregators.caf import Caf
from aggregators.centered_clipping import CenteredClipping
from aggregators.clip import Clip
from aggregators.geometric_median import GeometricMedian
from aggregators.krum import Krum
from aggregators.mda import Mda
from aggregators.meamed import Meamed
from aggregators.mean import Mean
from aggregators.median import Median
from aggregators.monna import Monna
from aggregators.multi_krum import MultiKrum
from aggregators.nnm import Nnm
from aggregators.rfa import Rfa
from aggregators.smea import Smea
from aggregators.trimmed_mean import TrimmedMean
from benchmarks.tools import Result, Row, best_seconds, peak_memory
from reports.style import BLUE, guide
from sim.seeds import stream
from sim.types import Rule, Step, Updates, View

SMALL, LARGE = (12, 5_000, 2), (50, 100_000, 10)  # rows, parameters, hostile
HUGE = ((100, 1_000_000, 20), (20, 10_000_000, 4))
LISTS_SETS = ("mda", "smea")  # ByzFL lists all sets of rows, so only few rows are feasible


def ours(f: int) -> dict[str, Rule | Step]:
    """The rules and steps measured, by name."""
    return {
        "mean": Mean(),
        "median": Median(f),
        "trimmed_mean": TrimmedMean(f),
        "meamed": Meamed(f),
        "krum": Krum(f, "byzfl"),
        "multi_krum": MultiKrum(f, None, "byzfl"),
        "bulyan": Bulyan(f),
        "monna": Monna(f, "h0"),
        "mda": Mda(f),
        "smea": Smea(f),
        "caf": Caf(f),
        "rfa": Rfa(f, nu=0.1, start="zero"),
        "geometric_median": GeometricMedian(f),
        "centered_clipping": CenteredClipping(100.0, 3, "zero"),
        "clip": Clip(2.0),
        "arc": Arc(f),
        "nnm": Nnm(f),
    }


def theirs(f: int) -> dict[str, Callable[[Any], object]]:
    """ByzFL's forms of them; empty where it is not installed."""
    if importlib.util.find_spec("byzfl") is None:
        return {}
    stubs = {name: mock.MagicMock() for name in ("torchvision", "seaborn") if name not in sys.modules}
    sys.modules.update(stubs)  # its benchmarks import these two; its rules do not need them
    byzfl: Any = importlib.import_module("byzfl")
    for name in stubs:
        del sys.modules[name]
    return {
        "mean": byzfl.Average(),
        "median": byzfl.Median(),
        "trimmed_mean": byzfl.TrMean(f),
        "meamed": byzfl.Meamed(f),
        "krum": byzfl.Krum(f),
        "multi_krum": byzfl.MultiKrum(f),
        "monna": byzfl.MoNNA(f, 0),
        "mda": byzfl.MDA(f),
        "smea": byzfl.SMEA(f),
        "caf": byzfl.CAF(f),
        "rfa": byzfl.GeometricMedian(nu=0.1, T=3),
        "centered_clipping": byzfl.CenteredClipping(L=3, tau=100.0),
        "clip": byzfl.Clipping(2.0),
        "arc": byzfl.ARC(f),
        "nnm": byzfl.NNM(f),
    }


def measure(quick: bool) -> Result:
    """Seconds a call beside ByzFL on numpy arrays and on torch tensors, and peak memory over the size of the input."""
    rows = [*_beside(*SMALL, 2 if quick else 50), *([] if quick else _beside(*LARGE, 7))]
    rows += [row for size in HUGE for row in ([] if quick else _memory(*size))]
    ratios = {
        f"{row['rule']}, n={row['n']}: ByzFL {kind} / ours": row[f"ByzFL {kind}"] / row["ours"]
        for row in rows
        for kind in ("numpy", "torch")
        if f"ByzFL {kind}" in row
    }
    return {"title": "Rules and steps, seconds a call, one thread, float32", "rows": rows, "ratios": ratios}


def _beside(n: int, d: int, f: int, repetitions: int) -> list[Row]:
    rows, rng = _updates(n, d), stream(0, "rule")
    view, tensor = _view(rows), torch.from_numpy(rows)
    on_numpy, on_torch = theirs(f), theirs(f)  # two of each: some keep what they returned
    measured = []
    for name, rule in ours(f).items():
        if n > SMALL[0] and name in LISTS_SETS:
            continue
        sides: dict[str, Callable[[], object]] = {"ours": partial(rule, view, rng)}
        if name in on_numpy:
            sides |= {"ByzFL numpy": partial(on_numpy[name], rows), "ByzFL torch": partial(on_torch[name], tensor)}
        measured.append({"rule": name, "n": n, "d": d, **best_seconds(sides, repetitions if name not in LISTS_SETS else 2)})
    return measured


def _memory(n: int, d: int, f: int) -> list[Row]:
    rows, rng, measured = _updates(n, d), stream(0, "rule"), []
    for name, rule in ours(f).items():
        if name in LISTS_SETS:
            continue
        gc.collect()
        with peak_memory() as peak:
            before = peak[0]
            seconds = best_seconds({"ours": partial(rule, _view(rows), rng)}, 1)
        grown = (peak[0] - before) / rows.nbytes
        measured.append({"rule": name, "n": n, "d": d, **seconds, "peak / input": 1 + grown})
    return measured


def _updates(n: int, d: int) -> Updates:
    return stream(0, "updates").standard_normal(size=(n, d), dtype=np.float32)


def _view(rows: Updates) -> View:
    return View(rows, tuple((f"h{i}",) for i in range(len(rows))))


def draw(result: Result, axes: Axes) -> None:
    """How many times as long ByzFL takes, the faster of its two kinds of arrays."""
    largest = max(row["n"] for row in result["rows"] if "ByzFL numpy" in row) if _compared(result) else 0
    chosen = [row for row in _compared(result) if row["n"] == largest]
    gains = [min(row["ByzFL numpy"], row["ByzFL torch"]) / row["ours"] for row in chosen]
    axes.barh([row["rule"] for row in chosen][::-1], gains[::-1], color=BLUE)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times as fast as ByzFL")
    guide(axes, "x")


def _compared(result: Mapping[str, Any]) -> list[Row]:
    return [row for row in result["rows"] if "ByzFL numpy" in row]
