"""Checks of what concerns several parts of a run, before round 1.

Plug-ins check their own parameters when they are built. Each function raises ``InputError`` that
names the first wrong key, and ``UndefinedError`` for what other designs may allow.
"""

from __future__ import annotations

import numpy as np

from sim import limits, returned
from sim.config.settings import Adversary
from sim.design import plan as plans
from sim.design.attack import KINDS, Attack, AttackPlan, kind_of
from sim.design.plan import FederationPlan
from sim.design.truth import GroundTruth
from sim.devices import device
from sim.errors import InputError, RefusedError, UndefinedError
from sim.messages import Concluded, Crafting, ProtocolAttack, Talk, Trip
from sim.models.check import mixes_records
from sim.seeds import stream
from sim.types import (
    BY_AGGREGATOR,
    LEVELS,
    Absence,
    AttackKind,
    Byzantine,
    Evasion,
    Inference,
    Inversion,
    Isolation,
    Knowledge,
    Observation,
    Pooled,
    Records,
    View,
)

# kinds of attacks on the final model, of which a run has at most one each
ON_FINAL_MODEL: tuple[AttackKind, ...] = ("evasion", "extraction", "release")


def check(
    plan: FederationPlan, attack: AttackPlan, truth: GroundTruth, least_group: int = 1
) -> None:
    """Refuse what the parts of a run cannot do together.

    ``least_group``: the smallest group that all hospitals accept.
    """
    check_size(plan, truth)
    if any(site.device == "cuda" for site in truth.sites):
        device("cuda")  # the one that may not be there
    inversions = attack.of_kind("inversion")
    isolating = {**attack.of_kind("isolation"), **attack.of_kind("protocol")}
    for several, names in (
        ("inversion", list(inversions)),
        *_by_question(attack),
        ("attack on secure aggregation", list(isolating)),
        ("backdoor", list(attack.backdoors)),
        *((kind, list(attack.of_kind(kind))) for kind in ON_FINAL_MODEL),
    ):
        if len(names) > 1:
            raise UndefinedError("attack", names, f"expected at most one {several} in a run")
    for name, one in attack.attacks.items():
        _check_attack(name, one, attack.schedule, plan.training.rounds)
        if isinstance(one, Absence) and one.phase not in plan.trips:
            expected = f"expected a trip of this secure aggregation: {', '.join(plan.trips)}"
            raise UndefinedError(f"attack.{name}.phase", one.phase, expected)
    _check_poisons(plan, attack, truth)
    attack.training(plan)  # which an attack may refuse, as the next
    attack.demanded(plan)
    plans.check(plan, [plan.counted(len(site.records)) for site in truth.sites], least_group)
    for name, one in attack.of_kind("byzantine").items():
        _try_attack(name, one, plan, attack.schedule)
    for name, one in inversions.items():
        _try_inversion(name, one, plan, attack)
    for name, asked in attack.of_kind("inference").items():
        _check_hidden(name, asked, plan)
        _check_inference(name, asked, plan, attack.hostile if attack.by_hospitals else ())
    for name, sums in attack.of_kind("isolation").items():
        _try_isolation(name, sums, plan, attack.hostile)
    for name, led in attack.of_kind("protocol").items():
        _try_protocol(name, led, plan, attack)
    for name, evasion in attack.of_kind("evasion").items():
        _try_evasion(name, evasion, plan)
    for name, spoiling in attack.of_kind("messages").items():
        if len(plan.trips) == 1:
            expected = "expected a round of several trips, as of secagg=protocol"
            raise UndefinedError(f"attack.{name}", type(spoiling).__name__, expected)
    _check_privacy(plan, attack, truth)


def _by_question(attack: AttackPlan) -> list[tuple[str, list[str]]]:
    """The names of the inference attacks that ask the same, each with what they are called."""
    found = dict[str, list[str]]()
    for name, one in attack.of_kind("inference").items():
        found.setdefault(f"inference of {one.question}", []).append(name)
    return list(found.items())


def check_size(plan: FederationPlan, truth: GroundTruth) -> None:
    """Refuse a run of more training steps or memory than the limits allow."""
    n_arrays = len(plan.network.layout)
    if n_arrays > 2 * limits.LAYERS:
        shown = f"{n_arrays:,} weights and biases"
        raise InputError("model", shown, f"expected at most {2 * limits.LAYERS}")
    training = plan.training
    n_hospitals = len(plan.hospitals)
    sizes = [len(site.records) for site in truth.sites]
    steps = [training.steps(size) for size in sizes]
    total = training.rounds * sum(steps)
    if total > limits.STEPS_OF_RUN:
        expected = f"expected at most {limits.STEPS_OF_RUN:,} (rounds x hospitals x batches)"
        raise InputError("training", f"{total:,} training steps in a run", expected)
    rows = max(sizes) if plan.dp is not None else min(max(sizes), training.batch_size)
    batches = limits.INDEX * n_hospitals * max(steps) * rows
    limits.check_bytes("training", batches, "for the batches of a round")
    n_neurons = sum(shape[0] for _, shape in plan.network.layout if len(shape) > 1)
    made = limits.VALUE * rows * n_neurons
    limits.check_bytes("model", made, "for what its layers make of one batch")
    updates = limits.COPIES * n_hospitals * plan.network.n_params
    limits.check_bytes("model", updates, f"for the updates of {n_hospitals:,} hospitals")


def check_adversary(adversary: Adversary, n_hospitals: int, rounds: int) -> None:
    """Refuse more hostile hospitals than there may be, and attacks after the last round."""
    if adversary.n_hostile >= n_hospitals:
        expected = f"expected fewer than n_hospitals={n_hospitals}"
        raise InputError("adversary.n_hostile", adversary.n_hostile, expected)
    first = adversary.first_round
    last = adversary.last_round
    if first > rounds:
        expected = f"expected at most training.rounds={rounds}"
        raise InputError("adversary.first_round", first, expected)
    if last is not None and last < first:
        expected = f"expected at least adversary.first_round={first}"
        raise InputError("adversary.last_round", last, expected)


def _check_attack(name: str, attack: Attack, adversary: Adversary, rounds: int) -> None:
    kind = kind_of(attack)
    if kind not in KINDS:
        expected = f"expected an attack of kind {', '.join(KINDS)}"
        raise InputError(f"attack.{name}", type(attack).__name__, expected)
    if kind not in BY_AGGREGATOR and not isinstance(attack, Absence) and adversary.n_hostile == 0:
        expected = f"expected at least 1 hostile hospital for attack={name}"
        raise UndefinedError("adversary.n_hostile", 0, expected)
    if kind == "byzantine" and LEVELS.index(adversary.knowledge) < LEVELS.index(attack.about.needs):
        expected = f"expected at least {attack.about.needs} for attack={name}"
        raise UndefinedError("adversary.knowledge", adversary.knowledge, expected)
    for key in ("round", "first_round") if isinstance(attack, Absence) else ("round",):
        at = getattr(attack, key, 1)
        if at > rounds:
            expected = f"expected at most training.rounds={rounds}"
            raise InputError(f"attack.{name}.{key}", at, expected)


def _check_poisons(plan: FederationPlan, attack: AttackPlan, truth: GroundTruth) -> None:
    """Refuse what a poison cannot do with the consortium's fields."""
    try:
        for name in attack.hostile:
            attack.poisoned(truth.site(name), plan)
    except InputError as error:
        key = f"attack ({'+'.join(attack.of_kind('poison'))}) {error.key}"
        raise InputError(key, error.value, error.expected) from error


def _try_attack(name: str, attack: Byzantine, plan: FederationPlan, adversary: Adversary) -> None:
    """Refuse an attack that cannot work with so many hostile hospitals.

    It is tried once on small random updates.
    """
    n_hospitals = len(plan.hospitals)
    n_hostile = adversary.n_hostile
    level = min(LEVELS.index(adversary.knowledge), LEVELS.index(attack.about.uses))
    rows = stream(0, "check").normal(size=(n_hospitals, 3))
    knows_rule = level >= LEVELS.index("updates_and_rule")
    known = Knowledge(
        own=rows[: n_hostile if level else 1],
        n_hospitals=n_hospitals,
        n_hostile=n_hostile,
        others=rows[n_hostile:] if level >= LEVELS.index("updates") else None,
        defense=(lambda sent: np.asarray(sent.mean(axis=0))) if knows_rule else None,
        model=rows[0],
    )
    try:
        returned.array(attack, attack(known, stream(0, "check")), known.own.shape)
    except RefusedError as error:
        raise UndefinedError(f"attack.{name}", type(attack).__name__, str(error)) from error


def _try_inversion(name: str, attack: Inversion, plan: FederationPlan, attacks: AttackPlan) -> None:
    """Refuse an inversion that cannot work on this model, or with these hospitals.

    It is tried once on an update of zeros.
    """
    if plan.hardening is not None:
        # whoever has the model can change records back, and these attacks do not
        expected = "expected hardening=none: it looks for the records of patients, not changed ones"
        raise UndefinedError(f"attack.{name}", type(attack).__name__, expected)
    zeros = np.zeros((1, plan.network.n_params), np.float32)
    view = View(zeros, (plan.hospitals,))
    seen = Observation(view, zeros[0], plan.network.layout, plan.columns)
    try:
        if isinstance(attack, Crafting):
            weights = attack.crafted(attacks.stage(plan, 1, zeros[0]), stream(0, "check"))
            returned.array(attack, weights, zeros[0].shape)
        made = attack(seen, stream(0, "check"))
        returned.guesses(attack, made, 1, plan.columns)
    except RefusedError as error:
        raise UndefinedError(f"attack.{name}", type(attack).__name__, str(error)) from error


def _check_inference(
    name: str, attack: Inference, plan: FederationPlan, hostile: tuple[str, ...]
) -> None:
    """Refuse an inference attack that has nobody to ask about, or too few rows to look at."""
    n_others = len({*plan.hospitals} - {*hostile}) - (attack.party == "hospital" and not hostile)
    if n_others < 1:
        expected = f"expected an honest hospital to ask about with attack={name}"
        raise UndefinedError("adversary.n_hostile", len(hostile), expected)
    n_rows = len(plan.groups(1))
    if attack.party == "aggregator" and n_rows < attack.min_rows:
        expected = (
            f"expected at least {attack.min_rows} rows in the aggregator's view, not {n_rows}"
        )
        raise UndefinedError(f"attack.{name}", type(attack).__name__, expected)


def _check_hidden(name: str, attack: Inference, plan: FederationPlan) -> None:
    """Refuse an attack on a field that the data do not have."""
    hidden = getattr(attack, "hidden", None)
    if attack.question != "attribute" or hidden is None:
        return
    try:
        hidden(plan.columns)
    except InputError as error:
        raise UndefinedError(f"attack.{name}.{error.key}", error.value, error.expected) from error


def _try_isolation(
    name: str, attack: Isolation, plan: FederationPlan, hostile: tuple[str, ...]
) -> None:
    """Refuse an attack on sums that cannot work with so many colluding hospitals.

    It is tried once on a sum of zeros.
    """
    zeros = np.zeros((1, 3))
    own = dict.fromkeys(hostile, zeros[0])
    try:
        attack(Pooled(View(zeros, (plan.hospitals,)), own, 1), stream(0, "check"))
    except RefusedError as error:
        raise UndefinedError(f"attack.{name}", type(attack).__name__, str(error)) from error


def _try_protocol(
    name: str, attack: ProtocolAttack, plan: FederationPlan, attacks: AttackPlan
) -> None:
    """Refuse an attack on a protocol that cannot work on this model, or with these hospitals.

    It is tried once on a round in which nothing arrives.
    """
    zeros = np.zeros(plan.network.n_params, np.float32)
    stage = attacks.stage(plan, 1, zeros)
    talk = attack(_idle(Trip("train", plan.hospitals, zeros)), stage, stream(0, "check"))
    try:
        next(talk)
        talk.send({})
    except StopIteration:
        return
    except RefusedError as error:
        raise UndefinedError(f"attack.{name}", type(attack).__name__, str(error)) from error


def _try_evasion(name: str, attack: Evasion, plan: FederationPlan) -> None:
    """Refuse an evasion that names a field which the data do not have."""
    nobody = Records(np.zeros((1, plan.columns.n_features), np.float32), np.zeros(1, np.float32))
    try:
        attack.room(plan.columns, nobody.features, nobody)
    except InputError as error:
        raise InputError(f"attack.{name}.{error.key}", error.value, error.expected) from error


def _idle(trip: Trip) -> Talk:
    """A round of one trip in which nothing arrives."""
    yield trip
    return Concluded(None)


def _check_privacy(plan: FederationPlan, attack: AttackPlan, truth: GroundTruth) -> None:
    if plan.update_dp is not None:
        plan.update_dp.check(plan.averaging)
    if plan.dp is None:
        return
    for name, one in attack.of_kind("training").items():
        expected = "expected dp=none: private training has its own loss"
        raise UndefinedError(f"attack.{name}", type(one).__name__, expected)
    if plan.terms.sizes is not None and not plan.states_counts:
        expected = "expected groups that do not go by record counts with dp.relation=add_remove"
        raise UndefinedError("secagg", type(plan.secagg).__name__, expected)
    if mixes_records(plan.network, plan.columns.n_features):
        expected = "expected layers without the records of a batch in common, as BatchNorm has them"
        raise UndefinedError("model", type(plan.model).__name__, expected)
    plan.dp.check({site.name: len(site.records) for site in truth.sites}, plan.training)
