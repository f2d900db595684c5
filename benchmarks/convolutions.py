"""Batched training of convolutional networks against the convolutions that it cannot do without."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from torch.nn.functional import conv2d

from benchmarks.limit import ROWS, STEPS, jobs
from benchmarks.tools import Result
from clients import batched
from clients.batched.general import Batch, gradients
from reports.figures.style import COLORS, guide
from sim.models.cnn import Convolutional
from sim.seeds import stream

CNN = Convolutional((1, 8, 8), channels=(8, 16), strides=(1, 2), kernel=3, activation="relu")
SIZES = (72, 36, 12)  # models together; more are trained in parts of about 72


def measure(quick: bool) -> Result:
    """Processor seconds of ``STEPS`` steps of a CNN on digits, for 12 to 72 models.

    ``training``: a whole round, with what prepares its batches and hands its updates on;
    ``gradients``: those of its steps alone.
    """
    rows = []
    for n in SIZES[-1:] if quick else SIZES:
        made = jobs(CNN, 64, n)
        sides: dict[str, Callable[[], object]] = {
            "training": partial(batched.updates, CNN, made, batched.Optimizer("sgd", 0.1)),
            "gradients": _gradients(n),
            "convolutions": partial(convolve, n),
        }
        for side in sides.values():
            side()
        seconds = _least(sides, 1 if quick else 40)
        alone = seconds["convolutions"]
        ratios = {f"{side} ratio": seconds[side] / alone for side in ("training", "gradients")}
        rows.append({"models": n, **seconds, **ratios})
    return {
        "title": "Batched training / its convolutions alone, processor time",
        "rows": rows,
        "ratios": {
            f"{side}, worst ratio": max(row[f"{side} ratio"] for row in rows)
            for side in ("training", "gradients")
        },
    }


def _gradients(n: int) -> Callable[[], None]:
    """The gradients of ``STEPS`` steps of ``n`` models."""
    weights = torch.from_numpy(np.stack([CNN.initialize(stream(0, "cnn"))] * n))
    share = torch.full((n, ROWS), 1 / ROWS)
    batch = Batch(torch.full((n, ROWS, 64), 0.5), torch.ones(n, ROWS), share)

    def compute() -> None:
        for _ in range(STEPS):
            gradients(CNN, weights, batch)

    return compute


def convolve(n: int) -> None:
    """Forward, backward and weight gradient of each convolution of ``CNN``, one group a model."""
    backward = torch.ops.aten.convolution_backward
    n_first, n_second = CNN.channels
    images = torch.full((ROWS, n, 8, 8), 0.5)
    first = torch.full((n * n_first, 1, 3, 3), 0.5)
    second = torch.full((n * n_second, n_first, 3, 3), 0.5)
    form = ([1, 1], [1, 1], False, [0, 0], n)
    for _ in range(STEPS):
        hidden = conv2d(images, first, stride=1, padding=1, groups=n)
        out = conv2d(hidden, second, stride=2, padding=1, groups=n)
        backward(out, hidden, second, None, [2, 2], *form, [True, True, False])
        backward(hidden, images, first, None, [1, 1], *form, [False, True, False])


def _least(sides: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Least processor seconds that each side took; the sides take turns."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(repetitions):
        for name, side in sides.items():
            start = time.process_time()
            side()
            best[name] = min(best[name], time.process_time() - start)
    return best


def draw(result: Result, axes: Axes) -> None:
    """The ratio by number of models."""
    sizes = [row["models"] for row in result["rows"]]
    for side, color in zip(("training", "gradients"), COLORS, strict=False):
        ratios = [row[f"{side} ratio"] for row in result["rows"]]
        axes.plot(sizes, ratios, "o-", color=color, label=side)
    axes.legend()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("models trained together")
    axes.set_ylabel("times its convolutions alone")
    guide(axes)
