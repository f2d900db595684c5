"""The replies that may be missing in a round, beside the hostile hospitals, in words."""

from __future__ import annotations

from sim.study import unmasking
from sim.study.experiment import Experiment


def may_be_missing(experiment: Experiment) -> str:
    """The number of replies that may be missing in a round, and who can stop rounds, in words."""
    n_hospitals = len(experiment.consortium)
    needed = experiment.plan.quorum.needed
    spare = min(n_hospitals - needed, unmasking.spare(experiment))
    chain = experiment.plan.chain
    given = chain.withstands
    hostile = experiment.attack_plan.hostile
    too_few = f"with fewer than {needed} usable replies" if needed > 1 else "without a usable reply"
    texts = [
        f"{spare} of {n_hospitals} may be missing in a round{_beside(experiment, given)}",
        f"{too_few} the round is skipped",
    ]
    root = getattr(chain.rule, "root", None)
    if root is not None:
        texts.append(f"without the reply of {root} the round is skipped")
    weighting = getattr(chain.rule, "weighting", "uniform")
    if given and weighting != "uniform":
        weighed = "record counts" if weighting == "count" else "groups"
        texts.append(f"so it is where the {given} largest {weighed} that came make half of all")
    if len(hostile) > spare:
        able = f"{spare + 1} of the {len(hostile)} hostile hospitals"
        texts.append(f"{able} can stop every round by sending nothing")
    elif root in hostile:
        seed = experiment.settings.seed
        texts.append(f"{root}, hostile with seed {seed}, can stop every round by sending nothing")
    return "; ".join(texts)


def _beside(experiment: Experiment, given: int | None) -> str:
    """The hostile hospitals that the rule withstands while replies are missing, in words."""
    if given is None:
        unchecked = "how many of the others may be hostile is not checked"
        return f" (steps and rule are not given the number of hostile hospitals: {unchecked})"
    if experiment.plan.server.absent == "keep":
        return f" beside {given} hostile hospital{'' if given == 1 else 's'}"
    return f", each of which lowers the number of hostile hospitals withstood, {given}, by one"
