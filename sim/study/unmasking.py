"""Sentences on what a secure aggregation in messages withstands and exchanges."""

from __future__ import annotations

from sim.federation.protocols.secagg import chances
from sim.federation.protocols.secagg.terms import Parameters
from sim.study.experiment import Experiment


def parameters(experiment: Experiment) -> Parameters | None:
    """The parameters of the protocol of a design; None where it is not SecAgg+."""
    found = getattr(experiment.plan.secagg, "parameters", None)
    return found if isinstance(found, Parameters) else None


def n_neighbors(experiment: Experiment) -> int:
    """With how many others a hospital shares masks; 0 where the protocol is not SecAgg+."""
    found = parameters(experiment)
    return 0 if found is None else found.circle(len(experiment.consortium)) - 1


def spare(experiment: Experiment) -> int:
    """The number of hospitals, whichever they are, that may vanish in a round that is unmasked."""
    n_hospitals = len(experiment.consortium)
    found = parameters(experiment)
    if found is None:
        return n_hospitals
    return found.circle(n_hospitals) - found.threshold_of(n_hospitals)


def sentences(experiment: Experiment) -> list[str]:
    """Sentences on what SecAgg+ withstands and exchanges in a design; none for another protocol."""
    found = parameters(experiment)
    if found is None:
        return []
    n_hospitals = len(experiment.consortium)
    size = found.circle(n_hospitals)
    threshold = found.threshold_of(n_hospitals)
    of_all = "all" if size == n_hospitals else f"{size} of the"
    alone = found.colluders(n_hospitals, lies=False)
    lying = found.colluders(n_hospitals)
    texts = [
        f"shares of a secret are held by {of_all} {n_hospitals} hospitals, and {threshold} of them"
        f" recover it; the sum of the others is exact whichever {size - threshold} vanish",
        f"the aggregator chooses whose uploads it leaves out: with h hostile ones among them it"
        f" reads a sum of as few as {threshold} - h others, with {alone} a single update; with"
        f" {lying} if it lies about who vanished",
    ]
    if size < n_hospitals:
        n_hostile = len(experiment.attack_plan.hostile)
        chance = chances.exposed(found, n_hospitals, n_hostile)
        if_lying = chances.exposed(found, n_hospitals, n_hostile, lies=True)
        apart = chances.split(found, n_hospitals, n_hostile)
        texts.append(
            f"with {n_hostile} hostile hospitals, {alone} of them are neighbors of one honest"
            f" hospital with a probability of at most {chance:.1g} a round, {lying} of them of"
            f" {if_lying:.1g}; they and the aggregator split the sum into sums of fewer with one of"
            f" at most {apart:.1g}; each is of one drawn graph, and whoever writes the plan may try"
            " many plans and propose one whose graphs suit it"
        )
    traffic = found.traffic(n_hospitals, experiment.plan.network.n_params)
    texts.append(
        f"a hospital has {traffic.messages} messages in a round, sends {traffic.sent:,} bytes"
        f" and is sent {traffic.received:,}, beside the envelopes of messages"
    )
    return texts
