"""Missing replies never disarm a defense: a round is within the claim of its rule, or skipped and
recorded with the numbers.
"""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest

from aggregators.pipeline import Chain
from attacks.faults.honest_absence import HonestAbsence
from sim.errors import InputError
from sim.evidence import RunRecord
from sim.federation import wire
from sim.federation.rounds import Aggregated
from sim.seeds import stream
from sim.study.compose import options
from sim.study.experiment import Experiment
from sim.study.missing import may_be_missing
from sim.study.run import FederatedRun, run, run_together
from sim.types import Absence, Rule, Step
from tests.aggregators.test_rules_table import MOVED_BY_ONE_FROM, MOVED_FROM, cases
from tests.conftest import plugins
from tests.federation import SEEDED, aggregated, aggregating, asked, experiment, uploads
from tests.sim.federation.test_lockstep import same

FAR = 1e6
wire.enter_process()
QUICK = ("consortium=heart12", "model=logistic", "training.rounds=3")
RULES = cases()
STEPS: dict[str, Step | None] = {"no step": None, **plugins("each_step")}
NEEDED = dict.fromkeys(("fltrust", "monna"), ("aggregator.root=cleveland_1",))


@cache
def plain(*words: str) -> Experiment:
    return experiment(*QUICK, *words)


def counting(one: Experiment, absent: str) -> Experiment:
    """The same run with another ``server.absent``."""
    server = one.plan.server.model_copy(update={"absent": absent})
    terms = one.plan.terms.model_copy(update={"server": server})
    return dataclasses.replace(one, plan=dataclasses.replace(one.plan, terms=terms))


def against(part: Any, n_hostile: int) -> Any:
    return dataclasses.replace(part, n_hostile=n_hostile) if hasattr(part, "n_hostile") else part


def chained(rule: Rule, step: Step | None, n_hostile: int, absent: str = "keep") -> Experiment:
    """heart12 with the rule behind the step, given ``n_hostile``; the last honest hospital is the
    trusted one.
    """
    base = counting(plain(f"adversary.n_hostile={n_hostile}"), absent)
    if hasattr(rule, "root"):
        rule = dataclasses.replace(rule, root=honest_of(base)[-1])
    steps = () if step is None else (against(step, n_hostile),)
    return aggregating(base, Chain(steps, against(rule, n_hostile)))


def honest_of(one: Experiment) -> list[str]:
    return [name for name in one.consortium.names if name not in one.attack_plan.hostile]


def one_round(one: Experiment, missing: set[str]) -> tuple[Aggregated, np.ndarray | None, float]:
    """A round in which hostile hospitals send ``FAR``; how many honest radii the step ends from the
    mean of the honest rows.
    """
    run, n_params = FederatedRun(one), 40
    run.weights = np.zeros(n_params, np.float32)
    rows = dict(
        zip(
            run.plan.hospitals,
            np.random.default_rng(5).normal(size=(12, n_params)).astype(np.float32),
            strict=True,
        )
    )
    rows |= dict.fromkeys(one.attack_plan.hostile, np.full(n_params, FAR, np.float32))
    messages = asked(run)
    replies = {
        name: wire.answer(row, 50, SEEDED, messages[name])
        for name, row in rows.items()
        if name not in missing
    }
    moved, found = aggregated(run, 1, replies)
    honest = np.array(
        [row for name, row in rows.items() if name not in {*missing, *one.attack_plan.hostile}],
        np.float64,
    )
    if found.skipped is not None:
        return found, None, 0.0
    if len(honest) < 2:
        return found, moved, 0.0
    center = honest.mean(axis=0)
    radius = float(np.linalg.norm(honest - center, axis=1).max())
    return found, moved, float(np.linalg.norm(moved - center)) / radius


def claim(n_rows: int, n_hostile: int) -> float:
    """2(n-f)/(n-2f) radii: the weakest bound among those that the rules promise."""
    return 2 * (n_rows - n_hostile) / (n_rows - 2 * n_hostile)


def outside(one: Experiment, n_missing: int) -> list[str]:
    """What is wrong with a round in which so many honest hospitals are missing; nothing if it holds
    or is skipped as it must.
    """
    missing, n_rows, n_hostile = (
        honest_of(one)[:n_missing],
        12 - n_missing,
        len(one.attack_plan.hostile),
    )
    found, moved, radii = one_round(one, set(missing))
    if n_rows < one.plan.quorum.needed:
        skipped = found.skipped
        right = (
            skipped is not None
            and (skipped.cause, skipped.missing) == ("absent", tuple(missing))
            and skipped.reason
        )
        return (
            []
            if right and moved is None
            else [f"{n_rows} replies of {one.plan.quorum.needed}: not skipped"]
        )
    if moved is None:
        return [f"{n_rows} replies: skipped, {found.skipped.reason}"]
    return (
        []
        if n_rows <= 2 * n_hostile or radii <= claim(n_rows, n_hostile)
        else [f"{n_rows} replies: {radii:.3g} radii away"]
    )


ROBUST = {case: rule for case, rule in RULES.items() if case not in MOVED_FROM}


@pytest.mark.parametrize("n_hostile", [1, 2, 3])
@pytest.mark.parametrize("case", ROBUST)
def test_with_honest_hospitals_absent_a_rule_is_within_its_claim_or_the_round_is_skipped(
    case: str, n_hostile: int
) -> None:
    one = chained(ROBUST[case], None, n_hostile)
    if one.plan.quorum.needed > 12 or (n_hostile == 1 and case in MOVED_BY_ONE_FROM):
        # the rule is not defined for so many, also with everybody there, or promises nothing
        # against a single row
        return
    assert [text for n_missing in range(6) for text in outside(one, n_missing)] == []


@pytest.mark.parametrize("step", STEPS)
def test_with_honest_hospitals_absent_a_round_is_within_the_claim_or_skipped(
    step: str,
) -> None:
    wrong = {}
    for case, rule in ROBUST.items():
        one = chained(rule, STEPS[step], 2)
        if hasattr(STEPS[step], "n_rows") and hasattr(rule, "root"):
            continue  # a trusted hospital whose row is merged with others is refused before round 1
        if hasattr(STEPS[step], "n_rows") and case in MOVED_BY_ONE_FROM:
            continue  # hostile rows that are merged are one row, against which it promises nothing
        if one.plan.quorum.needed <= 12 and (
            found := [text for n_missing in range(4) for text in outside(one, n_missing)]
        ):
            wrong[case] = found
    assert wrong == {}


@pytest.mark.parametrize("case", ["trimmed_mean", "meamed", "mda", "smea", "caf", "dnc"])
def test_counting_the_absent_as_hostile_is_what_let_far_rows_in(case: str) -> None:
    rounds = [
        one_round(chained(RULES[case], None, 3, absent), set(honest_of(plain())[:3]))[2]
        for absent in ABSENT
    ]
    assert rounds[0] <= claim(9, 3)
    assert rounds[1] > 1e3


ABSENT = ("keep", "count_as_hostile")
# its absences are tested trip by trip in tests/sim/federation/protocols/secagg/test_rounds.py
SEVERAL_TRIPS = "secagg_protocol"


# of groups it matters which replies are missing; what is stated is for the worst of them
GROUPS = "secagg_groups"


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize(
    "defense", [one for one in options("defense") if one not in (SEVERAL_TRIPS, GROUPS)]
)
def test_one_reply_more_missing_than_explain_states_for_a_defense_skips_the_round(
    defense: str, absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("calibrated", "spent"):
        # the search for the noise is tested elsewhere
        monkeypatch.setattr(f"clients.accounting.{name}", lambda *_: 1.0)
    one = counting(
        plain(f"defense={defense}", "adversary.n_hostile=2", *NEEDED.get(defense, ())), absent
    )
    spare = 12 - one.plan.quorum.needed
    assert f"{spare} of 12 may be missing" in may_be_missing(one)
    root = getattr(one.plan.chain.rule, "root", None)
    away = [name for name in (*honest_of(one), *one.attack_plan.hostile) if name != root]
    assert one_round(one, set(away[:spare]))[0].skipped is None
    if spare < 11:
        skipped = one_round(one, set(away[: spare + 1]))[0].skipped
        assert skipped.cause == "absent"
    nobody = one_round(one, set(one.consortium.names))[0].skipped
    assert (nobody.cause, nobody.reason, len(nobody.missing)) == ("absent", "no usable reply", 12)


def test_explain_states_who_can_stop_rounds() -> None:
    # 9 of 12 are enough, and 9 are honest
    assert "can stop every round" not in may_be_missing(plain("aggregator=krum"))
    able = plain("aggregator=krum", "adversary.n_hostile=4")
    assert may_be_missing(able).endswith(
        "2 of the 4 hostile hospitals can stop every round by sending nothing"
    )
    rooted = plain("aggregator=fltrust", "aggregator.root=cleveland_1")
    hostile_root = plain("aggregator=fltrust", f"aggregator.root={rooted.attack_plan.hostile[0]}")
    assert "without the reply of cleveland_1 the round is skipped" in may_be_missing(rooted)
    assert may_be_missing(hostile_root).endswith(
        f"{rooted.attack_plan.hostile[0]}, hostile with seed 0, can stop every round by sending"
        " nothing"
    )
    counted = plain("aggregator=trimmed_mean", "server.absent=count_as_hostile")
    assert (
        "each of which lowers the number of hostile hospitals withstood, 3, by one"
        in may_be_missing(counted)
    )
    assert "5 of 12 may be missing in a round beside 3 hostile hospitals" in may_be_missing(
        counting(counted, "keep")
    )
    groups = plain("secagg=groups", "aggregator=median", "adversary.n_hostile=1", "secagg.size=3")
    first = "3 of 12 may be missing in a round beside 1 hostile hospital;"
    assert may_be_missing(groups).startswith(first)
    assert "not given the number" in may_be_missing(plain("aggregator=signguard"))


def test_a_round_without_the_trusted_hospital_is_refused_and_states_it() -> None:
    one = plain("aggregator=fltrust", "aggregator.root=cleveland_1")
    skipped = one_round(one, {"cleveland_1"})[0].skipped
    assert (skipped.cause, skipped.missing) == ("refused", ("cleveland_1",))
    assert skipped.reason.startswith(
        "root=cleveland_1: Fltrust needs a hospital with a row of its own"
    )


# --- states


REMEMBERING = {
    **{
        f"rule-{case}": Chain((), rule) for case, rule in RULES.items() if not hasattr(rule, "root")
    },
    **{
        f"step-{name}": Chain((step,), RULES["mean"]) for name, step in plugins("each_step").items()
    },
}


@pytest.mark.parametrize("case", REMEMBERING)
def test_no_plugin_writes_to_its_state_so_that_a_skipped_round_leaves_no_trace(case: str) -> None:
    run = FederatedRun(aggregating(plain(), REMEMBERING[case]))
    for number in (1, 2, 3):
        before = run.aggregator.state.states
        for array in arrays_in(before):
            array.setflags(write=False)  # a write would raise
        shown = repr(before)
        found = _round(run, number, overflowing=number == 2)
        assert repr(before) == shown
        assert (run.aggregator.state.states is before) == (found.skipped is not None)
        assert found.skipped is None or number == 2


@pytest.mark.parametrize(
    "optimizer", [name for name in options("server_optimizer") if name != "none"]
)
def test_a_skipped_round_leaves_the_states_of_a_server_optimizer_and_of_steps_as_they_were(
    optimizer: str,
) -> None:
    one = plain(
        f"server_optimizer={optimizer}",
        "steps=[momentum]",
        "aggregator=monna",
        "aggregator.root=cleveland_1",
    )
    run = FederatedRun(one)
    assert _round(run, 1).skipped is None
    before = run.aggregator.state.states
    shown = repr(before)
    assert len(before) == 3
    # refused by the rule, after the step has run
    assert _round(run, 2, missing={"cleveland_1"}).skipped is not None
    assert run.aggregator.state.states is before
    assert _round(run, 3).skipped is None
    assert repr(run.aggregator.state.states) != shown == repr(before)


def arrays_in(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    if dataclasses.is_dataclass(value):
        value = vars(value)
    inner = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, (list, tuple))
        else ()
    )
    return [array for one in inner for array in arrays_in(one)]


def _round(
    run: FederatedRun,
    number: int,
    missing: frozenset[str] | set[str] = frozenset(),
    overflowing: bool = False,
) -> Aggregated:
    run.weights = np.full(20, 3e38 if overflowing else 0.0, np.float32)
    rows = stream(number, "rows").normal(size=(12, 20)).astype(np.float32) + np.float32(
        3e38 if overflowing else 0
    )
    replies = {
        name: wire.answer(row, 50, SEEDED, message)
        for row, (name, message) in zip(rows, asked(run, number).items(), strict=True)
        if name not in missing
    }
    return aggregated(run, number, replies)[1]


# --- whole runs: the adversary, both engines, lockstep, secure aggregation, privacy

AWAY = ("attack.honest_absence.rate=0.5", "training.rounds=4")
DESIGNS = [
    ("attack=[sign_flip,honest_absence]", "defense=trimmed_mean"),
    ("attack=[sign_flip,honest_absence,dropout]", "adversary.n_hostile=2", "defense=krum"),
    ("attack=[aggregation_tailored,honest_absence]", "defense=nnm_trimmed_mean"),
    (
        "attack=[alie,honest_absence]",
        "steps=[momentum]",
        "aggregator=fltrust",
        "aggregator.root=cleveland_1",
    ),
    ("attack=[honest_absence]", "defense=secagg", "server_optimizer=fedadam"),
    ("attack=[honest_absence]", "adversary.n_hostile=0"),
    (
        "attack=[honest_absence]",
        "dp=record",
        "dp.delta=1e-3",
        "dp.target_epsilon=null",
        "dp.noise_multiplier=1.0",
    ),
]


@pytest.mark.parametrize("words", DESIGNS, ids=" ".join)
def test_absences_leave_the_same_evidence_in_lockstep_and_one_by_one(
    words: tuple[str, ...],
) -> None:
    one = plain(*AWAY, *words)
    beside = plain("training.rounds=4", "attack=[dropout]", "defense=krum")
    batched = run_together([beside, one])[1]
    same(batched, run(one))
    assert batched.value("attack_distance")
    # honest hospitals were missing
    assert {lost.hospital for lost in batched.screened} - set(batched.hostile)
    assert [skip.round for skip in batched.skips] == batched.skipped_rounds


def test_hostile_and_honest_absences_are_distinguished_in_the_evidence() -> None:
    one = plain(
        "attack=[dropout,honest_absence]", "attack.dropout.rate=1", "attack.honest_absence.rate=1",
        "attack.honest_absence.n_hospitals=1", "attack.honest_absence.first_round=2",
        "attack.honest_absence.last_round=2", "defense=krum",
    )  # fmt: skip
    (record,) = run_together([one])
    (skip,) = record.skips  # 9 are left in rounds 1 and 3, which is enough; 8 in round 2
    assert (skip.round, skip.cause, skip.replies, skip.needed) == (2, "absent", 8, 9)
    assert skip.hostile == list(one.attack_plan.hostile)
    assert skip.honest == list(one.attack_plan.absent["honest_absence"])
    assert skip.reason == "n_rows=8, n_hostile=3: Krum needs n_rows >= 2*n_hostile + 3 = 9"
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_a_hostile_hospital_at_the_limit_of_a_rule_stops_every_round() -> None:
    words = ("adversary.n_hostile=4", "defense=krum")
    without, stopped = run_together(
        [plain(*words), plain(*words, "attack=[dropout]", "attack.dropout.rate=1")]
    )
    assert (without.skipped_rounds, stopped.skipped_rounds) == ([], [1, 2, 3])
    assert all(skip.honest == [] and skip.hostile == stopped.hostile for skip in stopped.skips)
    assert stopped.engagement.defense_engaged


def test_with_all_hospitals_absent_the_model_is_the_untrained_one() -> None:
    one = plain(
        "attack=[honest_absence]",
        "attack.honest_absence.rate=1",
        "adversary.n_hostile=0",
        "secagg=sum",
    )
    (record,) = run_together([one])
    assert record.skipped_rounds == [1, 2, 3]
    assert {skip.reason for skip in record.skips} == {"no usable reply"}
    assert {skip.needed for skip in record.skips} == {2}
    assert all(len(skip.honest) == 12 for skip in record.skips)


def test_the_adversary_sees_no_absent_update_and_asks_a_rule_that_keeps_its_number() -> None:
    one = plain("attack=[aggregation_tailored,honest_absence]", "attack.honest_absence.rate=1",
                "attack.honest_absence.n_hospitals=3", "defense=trimmed_mean")  # fmt: skip
    run, seen = FederatedRun(one), []
    run.adversary.attacks = {
        "aggregation_tailored": lambda known, _: seen.append(known) or known.own
    }
    object.__setattr__(
        run.adversary.attacks["aggregation_tailored"],
        "about",
        one.attack_plan.attacks["aggregation_tailored"].about,
    )
    rows = np.random.default_rng(5).normal(size=(12, len(run.initial))).astype(np.float32)
    replies = {
        name: wire.answer(row, 50, SEEDED, message)
        for row, (name, message) in zip(rows, asked(run).items(), strict=True)
    }
    arrived = [message for message in uploads(run, 1, replies).values() if message is not None]
    (known,) = seen
    assert (len(arrived), len(known.own), len(known.others)) == (9, 3, 6)
    predicted = known.defense(np.full_like(known.own, FAR))
    assert np.abs(predicted).max() < 10  # three far rows of nine are trimmed, all three of them


STATED = {  # in docs/rules.md
    0: (0.841, 0.818, 0.839),
    1: (0.835, 0.795, 0.828),
    2: (0.834, 0.767, 0.823),
    3: (0.829, 0.744, 0.797),
}
SEEDS = 3


def test_absent_honest_hospitals_do_not_let_flipped_signs_through_the_trimmed_mean() -> None:
    """heart12, 3 hostile, seeds 0 to 2. With the absent counted as hostile the model is turned
    round where three are missing.
    """
    runs = [missing(n, seed) for n in STATED for seed in range(SEEDS)]
    counted = [counting(missing(3, seed), "count_as_hostile") for seed in range(SEEDS)]
    found = np.array([record.value("auroc") for record in run_together([*runs, *counted])])
    staying, turned = found[: len(runs)].reshape(4, SEEDS), found[len(runs) :]
    np.testing.assert_allclose(staying, list(STATED.values()), atol=0.002)
    assert staying.min() > 0.7
    assert turned.max() < 0.3


def missing(n_honest: int, seed: int) -> Experiment:
    """40 rounds without the first ``n_honest`` honest hospitals, by name."""
    words = ("consortium=heart12", "defense=trimmed_mean", f"seed={seed}")
    one = experiment(*words, "attack=[sign_flip]")
    if not n_honest:
        return one
    names = ",".join(honest_of(one)[:n_honest])
    away = ("attack.honest_absence.rate=1", f"attack.honest_absence.hospitals=[{names}]")
    return experiment(*words, "attack=[sign_flip,honest_absence]", *away)


# --- the catalog


def test_an_absence_concerns_honest_hospitals_only_in_each_run_the_same_and_by_site(
    each_absence: Absence,
) -> None:
    one = plain()
    hospitals, hostile = one.consortium.hospitals, one.attack_plan.hostile
    named = each_absence.concerned(hospitals, hostile, stream(0, "x"))
    assert (
        named == each_absence.concerned(hospitals, hostile, stream(0, "x")) == tuple(sorted(named))
    )
    assert not set(named) & set(hostile)


@pytest.mark.parametrize(
    ("fields", "concerned"),
    [
        ({}, 9),
        ({"n_hospitals": 2}, 2),
        ({"hospitals": ["cleveland_1"]}, 1),
        ({"hospitals": ["cleveland"]}, 4),
        ({"hospitals": ["cleveland", "hungary_1"], "n_hospitals": 1}, 1),
    ],
)
def test_absences_are_chosen_by_number_name_and_site(
    fields: dict[str, Any], concerned: int
) -> None:
    one = plain()
    names = HonestAbsence(**fields).concerned(
        one.consortium.hospitals, one.attack_plan.hostile, stream(0, "x")
    )
    left_out = {
        name
        for name in one.attack_plan.hostile
        for given in fields.get("hospitals", ())
        if name.startswith(given)
    }
    assert len(names) + (len(left_out) if "n_hospitals" not in fields else 0) == concerned


def test_absences_happen_at_their_rate_and_in_their_span_only() -> None:
    fault = HonestAbsence(rate=0.3, first_round=3, last_round=2002)
    away = [fault.away(round_, stream(0, "away", round_)) for round_ in range(1, 3001)]
    assert not any(away[:2] + away[2002:])
    assert sum(away) == pytest.approx(600, abs=70)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["hospitals=[nowhere]"],
            (
                "attack.honest_absence.hospitals=nowhere: expected names among cleveland,"
                " cleveland_1, "
            ),
        ),
        (["hospitals=cleveland"], "attack.honest_absence.hospitals=cleveland: expected a list"),
        (
            ["n_hospitals=10"],
            (
                "attack.honest_absence.n_hospitals=10: expected at most 9, the honest hospitals to"
                " draw from"
            ),
        ),
        (["rate=0"], "attack.honest_absence.rate=0: expected a number above 0 and at most 1"),
        (
            ["first_round=4"],
            "attack.honest_absence.first_round=4: expected at most training.rounds=3",
        ),
        (
            ["first_round=2", "last_round=1"],
            "attack.honest_absence.last_round=1: expected a whole number of at least 2",
        ),
    ],
)
def test_an_absence_that_cannot_happen_is_refused_in_one_line(
    words: list[str], problem: str
) -> None:
    with pytest.raises(InputError) as refused:
        plain("attack=[honest_absence]", *(f"attack.honest_absence.{word}" for word in words))
    assert str(refused.value).startswith(problem)
