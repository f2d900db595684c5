"""The records that each job trains on in each step, as tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

from clients.batched.dp import Noise
from sim.types import Records

WIDTH = 8  # batches are padded to whole multiples of this many rows
REGISTERS = 64  # values that a processor's vector unit takes at once, or a whole multiple of that

PROCESSOR = torch.device("cpu")

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """One hospital's training in one round.

    ``batches`` (steps, batch): row numbers, padded with -1.
    """

    weights: Weights
    records: Records
    batches: NDArray[np.int64]
    noise: Noise | None = None


def padded(batches: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Batches as one matrix, (steps, at least the largest batch), filled up with -1."""
    largest = max(1, *(len(batch) for batch in batches))
    matrix = np.full((len(batches), -(-largest // WIDTH) * WIDTH), -1, dtype=np.int64)
    for row, batch in zip(matrix, batches, strict=True):
        row[: len(batch)] = batch
    return matrix


@dataclass(frozen=True)
class Schedule:
    """Jobs that train together, in order of falling number of steps, on one device.

    ``pool`` (n_records, n_features + 1): all different records once, and a column of ones;
    ``labels`` (n_records,): their labels. ``rows`` (steps, n_sites * batch): place in the pool of
    each record of a step. ``site`` (n,): number of the records and batches that a job has, None if
    each has its own. ``share`` (steps, n, batch, 1): weight of a record in its step, 0 for padding;
    ``minus``: minus label times share. ``received`` (n_distinct, n_params): the different received
    weights; ``which`` (n,): number of those that a job has.
    """

    jobs: Sequence[Job]
    pool: torch.Tensor
    labels: NDArray[np.float32]
    rows: torch.Tensor
    site: torch.Tensor | None
    share: torch.Tensor
    minus: torch.Tensor
    received: Weights
    which: NDArray[np.int64]

    @classmethod
    def of(cls, jobs: Sequence[Job], device: torch.device) -> Schedule:
        """The schedule of these jobs, of which all have noise, or none has."""
        site, firsts = _same([job.batches for job in jobs], [job.records for job in jobs])
        pool, labels, rows, live = _drawn([jobs[i] for i in firsts])
        if jobs[0].noise is None:
            live /= np.maximum(np.add.reduce(live, 2, keepdims=True), 1)
        both = np.array([live, -labels[rows] * live])[..., None]
        shares = torch.from_numpy(both).to(device)
        sites = torch.from_numpy(np.array(site)).to(device) if len(firsts) < len(jobs) else None
        share, minus = (shares if sites is None else shares.index_select(2, sites)).unbind()
        starts = [job.weights[:1].tobytes() for job in jobs]
        which, owners = _same([job.weights for job in jobs], starts)
        return cls(
            jobs,
            torch.from_numpy(pool).to(device),
            labels,
            torch.from_numpy(rows.reshape(len(rows), -1)).to(device),
            sites,
            share,
            minus,
            np.array([jobs[i].weights for i in owners]),
            np.array(which),
        )

    @property
    def n_left(self) -> list[int]:
        """Number of jobs that make each step: the first so many."""
        steps = np.array([len(job.batches) for job in self.jobs])
        return [int(np.count_nonzero(steps > step)) for step in range(steps.max())]

    def gained(self, trained: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write ``trained`` minus received weights of the last jobs to ``out``, (n, n_params)."""
        received = self.received
        if len(received) > 1:
            received = received[self.which[len(self.jobs) - len(out) :]]
        np.subtract(trained, received, out=out)


def _distinct(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """For each key the number of its kind, in order of appearance, and each kind's first place."""
    kinds: dict[Hashable, int] = {}
    numbers = [kinds.setdefault(key, len(kinds)) for key in keys]
    first = dict(zip(reversed(numbers), range(len(keys) - 1, -1, -1), strict=True))
    return numbers, [first[kind] for kind in range(len(kinds))]


def _same(
    arrays: Sequence[NDArray[np.generic]], groups: Sequence[Hashable]
) -> tuple[list[int], list[int]]:
    """As ``_distinct``, where a kind is one array that several jobs hold.

    An array is looked for within its group: few of a group must be different.
    """
    found = defaultdict[Hashable, list[tuple[NDArray[np.generic], int]]](list)
    numbers: list[int] = []
    first: list[int] = []
    for i, (array, group) in enumerate(zip(arrays, groups, strict=True)):
        for one, number in found[group]:
            if one is array:
                numbers.append(number)
                break
        else:
            found[group].append((array, len(first)))
            numbers.append(len(first))
            first.append(i)
    return numbers, first


def _drawn(
    jobs: Sequence[Job],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """All different records once with a column of ones, their labels, and their place in steps.

    The latter are two arrays (steps, n, batch), by step, job and place in its batch: the number of
    the record, and 1 for a record or 0 for padding.
    """
    kinds, firsts = _distinct([job.records for job in jobs])
    pool, labels, starts = _pooled(tuple(jobs[i].records for i in firsts))
    shapes = [job.batches.shape for job in jobs]
    largest = max(batch for _, batch in shapes)
    rows = np.full((max(shapes)[0], len(jobs), largest), -1, dtype=np.int64)
    for i, (job, (steps, batch)) in enumerate(zip(jobs, shapes, strict=True)):
        rows[:steps, i, :batch] = job.batches
    live = rows >= 0
    rows += starts[kinds][:, None]
    rows *= live
    return pool, labels, rows, live.astype(np.float32)


@lru_cache(maxsize=8)
def _pooled(
    sites: tuple[Records, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Features of all ``sites`` with a column of ones, their labels, and where each site starts."""
    labels = np.concatenate([site.labels for site in sites])
    pool = np.ones((len(labels), sites[0].features.shape[1] + 1), dtype=np.float32)
    np.concatenate([site.features for site in sites], out=pool[:, :-1])
    starts = accumulate((len(site) for site in sites), initial=0)
    return pool, labels, np.array(list(starts))
