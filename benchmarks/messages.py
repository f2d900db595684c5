"""The cost of one client message beside the training: asked, delivered, answered, screened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message
from matplotlib.axes import Axes

from benchmarks.tools import Result, best_seconds
from reports.figures.style import BLUE, guide, logarithmic
from sim.federation import wire
from sim.federation.engines.local import LocalGrid
from sim.seeds import stream


def measure(quick: bool) -> Result:
    """Milliseconds a message by number of parameters, here and with arrays serialized by Flower."""
    n, repetitions = (20, 1) if quick else (400, 7)
    rows = []
    for n_params in (1_000, 10_000) if quick else (1_000, 10_000, 100_000):
        update = stream(0, "benchmark").normal(size=n_params).astype(np.float32)
        sides = {
            "shared": partial(_round, update, n),
            "serialized": partial(_serialized, update, n),
        }
        seconds = best_seconds(sides, repetitions)
        rows += [
            {"parameters": n_params, "side": side, "ms a message": 1e3 * seconds[side] / n}
            for side in sides
        ]
    chosen = next(row for row in rows if row["parameters"] == 10_000)
    ratios = {"ms a message at 10,000 parameters": chosen["ms a message"]}
    return {"title": f"{n} messages and their replies", "rows": rows, "ratios": ratios}


def _round(update: np.ndarray, n: int) -> None:
    """One round in which hospitals answer with ``update`` at once."""

    def together(messages: Sequence[Message], _: Sequence[Context]) -> list[Message]:
        return [wire.answer(update, 50, {}, message) for message in messages]

    grid = LocalGrid({}, {node: node for node in range(1, n + 1)}, together)
    asked = wire.ask(1, update, wire.settings("0" * 64), range(1, n + 1))
    for reply in grid.send_and_receive(asked):
        wire.read_report(reply, len(update), 100)


def _serialized(update: np.ndarray, n: int) -> None:
    """Only the arrays of as many messages, each way through bytes: weights out, update back."""
    for _ in range(2 * n):
        record = ArrayRecord()
        record[wire.UPDATE] = Array(update)
        record[wire.UPDATE].numpy()


def draw(result: Result, axes: Axes) -> None:
    """One bar for each size and side."""
    labels = [f"{row['parameters']:,}, {row['side']}" for row in result["rows"]]
    axes.barh(labels[::-1], [row["ms a message"] for row in result["rows"]][::-1], color=BLUE)
    axes.axvline(0.05, color="black", linewidth=0.8)
    logarithmic(axes, "x")
    axes.set_xlabel("ms a message (line: 0.05)")
    guide(axes, "x")
