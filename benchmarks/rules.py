"""Rules and steps against ByzFL on the same float32 updates, and the memory of all on large ones.

Nothing here writes to its input. ByzFL's clip and ARC do, so they get a copy of it each time, and
the copying counts; their time where the input may be lost is measured beside it.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from matplotlib.axes import Axes
from omegaconf import OmegaConf
from threadpoolctl import threadpool_limits

from aggregators.rules.bulyan import Bulyan
from aggregators.rules.caf import Caf
from aggregators.rules.centered_clipping import CenteredClipping
from aggregators.rules.geometric_median import GeometricMedian
from aggregators.rules.krum import Krum
from aggregators.rules.mda import Mda
from aggregators.rules.meamed import Meamed
from aggregators.rules.mean import Mean
from aggregators.rules.median import Median
from aggregators.rules.monna import Monna
from aggregators.rules.multi_krum import MultiKrum
from aggregators.rules.rfa import Rfa
from aggregators.rules.smea import Smea
from aggregators.rules.trimmed_mean import TrimmedMean
from aggregators.steps.arc import Arc
from aggregators.steps.clip import Clip
from aggregators.steps.nnm import Nnm
from benchmarks.tools import Result, Row, best_seconds, peak_memory
from reports.figures.style import BLUE, guide, logarithmic
from sim.config.build import build
from sim.seeds import stream
from sim.types import Rule, Step, Updates, View

CONF = Path(__file__).parents[1] / "conf"
SMALL = (12, 700, 2)  # rows, parameters, hostile
LARGE = (50, 100_000, 10)
HUGE = ((100, 1_000_000, 20), (20, 10_000_000, 4))
LISTS_SETS = ("mda", "smea")  # of all rows but the hostile, here or in ByzFL: feasible for few rows
OVERWRITES = ("clip", "arc")  # in ByzFL


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
    """ByzFL's forms of these rules and steps; empty where it is not installed."""
    if importlib.util.find_spec("byzfl") is None:
        return {}
    lacking = [name for name in ("torchvision", "seaborn") if name not in sys.modules]
    stubs = {name: mock.MagicMock() for name in lacking}
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
    """Seconds a call beside ByzFL on numpy arrays and torch tensors, and peak memory over input."""
    with threadpool_limits(1):
        rows = [*_beside(*SMALL, 2 if quick else 500), *([] if quick else _beside(*LARGE, 11))]
    rows += [row for size in HUGE for row in ([] if quick else _memory(*size))]
    ratios = {
        f"{row['rule']}, n={row['n']}: ByzFL {kind} / ours": row[f"ByzFL {kind}"] / row["ours"]
        for row in rows
        for kind in ("numpy", "torch")
        if f"ByzFL {kind}" in row
    }
    return {
        "title": "Rules and steps, seconds a call, one thread, float32",
        "rows": rows,
        "ratios": ratios,
    }


def _beside(n: int, d: int, f: int, repetitions: int) -> list[Row]:
    rows = _updates(n, d)
    rng = stream(0, "rule")
    view = _view(rows)
    tensor = torch.from_numpy(rows)
    measured = []
    on_numpy = theirs(f)
    on_torch = theirs(f)  # two of each: some keep what they returned
    for name, rule in ours(f).items():
        if n > SMALL[0] and name in LISTS_SETS:
            continue
        turns = 2 if name in LISTS_SETS else repetitions
        sides: dict[str, Callable[[], object]] = {"ours": partial(rule, view, rng)}
        if name in OVERWRITES and name in on_numpy:
            sides |= _overwriting(on_numpy[name], rows, turns)
        elif name in on_numpy:
            sides |= {
                "ByzFL numpy": partial(on_numpy[name], rows),
                "ByzFL torch": partial(on_torch[name], tensor),
            }
        measured.append({"rule": name, "n": n, "d": d, **best_seconds(sides, turns)})
    return measured


def _overwriting(
    peer: Callable[[Any], object], rows: Updates, turns: int
) -> dict[str, Callable[[], object]]:
    numpys = iter([rows.copy() for _ in range(turns)])
    torches = iter([torch.from_numpy(rows.copy()) for _ in range(turns)])
    return {
        "ByzFL numpy": lambda: peer(rows.copy()),
        "ByzFL torch": lambda: peer(torch.from_numpy(rows).clone()),
        "overwriting numpy": lambda: peer(next(numpys)),
        "overwriting torch": lambda: peer(next(torches)),
    }


def everything(f: int) -> dict[str, Rule | Step]:
    """Every rule and step in ``conf``, by name."""
    made: dict[str, Rule | Step] = {}
    for path in chain(*((CONF / group).glob("*.yaml") for group in ("aggregator", "steps"))):
        whole: Any = OmegaConf.create({"adversary": {"n_hostile": f}, "node": OmegaConf.load(path)})
        if "root" in whole.node:
            whole.node.root = "h0"
        if whole.node:
            node: Any = OmegaConf.to_container(whole.node, resolve=True)
            made[path.stem] = cast(Rule | Step, build(path.parent.name, node))
    return made


def _memory(n: int, d: int, f: int) -> list[Row]:
    """Rows on time and memory of two rounds: some plug-ins remember rows of the first."""
    rows = _updates(n, d)
    rng = stream(0, "rule")
    measured = []
    for name, plugin in sorted(everything(f).items()):
        if n > HUGE[1][0] and name in LISTS_SETS:
            continue
        gc.collect()
        with peak_memory() as peak:
            before = peak[0]
            view = replace(_view(rows), model=np.zeros(d, np.float32))
            seconds = best_seconds({"ours": partial(plugin, view, rng)}, 2)
        ratio = 1 + (peak[0] - before) / rows.nbytes
        measured.append({"rule": name, "n": n, "d": d, **seconds, "peak / input": ratio})
        del view
    return measured


def _updates(n: int, d: int) -> Updates:
    return stream(0, "updates").standard_normal(size=(n, d), dtype=np.float32)


def _view(rows: Updates) -> View:
    return View(rows, tuple((f"h{i}",) for i in range(len(rows))))


def draw(result: Result, axes: Axes) -> None:
    """How many times as long ByzFL takes, the faster of its two kinds of arrays."""
    compared = _compared(result)
    largest = max((row["n"] for row in compared), default=0)
    chosen = [row for row in compared if row["n"] == largest]
    gains = [min(row["ByzFL numpy"], row["ByzFL torch"]) / row["ours"] for row in chosen]
    axes.barh([row["rule"] for row in chosen][::-1], gains[::-1], color=BLUE)
    axes.axvline(1, color="black", linewidth=0.8)
    logarithmic(axes, "x")
    axes.set_xlabel("times as fast as ByzFL")
    guide(axes, "x")


def _compared(result: Mapping[str, Any]) -> list[Row]:
    return [row for row in result["rows"] if "ByzFL numpy" in row]
