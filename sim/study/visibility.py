"""The table of who sees what in a design, and its conflicts, read off before any run."""

from __future__ import annotations

from functools import lru_cache

from sim.design import options, overlap
from sim.design import plan as plans
from sim.design.plan import FederationPlan
from sim.evidence import Conflict, Visibility
from sim.study.experiment import Experiment
from sim.types import LEVELS, Members

TWO = "secure aggregation and a consortium of two"
BOUND = "a bound in the hospital and hostile hospitals"
REDRAWN = "groups drawn anew and hidden updates"
EACH_OTHER = (
    "Two hospitals read each other: each subtracts its own update from the sum, which the common"
    " model shows, and is left with the other's, whatever protocol adds them up."
)

KNOWN = {
    "own": "each its own update only",
    "colluders": "the updates of all hostile hospitals",
    "updates": "the updates of all hospitals",
    "updates_and_rule": "the updates of all hospitals, and the aggregation rule",
}


def visibility(experiment: Experiment) -> list[Visibility]:
    """The visibility of each party in one round."""
    rows = _rows(experiment.plan)
    own = "its own records; the common model of each round"
    final = "the common model after the last round"
    parties = [
        Visibility(party="a hospital", sees=own),
        Visibility(party="the aggregator", sees=f"the common model; {rows}"),
        Visibility(party="whoever gets the final model", sees=final),
    ]
    attack = experiment.attack_plan
    acting = attack.by_hospitals
    if acting:
        sees = f"the common model; {KNOWN[_used(experiment)]}"
        parties.append(Visibility(party=f"hostile hospitals ({', '.join(acting)})", sees=sees))
    return parties


def _rows(plan: FederationPlan) -> str:
    """What the aggregator gets of a round, in words."""
    n_hospitals = len(plan.hospitals)
    groups = plan.groups(1)
    noise = ", clipped and noised in the hospital" if plan.dp is not None else ""
    noise += _noise_on_updates(plan)
    if not plan.is_hiding:
        counts = "record counts" if plan.states_counts else "no record counts but the agreed one"
        return f"{n_hospitals} updates, one for each hospital{noise}; {counts}"
    counts = "no record counts" if plan.terms.sizes is None else "record counts, by the plan"
    if len(groups) == 1:
        return f"1 sum of {n_hospitals} updates{noise}; {counts}"
    drawn = "drawn anew in each round" if plan.secagg.is_redrawn else "the same in all rounds"
    sizes = _either(groups)
    return f"{len(groups)} sums of {sizes} updates each{noise}, groups {drawn}; {counts}"


def _noise_on_updates(plan: FederationPlan) -> str:
    """How whole updates are noised before the aggregator gets them, in words."""
    if plan.update_dp is None:
        return ""
    if plan.update_dp.place == "server":
        return " without noise on it, for the aggregator is trusted to add it"
    if plan.update_dp.place == "distributed":
        return ", clipped, with a share of noise from each hospital"
    return ", clipped and noised as a whole in the hospital"


def _either(groups: Members) -> str:
    return " or ".join(map(str, sorted({len(group) for group in groups})))


def _used(experiment: Experiment) -> str:
    granted = LEVELS.index(experiment.settings.adversary.knowledge)
    byzantine = experiment.attack_plan.of_kind("byzantine").values()
    uses = [LEVELS.index(attack.about.uses) for attack in byzantine]
    return LEVELS[min(granted, max(uses, default=0))]


def notes(plan: FederationPlan) -> list[str]:
    """Notes on what is simulated of secure aggregation, and what sums and rounding leave open."""
    found = list[str]()
    if plan.is_hiding and plan.is_clear:
        found.append(
            "Secure aggregation is simulated here: hospitals upload updates as they are, and the"
            " aggregator is left with their sums; only a protocol in messages hides updates on the"
            " way."
        )
    if plan.is_hiding and (rounds := overlap.left_out(plan)) is not None:
        found.append(
            "Two sums that differ by one hospital give its update away, as far as updates are alike"
            f" in both rounds. Within {rounds} rounds an aggregator brings it about: it leaves one"
            " out, and nobody can tell that from an absence. Whoever derives sums reads it where a"
            " hospital is missing. With secagg.least at the size of a sum nobody can be left out,"
            " and where one is missing there is no sum."
        )
    if plan.quantization is not None:
        found.append(
            f"Updates are rounded to steps of {plan.quantization.step:.2g} for sums, which is no"
            " protection: what an attack cannot read for it, finer steps show."
        )
    return found


def conflicts(experiment: Experiment) -> list[Conflict]:
    """The conflicts inside the design, each in one sentence."""
    plan = experiment.plan
    found = _of_sums(experiment) if plan.is_hiding else []
    robust = getattr(plan.chain.rule, "n_hostile", None) is not None
    bound = plan.training.max_norm
    if bound is not None:
        found.append(Conflict(id="bound-unproven", between=BOUND, text=_unproven(plan, bound)))
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
    if plan.update_dp is not None:
        n = len(plan.hospitals)
        found.append(
            Conflict(
                id="dp-few-hospitals",
                between="privacy of whole updates and few hospitals",
                text=(
                    f"The noise hides any of {n} updates in a mean of {n}; it does not shrink with"
                    " records, only with hospitals, and with few of them it outweighs what is"
                    " learned."
                ),
            )
        )
    if plan.dp is not None:
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


def _of_sums(experiment: Experiment) -> list[Conflict]:
    """The conflicts of secure aggregation."""
    plan = experiment.plan
    sizes = tuple(len(hospital.train) for hospital in experiment.consortium.hospitals)
    others = _others(plan.text, sizes, experiment.settings.policy.least)
    found = [
        Conflict(
            id="secagg-robustness",
            between="secure aggregation and robust aggregation",
            text=f"{_hidden(plan)}{others}",
        )
    ]
    if len(plan.hospitals) == 2:
        found.append(Conflict(id="secagg-two", between=TWO, text=EACH_OTHER))
    redrawn = _redrawn(plan.text)
    if redrawn is not None:
        found.append(Conflict(id="groups-redraw", between=REDRAWN, text=redrawn))
    return found


def _unproven(plan: FederationPlan, bound: float) -> str:
    """Who keeps to the bound on the length of updates, in words."""
    start = f"Honest hospitals shorten their updates to a length of at most {bound:g}."
    if plan.is_hiding:
        return (
            f"{start} A sum does not show whether each did: a hostile hospital that does not is"
            " added up like the others, for none proves the length of what it sends."
        )
    return (
        f"{start} A hostile hospital does not have to; the aggregator sees its update and can"
        " shorten it with steps=[clip]."
    )


def _hidden(plan: FederationPlan) -> str:
    """What no rule can tell on the rows of the plan, in words."""
    groups = plan.groups(1)
    if len(groups) == 1:
        return (
            "The aggregator sees a sum only, so no rule can tell a hostile hospital's update from"
            " an honest one; one hostile hospital can move the model as far as it likes."
        )
    return (
        f"The aggregator sees {len(groups)} sums of {_either(groups)} hospitals each, so no rule"
        " can tell a hostile hospital's update from those that it is added to; one hostile"
        " hospital spoils its whole group."
    )


@lru_cache(maxsize=256)
def _others(text: str, sizes: tuple[int, ...], least_group: int) -> str:
    """The other choices for the plan with this ``text``, with their numbers; runs share plans."""
    found = options.options(plans.read(text), sizes, least_group)
    useful = [one for one in found if one.withstands != 0 and one.n_rows > 2]
    return f" Other choices: {options.sentence(useful)}." if useful else ""


@lru_cache(maxsize=256)
def _redrawn(text: str) -> str | None:
    return overlap.sentence(plans.read(text))
