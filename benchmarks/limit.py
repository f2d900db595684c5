"""Batched training of fully connected layers against the products that it cannot do without."""

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
from reports.figures.style import COLORS, guide, logarithmic
from sim.models.mlp import FullyConnected
from sim.models.network import Network
from sim.seeds import stream
from sim.types import Records

ROWS = 16
STEPS = 4
MODELS = {  # on heart12
    "mlp": FullyConnected((35, 64, 32, 1)),
    "logistic": FullyConnected((35, 1)),
}


def measure(quick: bool) -> Result:
    """Seconds of a round of ``STEPS`` steps for 12 to 2400 models."""
    rows = []
    for model, network in MODELS.items():
        n_features = network.widths[0]
        for n in (24, 12) if quick else (2400, 1200, 300, 60, 12):
            made = jobs(network, n_features, n)
            sides: dict[str, Callable[[], object]] = {
                "training": partial(batched.updates, network, made, batched.Optimizer("sgd", 0.1)),
                "products": _work_alone(network, n),
            }
            for side in sides.values():
                side()
            seconds = best_seconds(sides, 1 if quick else max(20, 6000 // n))
            ratio = seconds["training"] / seconds["products"]
            rows.append({"model": model, "models": n, **seconds, "ratio": ratio})
    worst = {
        f"{model}, worst ratio": max(row["ratio"] for row in rows if row["model"] == model)
        for model in MODELS
    }
    return {
        "title": "Batched training / its products alone",
        "rows": rows,
        "ratios": worst,
    }


def jobs(network: Network, n_features: int, n: int) -> list[batched.Job]:
    """As many jobs, 12 hospitals among them, as the runs of a comparison have."""
    rng = stream(0, "benchmark")
    n_rows = ROWS * STEPS
    drawn = [rng.normal(size=(n_rows, n_features)).astype(np.float32) for _ in range(12)]
    sites = [Records(features, np.ones(n_rows, np.float32)) for features in drawn]
    order = rng.permutation(n_rows).reshape(STEPS, ROWS)
    weights = [network.initialize(rng) for _ in range(0, n, 12)]
    return [batched.Job(weights[i // 12], sites[i % 12], order) for i in range(n)]


def _work_alone(network: FullyConnected, n: int) -> Callable[[], None]:
    """The products alone of ``STEPS`` steps, in chunks of batched training."""
    size = min(n, chunk(network, network.widths[0], ROWS, private=False))
    return _products(network.widths, [min(size, n - at) for at in range(0, n, size)])


def _products(widths: tuple[int, ...], chunks: Sequence[int]) -> Callable[[], None]:
    """Forward, backward and weight gradient of each layer."""
    largest = [_operands(pair, max(chunks)) for pair in pairwise(widths)]

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
    inputs = (ROWS, fan_in)
    outputs = (ROWS, fan_out)
    layer = (fan_in, fan_out)
    shapes = (inputs, layer, outputs, outputs, inputs, layer)
    return [torch.full((n, *shape), 0.5) for shape in shapes]


def draw(result: Result, axes: Axes) -> None:
    """The ratio by number of models."""
    for model, color in zip(MODELS, COLORS, strict=False):
        chosen = [row for row in result["rows"] if row["model"] == model]
        sizes, ratios = ([row[key] for row in chosen] for key in ("models", "ratio"))
        axes.plot(sizes, ratios, "o-", color=color, label=model)
    logarithmic(axes, "x")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("models trained together")
    axes.set_ylabel("times its products alone")
    axes.legend()
    guide(axes)
