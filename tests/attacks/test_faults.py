"""Attacks on replies, schedules and knowledge, in whole runs: what each gains, and that the run
goes on without it.
"""

import dataclasses
import re
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
import pytest

from aggregators.rules.mean import Mean
from attacks.faults.dropout import Dropout
from attacks.faults.inflated_count import InflatedCount
from attacks.faults.malformed import KINDS, Malformed
from attacks.faults.replay import Replay
from attacks.faults.straggler import Straggler
from sim.config.settings import Adversary as Schedule
from sim.config.settings import Server
from sim.errors import InputError
from sim.federation.protocols.plain import capped
from sim.observers.evaluation import Evaluation
from sim.seeds import stream
from sim.study.run import FederatedRun, run, run_together
from sim.types import About, Fault, Knowledge, Reply, SentReply, Stateful, View
from tests import federation
from tests.rounds import Rounds

UPDATE = np.array([1.0, -2.0, 3.0], np.float32)
SMALL = ("consortium=heart4", "adversary.n_hostile=1", "training.rounds=6", "model=logistic")


def sent_replies(fault: Fault, rounds: int, seed: int = 0) -> list[SentReply]:
    """What a hospital sends in successive rounds, in which it would have sent 1, 2, 3, ... times
    ``UPDATE``.
    """
    work, replies = (
        Rounds(fault),
        (Reply(number * UPDATE, 50, number) for number in range(1, rounds + 1)),
    )
    return [work(reply, stream(seed, "fault", reply.round)) for reply in replies]


def sent(fault: Fault, rounds: int, seed: int = 0) -> list[float]:
    """Multiples of ``UPDATE`` that arrive; 0 where nothing does."""
    return [
        0.0 if reply.update is None else float(reply.update[0])
        for reply in sent_replies(fault, rounds, seed)
    ]


# --- one hospital


def test_every_fault_answers_without_writing_to_the_update(each_fault: Fault) -> None:
    update = UPDATE.copy()
    update.setflags(write=False)
    each_fault(Reply(update, 50), stream(0, "fault"))
    np.testing.assert_array_equal(update, UPDATE)


def test_replay_sends_the_first_update_for_ever() -> None:
    assert sent(Replay(), 4) == [1, 1, 1, 1]


def test_straggler_sends_every_update_late_and_nothing_before() -> None:
    assert sent(Straggler(1), 4) == [0, 1, 2, 3]
    assert sent(Straggler(3), 5) == [0, 0, 0, 1, 2]


def test_dropout_keeps_to_its_rate_and_forever_means_forever() -> None:
    arrived = np.array([sent(Dropout(0.3), 20, seed) for seed in range(100)]) > 0
    assert arrived.mean() == pytest.approx(0.7, abs=0.05)
    assert (np.diff(arrived.astype(int), axis=1) > 0).any()
    gone = np.array([sent(Dropout(0.3, forever=True), 20, seed) for seed in range(100)]) > 0
    assert (np.diff(gone.astype(int), axis=1) <= 0).all()
    assert not any(sent(Dropout(1.0), 5))


def test_inflated_count_owns_an_unscreened_mean_and_gains_no_more_than_the_cap_in_ours() -> None:
    rows = np.vstack([np.full((1, 4), 100.0), np.zeros((9, 4))])
    view, names = View(rows, tuple((f"h{i}",) for i in range(10))), np.full(10, 50)
    lie = np.array([InflatedCount(1000.0)(Reply(UPDATE, 50), stream(0, "lie")).count, *names[1:]])
    assert np.average(rows, axis=0, weights=lie).min() > 99
    server = Server(max_records=1_000_000, weight_cap=3.0)
    held = Mean("count")(
        dataclasses.replace(view, weights=capped(lie.tolist(), server)), stream(0, "rule")
    )
    np.testing.assert_allclose(held, 100 * 3 / 12)


@pytest.mark.parametrize("factor", [1.0, -2.0, float("inf"), float("nan"), "many"])
def test_inflated_count_refuses_what_is_no_inflation(factor: float) -> None:
    with pytest.raises(InputError, match=r"^factor="):
        InflatedCount(factor)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Dropout(0.0), "rate"),
        (lambda: Straggler(0), "delay"),
        (lambda: Malformed("long"), "kind"),
    ],
)
def test_fault_refuses_a_bad_parameter_by_name(make, key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key}=.*: expected"):
        make()


# --- whole runs

REASONS = {
    "not_a_number": "values that are not finite",
    "infinity": "values that are not finite",
    "shape": r"shape \(35,\), expected \(36,\)",
    "key": r"arrays \['weights'\], expected update",
    "dtype": "dtype float64, expected float32",
    "giant": r"shape \(100000000,\), expected \(36,\)",
    "count": "reports -1.5 records",
}


def final(*words: str) -> FederatedRun:
    return federation.finished(federation.experiment(*SMALL, *words))


def scores(run: FederatedRun) -> list[np.ndarray]:
    return run.observer(Evaluation).state.scores


def test_reasons_are_stated_for_every_kind() -> None:
    assert set(REASONS) == set(KINDS)


@pytest.fixture(scope="module")
def without_the_hostile() -> FederatedRun:
    return final("attack=[dropout]", "attack.dropout.rate=1.0")


@pytest.mark.parametrize("kind", KINDS)
def test_malformed_reply_is_named_and_leaves_nothing_in_the_model(
    kind: str, without_the_hostile: FederatedRun
) -> None:
    federated = final("attack=[malformed]", f"attack.malformed.kind={kind}")
    screened = federated.log.screened
    assert [(entry.round, entry.hospital) for entry in screened] == [
        (number, *federated.experiment.attack_plan.hostile) for number in range(1, 7)
    ]
    for entry in screened:
        assert re.match(REASONS[kind], entry.reason)
    np.testing.assert_array_equal(federated.weights, without_the_hostile.weights)


def test_malformed_replies_are_named_and_leave_nothing_in_any_model_of_a_lockstep() -> None:
    words = ("consortium=heart4", "training.rounds=2", "model=logistic")
    kinds = [
        federation.experiment(*words, "attack=[malformed]", f"attack.malformed.kind={kind}")
        for kind in KINDS
    ]
    control = federation.experiment(*words, "attack=[dropout]", "attack.dropout.rate=1.0")
    silent, *records = run_together([control, *kinds])
    for kind, record in zip(KINDS, records, strict=True):
        assert [(entry.round, entry.hospital) for entry in record.screened] == [
            (1, *record.hostile),
            (2, *record.hostile),
        ]
        assert all(re.match(REASONS[kind], entry.reason) for entry in record.screened)
        assert record.curve == silent.curve
        assert record.skipped_rounds == []


@dataclasses.dataclass(frozen=True)
class EachInTurn:
    """Another kind of malformed reply in each round."""

    about: ClassVar[About] = Malformed.about

    def __call__(self, reply: Reply, rng: np.random.Generator) -> SentReply:
        return Malformed(list(KINDS)[reply.round - 1])(reply, rng)


EachInTurn.__module__ = "attacks.faults.each_in_turn"  # an attack's package is its kind


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'wardround[ray]'"
)
def test_malformed_replies_are_named_and_leave_nothing_in_the_model_on_ray() -> None:
    words = ("consortium=heart4", f"training.rounds={len(KINDS)}", "model=logistic")
    plan = federation.experiment(*words, "engine=ray", "attack=[malformed]")
    record = run(federation.attacked(plan, {"malformed": EachInTurn()}))
    assert [(entry.round, entry.hospital) for entry in record.screened] == [
        (at, *plan.attack_plan.hostile) for at in range(1, len(KINDS) + 1)
    ]
    for kind, entry in zip(KINDS, record.screened, strict=True):
        assert re.match(REASONS[kind], entry.reason)
    silent = run(federation.experiment(*words, "attack=[dropout]", "attack.dropout.rate=1.0"))
    np.testing.assert_allclose(record.curve["value"], silent.curve["value"], atol=1e-5)


def test_dropout_is_recorded_as_no_reply(without_the_hostile: FederatedRun) -> None:
    log = without_the_hostile.log
    assert {entry.reason for entry in log.screened} == {"no reply"}
    assert log.skipped == []
    assert not np.array_equal(without_the_hostile.weights, final().weights)


def test_inflated_count_moves_a_weighted_run_and_not_a_plain_one() -> None:
    np.testing.assert_array_equal(final("attack=[inflated_count]").weights, final().weights)
    weighted = "aggregator.weighting=count"
    assert not np.array_equal(
        final("attack=[inflated_count]", weighted).weights, final(weighted).weights
    )


def test_faults_join_with_updates_and_both_are_recorded() -> None:
    (record,) = run_together([federation.experiment(*SMALL, "attack=[sign_flip,inflated_count]")])
    assert record.attack == "sign_flip+inflated_count"
    # the least of 5 (sign) and 999 (count)
    assert record.value("attack_distance") == pytest.approx(5.0, rel=1e-3)


# --- schedules


@pytest.mark.parametrize(
    ("first", "last", "every", "rounds"),
    [
        (1, None, 1, [1, 2, 3, 4, 5, 6]),
        (3, None, 1, [3, 4, 5, 6]),
        (2, 5, 2, [2, 4]),
        (6, None, 1, [6]),
        (1, 1, 3, [1]),
    ],
)
def test_schedule_names_the_rounds_attacked(
    first: int, last: int | None, every: int, rounds: list[int]
) -> None:
    made = Schedule(
        n_hostile=1,
        placement="random",
        knowledge="own",
        first_round=first,
        last_round=last,
        every=every,
    )
    assert [number for number in range(1, 7) if made.attacks_in(number)] == rounds


@pytest.mark.parametrize("attack", ["sign_flip", "label_flip", "constrain", "dropout"])
def test_every_kind_of_attack_keeps_to_the_schedule(attack: str) -> None:
    certain = ["attack.dropout.rate=1.0"] if attack == "dropout" else []
    alone, late = final(), final(f"attack=[{attack}]", "adversary.first_round=4", *certain)
    same = [
        np.array_equal(one, other)
        for one, other in zip(*(scores(one) for one in (alone, late)), strict=True)
    ]
    # the untrained model and rounds 1 to 3, then the attack
    assert same == [True] * 4 + [False] * 3


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["adversary.first_round=7"],
            "adversary.first_round=7: expected at most training.rounds=6",
        ),
        (
            ["adversary.first_round=3", "adversary.last_round=2"],
            "adversary.last_round=2: expected at least adversary.first_round=3",
        ),
    ],
)
def test_schedule_that_never_attacks_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(InputError) as refused:
        final("attack=[sign_flip]", *words)
    assert str(refused.value) == problem


def test_placement_chooses_the_largest_or_the_smallest_hospitals() -> None:
    sizes = {
        hospital.name: len(hospital.train) for hospital in final().experiment.consortium.hospitals
    }
    for placement, extreme in (("largest", max(sizes.values())), ("smallest", min(sizes.values()))):
        run = federation.experiment(*SMALL, f"adversary.placement={placement}")
        assert [sizes[name] for name in run.attack_plan.hostile] == [extreme]


# --- knowledge


@dataclasses.dataclass(frozen=True)
class Sent:
    """All that was sent so far, round by round."""

    rows: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Spy(Stateful[Knowledge, np.ndarray, Sent]):
    """Sends honest updates and keeps what it was given."""

    seen: list[Knowledge] = dataclasses.field(default_factory=list, compare=False)
    state: ClassVar[type] = Sent
    about: ClassVar[About] = About("Spy", "none", 2026, needs="own", uses="updates_and_rule")

    def advance(
        self, known: Knowledge, state: Sent | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, Sent]:
        self.seen.append(known)
        return known.own, Sent((*(() if state is None else state.rows), known.own))


Spy.__module__ = "attacks.byzantine.spy"  # an attack's package is its kind


def spied(knowledge: str, rounds: int = 2, *more: str) -> tuple[list[Knowledge], FederatedRun]:
    words = (
        f"training.rounds={rounds}",
        "attack=[sign_flip]",
        f"adversary.knowledge={knowledge}",
        "defense=median",
    )
    spied_on = federation.experiment(*words, *more)
    spy = Spy()
    return spy.seen, federation.finished(federation.attacked(spied_on, {"spy": spy}))


@pytest.mark.parametrize(
    ("knowledge", "calls", "own", "others", "rule"),
    [
        ("own", 3, 1, False, False),
        ("colluders", 1, 3, False, False),
        ("updates", 1, 3, True, False),
        ("updates_and_rule", 1, 3, True, True),
    ],
)
def test_an_attack_is_given_what_its_level_allows_and_no_more(
    knowledge: str, calls: int, own: int, others: bool, rule: bool
) -> None:
    seen, _ = spied(knowledge, rounds=1)
    assert len(seen) == calls
    for known in seen:
        assert len(known.own) == own
        assert (known.others is not None) == others
        assert (known.defense is not None) == rule
        assert (known.n_hospitals, known.n_hostile, known.round) == (12, 3, 1)


@pytest.mark.parametrize("knowledge", ["own", "updates"])
def test_a_state_lasts_over_the_rounds_and_alone_each_hospital_has_its_own(knowledge: str) -> None:
    seen, federated = spied(knowledge, rounds=3)
    states = list(federated.adversary.state.states.values())
    assert len(states) == (3 if knowledge == "own" else 1)
    given = [
        [known.own.tobytes() for known in seen[at :: len(states)]] for at in range(len(states))
    ]
    assert [[rows.tobytes() for rows in state.rows] for state in states] == given


def test_what_the_adversary_previews_is_what_the_aggregator_then_does() -> None:
    seen, run = spied("updates_and_rule", rounds=1)
    preview = seen[0].defense(seen[0].own)
    np.testing.assert_allclose(run.weights, (run.initial + preview).astype(np.float32), atol=1e-7)


def test_a_preview_leaves_no_trace_in_the_states_of_the_defense() -> None:
    seen, federated = spied("updates_and_rule", 2, "steps=[momentum]", "server_optimizer=fedadam")
    before = federated.aggregator.state.states
    shown = repr(before)
    assert len([state for state in before if state is not None]) == 2
    defense = seen[-1].defense
    assert defense is not None
    np.testing.assert_array_equal(defense(seen[-1].own), defense(seen[-1].own))
    assert federated.aggregator.state.states is before
    assert repr(before) == shown


def test_adaptive_attacks_are_recorded_as_adaptive() -> None:
    words = ("training.rounds=2", "defense=median")
    plans = [
        federation.experiment(*words, f"attack=[{name}]")
        for name in ("aggregation_tailored", "min_max")
    ]
    assert [record.adaptive for record in run_together(plans)] == [True, False]


def test_attacks_with_a_memory_are_the_same_in_lockstep_and_through_flowers_server() -> None:
    words = ("training.rounds=4", "defense=median")
    names = (
        "mimic",
        "free_rider",
        "neurotoxin",
        "aggregation_tailored",
        "replay",
        "straggler",
        "backdoor",
    )
    plans = [federation.experiment(*words, f"attack=[{name}]") for name in names]
    for plan, record in zip(plans, run_together(plans), strict=True):
        alone = run(plan)
        np.testing.assert_allclose(record.curve["value"], alone.curve["value"], atol=1e-5)
        assert record.value("attack_distance") == pytest.approx(
            alone.value("attack_distance"), rel=1e-4
        )
        assert (record.backdoor is None) == (alone.backdoor is None) == (plan.attack != "backdoor")
