"""The costs of runs: processor seconds and bytes of memory, before any of them is run."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from statistics import median

from sim.devices import one_thread
from sim.seeds import stream
from sim.study import searching, unmasking
from sim.study.experiment import Experiment
from sim.study.sharing import grouped, run_bytes

PRIVATE = 2.5  # a DP-SGD step of Opacus takes about this many times a plain step of these models
STEPS_TIMED = 30  # training steps whose time is taken
LONGEST_TIMED = 1.0  # seconds, after which no further step is timed
NEIGHBOR = 1.6e-4  # seconds that a hospital has with each neighbor in a round of SecAgg+
MESSAGE = 4e-4  # seconds around the training of a hospital in a round: message, batches, screening


def seconds(experiments: Sequence[Experiment]) -> float:
    """Rough processor seconds for all runs, from the time of a training step of this model here.

    What attacks compute beside training is counted by themselves, and timed for one seed.
    """
    step = _step_seconds(experiments[0])
    total = 0.0
    searched = dict[tuple[str, str, int], float]()  # by attack, defense and hostile hospitals
    for experiment in experiments:
        if searching.searches(experiment):
            n_hostile = experiment.settings.adversary.n_hostile
            key = (experiment.attack, experiment.label, n_hostile)
            if key not in searched:
                searched[key] = searching.seconds(experiment)
            total += searched[key]
        training = experiment.settings.training
        around = MESSAGE + NEIGHBOR * unmasking.n_neighbors(experiment)
        for hospital in experiment.consortium.hospitals:
            cost = step * (PRIVATE if experiment.plan.dp is not None else 1)
            total += training.rounds * (around + training.steps(len(hospital.train)) * cost)
    return total


def needed_bytes(experiments: Sequence[Experiment], workers: int) -> int:
    """The most memory that all processes together hold, in bytes.

    Each holds what this one holds now, and a round of its runs.
    """
    return workers * (resident_bytes() + group_bytes(experiments, workers))


def group_bytes(experiments: Sequence[Experiment], workers: int) -> int:
    """The memory of a round for the largest group of runs that advance together, in bytes."""
    return max(
        sum(run_bytes(experiment) for experiment in group)
        for group in grouped(experiments, workers)
    )


def resident_bytes() -> int:
    """The most memory that this process has held so far, in bytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes


@one_thread()
def _step_seconds(experiment: Experiment) -> float:
    import torch

    from sim.models.store import load

    network = experiment.plan.network
    module = network.module()
    load(module, network.initialize(stream(0, "explain")))
    weights = list(module.parameters())
    rows = min(
        experiment.settings.training.batch_size,
        max(len(hospital.train) for hospital in experiment.consortium.hospitals),
    )
    features = torch.zeros(rows, experiment.consortium.schema.n_features)
    labels = torch.zeros(rows)
    seconds = list[float]()
    while len(seconds) < STEPS_TIMED and sum(seconds) < LONGEST_TIMED:
        start = time.process_time()
        gradients = torch.autograd.grad(network.loss(module(features)[:, 0], labels), weights)
        with torch.no_grad():  # as torch.optim.SGD, which takes seconds to load
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(gradient, alpha=0.01)
        seconds.append(time.process_time() - start)
    return median(seconds)
