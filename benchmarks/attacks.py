"""The cost of one call of every attack on updates, in means of the same updates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import yaml
from matplotlib.axes import Axes

from attacks._shared.history import Received
from benchmarks.tools import Result, Row, best_seconds
from reports.figures.style import BLUE, SOFT, guide
from sim.config.build import build
from sim.config.choices import options
from sim.plugins import CONF
from sim.seeds import stream
from sim.states import advanced
from sim.types import LEVELS, Byzantine, Knowledge, Updates, Vector

LARGE = (100, 25, 1_000_000)  # hospitals, hostile, parameters
SMALL = (12, 3, 700)  # the same, of a small network
LIMIT = 10.0  # means that a call may take of an attack that does not search


def attacks() -> dict[str, Byzantine]:
    """Every attack on updates by name, with the values of its configuration."""
    nodes = {
        name: yaml.safe_load((CONF / "attack" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in options("attack")
    }
    return {
        name: cast(Byzantine, build("attack", node))
        for name, node in nodes.items()
        if node.get("_target_", "").startswith("attacks.byzantine.")
    }


def searches(attack: Byzantine) -> bool:
    """Whether it tries out the aggregation again and again."""
    return attack.about.needs == "updates_and_rule"


def measure(quick: bool) -> Result:
    """Seconds a call and over one mean of all updates in the same turns.

    Where an attack has a memory, its second look at a round is measured.
    """
    rows = _rows(*SMALL, 3 if quick else 2000)
    rows += [] if quick else _rows(*LARGE, 5)
    ratios = {
        f"{row['attack']}, n={row['n']}, d={row['d']}: call / mean": row["call / mean"]
        for row in rows
    }
    return {
        "title": "Attacks: one call over one mean of the updates",
        "rows": rows,
        "ratios": ratios,
    }


def _rows(n: int, f: int, d: int, repetitions: int) -> list[Row]:
    updates = stream(0, "updates").standard_normal(size=(n, d), dtype=np.float32)
    measured: list[Row] = []
    for name, attack in attacks().items():
        if searches(attack) and d == LARGE[2]:
            continue  # such an attack costs what the defense costs, evals times
        sides: dict[str, Callable[[], object]] = {
            "mean": partial(updates.mean, axis=0),
            "attack": _call(attack, updates, f),
        }
        best = best_seconds(sides, repetitions)
        row: dict[str, Any] = {
            "attack": name,
            "searches": searches(attack),
            "n": n,
            "d": d,
            "seconds": best["attack"],
        }
        measured.append({**row, "call / mean": best["attack"] / best["mean"]})
    return measured


def _call(attack: Byzantine, updates: Updates, f: int) -> Callable[[], object]:
    """One call with the most knowledge that the attack can use.

    Of earlier rounds it knows the model at most.
    """
    level = LEVELS.index(attack.about.uses)
    others = updates[f:]
    remembers = getattr(attack, "state", None) is Received
    before = Received(np.zeros(updates.shape[1])) if remembers else None

    def preview(sent: Updates) -> Vector:
        return np.asarray(np.vstack([sent, others]).mean(axis=0))

    def call() -> object:
        known = Knowledge(
            own=updates[:f] if level else updates[:1],
            n_hospitals=len(updates),
            n_hostile=f,
            others=others if level >= LEVELS.index("updates") else None,
            defense=preview if level >= LEVELS.index("updates_and_rule") else None,
            model=updates[0],
        )
        n_calls = 1 if level else f
        return [advanced(attack, known, before, stream(0, "attack")) for _ in range(n_calls)]

    return call


def draw(result: Result, axes: Axes) -> None:
    """Means that a call takes, on the largest updates, with a line at 10; searches are gray."""
    largest = max(row["d"] for row in result["rows"])
    rows = [row for row in result["rows"] if row["d"] == largest]
    chosen = sorted(rows, key=lambda row: -row["call / mean"])
    names = [row["attack"] for row in chosen]
    costs = [row["call / mean"] for row in chosen]
    axes.barh(names, costs, color=[SOFT if row["searches"] else BLUE for row in chosen])
    axes.axvline(LIMIT, color="black", linewidth=0.8)
    axes.tick_params(axis="y", labelsize=6.5)
    axes.set_xlabel(f"means ({chosen[0]['n']} updates of {largest:,} parameters)")
    guide(axes, "x")
