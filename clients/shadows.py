"""Federations of an attacker's own making, trained by the agreed plan: many in lockstep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from clients import batched
from clients.lengths import shortened
from sim.design import batches
from sim.design.plan import FederationPlan
from sim.errors import RefusedError
from sim.federation import wire
from sim.federation.protocols.plain import expected
from sim.federation.rounds import Weights
from sim.types import Batch, Records


def trained(
    plan: FederationPlan,
    records: Records,
    hospitals: Sequence[str],
    used: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Weights:
    """The final models (n_models, n_params) of one federation for each row of ``used``.

    ``hospitals``: of each of n records, where it lies. ``used`` (n_models, n): the records on which
    the hospitals of a federation train. Each starts from first weights of its own; all rounds are
    as the plan has them, and nobody is hostile. Private training takes the noise, rate and steps
    for the mean number of a hospital's records, for all federations. A hospital without records
    does not reply, and a round that steps or rule refuse changes nothing.
    """
    names = np.array(hospitals)
    federations = [
        _Federation(
            plan,
            {
                name: at
                for name in plan.hospitals
                if len(at := np.flatnonzero(chosen & (names == name)))
            },
            plan.network.initialize(rng).astype(np.float32),
        )
        for chosen in used
    ]
    means = {
        name: round(float(used[:, names == name].sum(axis=1).mean())) for name in plan.hospitals
    }
    training = plan.training
    optimizer = batched.Optimizer(training.optimizer, training.lr, training.proximal)
    for number in range(1, training.rounds + 1):
        jobs = [
            _job(plan, one.model, records, at, means[name], rng)
            for one in federations
            for name, at in one.rows.items()
        ]
        updates = iter(batched.updates(plan.network, jobs, optimizer) if jobs else [])
        for one in federations:
            one.advance(number, {name: next(updates) for name in one.rows}, rng)
    return np.array([one.model for one in federations])


@dataclass
class _Federation:
    """One federation: the rows of the records of each hospital that has any, and its model."""

    plan: FederationPlan
    rows: dict[str, Batch]
    model: Weights
    states: tuple[object, ...] = ()

    def advance(self, number: int, updates: dict[str, Weights], rng: np.random.Generator) -> None:
        """Take the model to the end of a round in which hospitals trained these ``updates``."""
        plan = self.plan
        longest = plan.training.max_norm
        reports = {
            name: wire.Report(
                update if longest is None else shortened(update, longest),
                plan.counted(len(self.rows[name])),
                {},
            )
            for name, update in updates.items()
        }
        if not reports:
            return
        try:
            view = replace(expected(plan, number, reports), model=self.model)
            made = plan.quorum.chain_for(len(reports)).run(view, rng, self.states)
        except RefusedError:
            return
        with np.errstate(over="ignore"):
            after = (self.model + made.move).astype(np.float32)
        if np.isfinite(after).all():
            self.model = after
            self.states = made.states


def updates(
    plan: FederationPlan,
    weights: Weights,
    records: Records,
    drawn: Sequence[NDArray[np.int64]],
    rng: np.random.Generator,
) -> Weights:
    """The updates (n, n_params) of one hospital for each array of rows, in one round."""
    training = plan.training
    optimizer = batched.Optimizer(training.optimizer, training.lr, training.proximal)
    jobs = [_job(plan, weights, records, at, len(at), rng) for at in drawn]
    made = batched.updates(plan.network, jobs, optimizer) if jobs else []
    longest = training.max_norm
    return np.array([one if longest is None else shortened(one, longest) for one in made])


def _job(
    plan: FederationPlan,
    model: Weights,
    records: Records,
    at: Batch,
    mean: int,
    rng: np.random.Generator,
) -> batched.Job:
    """The training of one hospital in one round on the records in these rows.

    ``mean``: how many records it has in a federation, on average.
    """
    training = plan.training
    if plan.hardening is not None and len(at):
        records = plan.hardened(model, records.take(at), rng)
        at = np.arange(len(at))
    if plan.dp is None:
        chosen = list[Batch]()
        while len(chosen) < training.steps(len(at)):
            order = rng.permutation(at)
            size = training.batch_size
            chosen += [order[start : start + size] for start in range(0, len(order), size)]
        return batched.Job(model, records, batched.padded(chosen[: training.steps(len(at))]))
    counted = plan.dp.counted(max(1, mean))
    rate = batches.sample_rate(counted, training)
    drawn = rng.random((training.steps(counted), len(at))) < rate
    noise = batched.Noise(
        plan.dp.max_grad_norm,
        plan.dp.noise(counted, training),
        rate * counted,
        partial(np.random.default_rng, int(rng.integers(2**63))),
    )
    return batched.Job(model, records, batched.padded([at[row] for row in drawn]), noise)
