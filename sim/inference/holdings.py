"""The holdings of each party after a run: no more reaches an inference attack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.design.plan import FederationPlan
from sim.federation.rounds import Weights
from sim.inference.agreed import Agreed
from sim.types import Holdings, Party, Records, SeenRound, View


def holdings(
    plan: FederationPlan,
    party: Party,
    watched: Sequence[SeenRound],
    final: Weights,
    own: tuple[str, Records] | None = None,
) -> Holdings:
    """The holdings of ``party`` in a run whose last model is ``final`` (n_params,).

    ``watched``: rounds as the aggregator has seen them, with the rows of its view. A hospital has
    the common model before and after each of them, and so the step of the model in place of rows;
    others have none of it. ``own``: name and records of the hospital that attacks, if one does.
    """
    agreed = Agreed(plan)
    rounds = tuple(watched)
    if party == "hospital":
        rounds = tuple(_stepped(plan, one) for one in watched)
    elif party != "aggregator":
        rounds = ()
    return Holdings(
        party=party,
        schema=plan.columns,
        layout=plan.network.layout,
        model=agreed,
        outputs=lambda features: agreed.logits(final[None], features)[0],
        final=None if party == "outsider_api" else final,
        rounds=rounds,
        own=own if party == "hospital" else None,
    )


def _stepped(plan: FederationPlan, seen: SeenRound) -> SeenRound:
    """A round as a hospital sees it: one row for all, the step of the common model."""
    step = np.asarray(seen.after - seen.before)[None]
    view = None if not step.any() else View(step, (plan.hospitals,), model=seen.before)
    return SeenRound(seen.number, seen.before, seen.after, view)
