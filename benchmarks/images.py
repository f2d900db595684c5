"""What two attacks read of images, under none and under several protections of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from benchmarks.tools import Result, Row, experiments
from reports.figures.style import BLUE, SOFT, guide
from sim.study.run import run

DIRECTION: Final = "inverting_gradients"
IMPRINT: Final = "imprint"
SHARED: Final = (
    "consortium=ihc4",
    "training.optimizer=sgd",
    "training.rounds=1",
    "training.local_steps=1",
    "adversary.n_hostile=0",
)
FINE: Final = ("secagg.bits=24", "secagg.clip=0.25")  # steps that hide nothing by themselves
ONE: Final = "training.batch_size=1"
PRIVATE: Final = ("dp=record", "dp.target_epsilon=null", "dp.max_grad_norm=1")

# attack, protection -> words of the run
CELLS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (DIRECTION, "none: one image in one step"): (ONE,),
    (DIRECTION, "updates clipped to 0.01"): (ONE, "training.max_norm=0.01"),
    (DIRECTION, "2 images in a batch"): ("training.batch_size=2",),
    (DIRECTION, "4 images in a batch"): ("training.batch_size=4",),
    (DIRECTION, "2 steps, an image each"): (ONE, "training.local_steps=2"),
    (DIRECTION, "4 steps, an image each"): (ONE, "training.local_steps=4"),
    (DIRECTION, "sums of 2 hospitals"): (ONE, "secagg=groups", "secagg.size=2", *FINE),
    (DIRECTION, "sum of 4 hospitals"): (ONE, "secagg=sum", *FINE),
    (DIRECTION, "record-level DP, noise 0.0001"): (ONE, *PRIVATE, "dp.noise_multiplier=0.0001"),
    (DIRECTION, "record-level DP, noise 0.001"): (ONE, *PRIVATE, "dp.noise_multiplier=0.001"),
    (DIRECTION, "record-level DP, noise 0.01"): (ONE, *PRIVATE, "dp.noise_multiplier=0.01"),
    (DIRECTION, "record-level DP, noise 1"): (ONE, *PRIVATE, "dp.noise_multiplier=1"),
    (IMPRINT, "none: 16 images in a batch"): ("training.batch_size=16",),
    (IMPRINT, "sum of 4 hospitals, 4 images each"): ("training.batch_size=4", "secagg=sum", *FINE),
    (IMPRINT, "record-level DP, noise 0.01"): (
        "training.batch_size=16",
        *PRIVATE,
        "dp.noise_multiplier=0.01",
    ),
    (IMPRINT, "hospitals look for it"): ("training.batch_size=16", "policy.no_imprint=true"),
}
QUICK: Final = ((DIRECTION, "none: one image in one step"), (IMPRINT, "hospitals look for it"))
OF: Final = {
    DIRECTION: ("model=lenet", f"attack.{DIRECTION}.restarts=1"),
    IMPRINT: ("model=mlp", "model.hidden=[256]"),
}


def measure(quick: bool) -> Result:
    """The images that each attack recovers and how near it comes, protection by protection."""
    n_iterations = 5 if quick else 600
    rows = [
        _row(*cell, CELLS[cell], 1 if quick else 2, n_iterations)
        for cell in (QUICK if quick else CELLS)
    ]
    ratios = {f"{row['attack']}, {row['protection']}: recovered": row["recovered"] for row in rows}
    return {"title": "Images: what is read under which protection", "rows": rows, "ratios": ratios}


def _row(
    attack: str, protection: str, words: Sequence[str], n_seeds: int, n_iterations: int
) -> Row:
    chosen = [*SHARED, *OF[attack], *words]
    if attack == DIRECTION:
        chosen.append(f"attack.{DIRECTION}.iterations={n_iterations}")
    found = [run(one) for one in experiments(chosen, [attack], n_seeds) if one.attack == attack]
    scores = [one.inversion.images for one in found if one.inversion is not None]
    images = [one for one in scores if one is not None]
    return {
        "attack": attack,
        "protection": protection,
        "images": sum(one.n_attacked for one in found),
        "recovered": sum(one.n_recovered for one in found),
        "dB": _mean(one.guess.psnr for one in images),
        "dB, shuffled": _mean(one.shuffled.psnr for one in images),
        "dB, mean color": _mean(one.mean_color.psnr for one in images),
        "SSIM": _mean(one.guess.ssim for one in images),
    }


def _mean(of: Iterable[Sequence[float]]) -> float | None:
    """The mean over all images of several runs; None where there is no image."""
    values = [value for one in of for value in one]
    return float(np.mean(values)) if values else None


def draw(result: Result, axes: Axes) -> None:
    """The PSNR of what is guessed, beside that of each image's mean color."""
    rows = [row for row in result["rows"] if row["dB"] is not None][::-1]
    names = [f"{row['attack']}: {row['protection']}" for row in rows]
    axes.barh(names, [row["dB"] for row in rows], color=BLUE)
    axes.plot([row["dB, mean color"] for row in rows], names, "o", color=SOFT)
    axes.set_xlabel("PSNR in dB; points: the mean color")
    axes.tick_params(axis="y", labelsize=5)
    guide(axes, "x")
