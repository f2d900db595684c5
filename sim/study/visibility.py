"""Who sees what in a design, and which of its parts conflict, read off before any run."""

from __future__ import annotations

from sim.evidence import Conflict, Visibility
from sim.study.experiment import Experiment
from sim.types import BY_AGGREGATOR, LEVELS

KNOWN = {
    "own": "each its own update only",
    "colluders": "the updates of all hostile hospitals",
    "updates": "the updates of all hospitals",
    "updates_and_rule": "the updates of all hospitals, and the aggregation rule",
}


def visibility(experiment: Experiment) -> list[Visibility]:
    """The visibility of each party in one round."""
    n_hospitals = len(experiment.consortium)
    n_rows = len(experiment.plan.groups(1))
    dp = experiment.plan.dp
    noise = ", clipped and noised in the hospital" if dp is not None else ""
    nominal = None if dp is None else dp.nominal_records
    if n_rows == n_hospitals:
        counts = "record counts"
        if nominal is not None:
            counts = f"no record counts but the agreed {nominal}"
        rows = f"{n_rows} updates, one for each hospital{noise}; {counts}"
    else:
        rows = f"{n_rows} sum of {n_hospitals} updates{noise}; no record counts"
    own = "its own records; the common model of each round"
    final = "the common model after the last round"
    parties = [
        Visibility(party="a hospital", sees=own),
        Visibility(party="the aggregator", sees=f"the common model; {rows}"),
        Visibility(party="whoever gets the final model", sees=final),
    ]
    attack = experiment.attack_plan
    by_others = set(attack.absent).union(*(attack.of_kind(kind) for kind in BY_AGGREGATOR))
    acting = [name for name in attack.attacks if name not in by_others]
    if acting:
        sees = f"the common model; {KNOWN[_used(experiment)]}"
        parties.append(Visibility(party=f"hostile hospitals ({', '.join(acting)})", sees=sees))
    return parties


def _used(experiment: Experiment) -> str:
    granted = LEVELS.index(experiment.settings.adversary.knowledge)
    byzantine = experiment.attack_plan.of_kind("byzantine").values()
    uses = [LEVELS.index(attack.about.uses) for attack in byzantine]
    return LEVELS[min(granted, max(uses, default=0))]


def conflicts(experiment: Experiment) -> list[Conflict]:
    """The conflicts inside the design, each in one sentence."""
    found = list[Conflict]()
    hidden = experiment.plan.is_hiding
    robust = getattr(experiment.plan.chain.rule, "n_hostile", None) is not None
    if hidden:
        found.append(
            Conflict(
                id="secagg-robustness",
                between="secure aggregation and robust aggregation",
                text=(
                    "The aggregator sees a sum only, so no rule can tell a hostile hospital's"
                    " update from an honest one; one hostile hospital can move the model as far as"
                    " it likes."
                ),
            )
        )
    if robust:
        found.append(
            Conflict(
                id="robustness-weights",
                between="robust aggregation and record counts",
                text=(
                    "The rule gives every hospital one vote whatever its size, and leaves out or"
                    " outvotes those that differ from the rest; what that costs each hospital with"
                    " nobody attacking is measured."
                ),
            )
        )
    if experiment.plan.dp is not None:
        found.append(
            Conflict(
                id="dp-utility",
                between="differential privacy and model quality",
                text=(
                    "Noise protects records and costs accuracy, most where hospitals are small; it"
                    " also widens the spread of honest updates, in which a hostile one can hide."
                ),
            )
        )
    return found
