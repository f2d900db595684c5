"""Batched training against the bare matrix products that it cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from matplotlib.axes import Axes

from benchmarks.tools import Result, best_seconds
from clients import batched
from clients.batched.engine import chunk
from reports.style import COLORS, guide
from sim.models.mlp import FullyConnected
from sim.seeds import stream
from sim.types import Records

ROWS, STEPS, FEATURES = 16, 4, 35  # as heart12 has them
MODELS = {"mlp": (FEATURES, 64, 32, 1), "logistic": (FEATURES, 1)}


def measure(quick: bool) -> Result:
    """Seconds of a round of ``STEPS`` steps for 12 to 2400 models."""
    rows = []
    for model, widths in MODELS.items():
        for n in (24, 12) if quick else (2400, 1200, 300, 60, 12):
            jobs = _jobs(widths, n)
            sides: dict[str, Callable[[], object]] = {
                "training": partial(batched.updates, FullyConnected(widths), jobs, batched.Optimizer("sgd", 0.1)),
                "products": _products(widths, n),
            }
            for side in sides.values():
                side()
            seconds = best_seconds(sides, 1 if quick else max(20, 6000 // n))
            rows.append({"model": model, "models": n, **seconds, "ratio": seconds["training"] / seconds["products"]})
    worst = {f"{model}, worst ratio": max(row["ratio"] for row in rows if row["model"] == model) for model in MODELS}
    return {"title": "Batched training / bare matrix products", "rows": rows, "ratios": worst}


def _jobs(widths: tuple[int, ...], n: int) -> list[batched.Job]:
    """As many jobs, 12 hospitals among them, as the runs of a comparison have."""
    rng, n_rows = stream(0, "benchmark"), ROWS * STEPS
    drawn = [rng.normal(size=(n_rows, FEATURES)).astype(np.float32) for _ in range(12)]
    sites = [Records(features, np.ones(n_rows, np.float32)) for features in drawn]
    order = rng.permutation(n_rows).reshape(STEPS, ROWS)
    weights = [FullyConnected(widths).initialize(rng) for _ in range(0, n, 12)]
    return [batched.Job(weights[i // 12], sites[i % 12], order) for i in range(n)]


def _products(widths: tuple[int, ...], n: int) -> Callable[[], None]:
    """Forward, backward and weight gradient of each layer, in the chunks in which batched training makes them."""
    size = min(n, chunk(FullyConnected(widths), FEATURES, ROWS, private=False))
    chunks = [min(size, n - at) for at in range(0, n, size)]
    largest = [_operands(pair, size) for pair in pairwise(widths)]

    def multiply() -> None:
        for m in chunks:
            for _ in range(STEPS):
                for k, (act, layer, error, out, back, gradient) in enumerate(largest):
                    torch.bmm(act[:m], layer[:m], out=out[:m])
                    torch.bmm(act[:m].transpose(1, 2), error[:m], out=gradient[:m])
                    if k:
                        torch.bmm(error[:m], layer[:m].transpose(1, 2), out=back[:m])

    return multiply


def _operands(pair: tuple[int, int], n: int) -> Sequence[torch.Tensor]:
    fan_in, fan_out = pair
    shapes = [(ROWS, fan_in), (fan_in, fan_out), (ROWS, fan_out), (ROWS, fan_out), (ROWS, fan_in), (fan_in, fan_out)]
    return [torch.full((n, *shape), 0.5) for shape in shapes]


def draw(result: Result, axes: Axes) -> None:
    """The ratio by number of models."""
    for model, color in zip(MODELS, COLORS, strict=False):
        chosen = [row for row in result["rows"] if row["model"] == model]
        axes.plot([row["models"] for row in chosen], [row["ratio"] for row in chosen], "o-", color=color, label=model)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("models trained together")
    axes.set_ylabel("times the products")
    axes.legend()
    guide(axes)
