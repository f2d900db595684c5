"""Whatever one hospital sends, the run completes, the hospital is named with the reason, and the
model is that of the others.
"""

from __future__ import annotations

import io
import signal
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy, deepcopy
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import numpy as np
import pytest
from flwr.app import Array, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from sim import evidence
from sim.config.settings import Server
from sim.design.batches import sample_rate
from sim.federation import wire
from sim.federation.driver import Roster, drive
from sim.federation.engines.local import LocalGrid, interrupts
from sim.federation.protocols.plain import capped
from sim.observers.evaluation import Evaluation
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, _grid
from sim.study.run import run as finished_run
from tests.federation import answer_drawn, drawn_update, experiment, finished
from tests.hostile_replies import BYTES, HOSTILE, Entry, Raises, changed, records, shared

ROUNDS, BAD = 2, 2  # switzerland, in the order of the names


NAME = "switzerland"


MEAN = experiment("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic")


TRIMMED = experiment(
    "consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic", "aggregator=trimmed_mean"
)


RULE = ("aggregator=trimmed_mean", "server.absent=count_as_hostile")


COUNTED = experiment("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic", *RULE)


N = MEAN.plan.network.n_params


# honest hospitals beside the hostile ones of one run, and how many these are
N_HONEST, A_RUN = 5, 45


LONGEST = 200  # characters of a recorded reason


# What only the network can refuse, because it knows who sends: a receiver cannot tell these from
# the other hospital's own.
SIGNED = (
    "signed: another hospital's and its message",
    "signed: another hospital's, by editing all",
)


Path_: TypeAlias = Callable[[Experiment, Sequence[Entry]], FederatedRun]


def one_hostile(entry: Entry) -> Callable[[Message, Context], Any]:
    """Three hospitals answer honestly, ``BAD`` does ``entry``."""

    def app(message: Message, context: Context) -> Any:
        return (entry if context.node_config[wire.PARTITION] == BAD else answer_drawn)(
            message, context
        )

    return app


def of_the_others(run: FederatedRun) -> NDArray[np.float64]:
    """The model of the honest hospitals among themselves: their plain mean, round by round."""
    rounds = [
        [drawn_update(len(run.initial), i, r) for i in range(4) if i != BAD]
        for r in range(1, ROUNDS + 1)
    ]
    return run.initial + np.mean(rounds, axis=1, dtype=np.float64).sum(axis=0)


def assert_held(run: FederatedRun, reason: str) -> None:
    """The hostile hospital is named with ``reason`` in each round, and no other; the model is that
    of the others.
    """
    log = run.log
    assert [(entry.round, entry.hospital) for entry in log.screened] == [
        (r, NAME) for r in range(1, ROUNDS + 1)
    ]
    assert all(reason in entry.reason and "\n" not in entry.reason for entry in log.screened)
    assert log.skipped == []
    np.testing.assert_allclose(run.weights, of_the_others(run), atol=1e-6)


# --- the table


def federation(n_hostile: int, *words: str) -> Experiment:
    """``N_HONEST`` hospitals and ``n_hostile`` more, one for each hostile reply."""
    return experiment(
        "consortium=synthetic",
        f"consortium.n_hospitals={N_HONEST + n_hostile}",
        "consortium.n_records=10",
        "consortium.n_features=4",
        "consortium.test_fraction=0.5",
        "adversary.n_hostile=0",
        f"training.rounds={ROUNDS}",
        "model=logistic",
        *words,
    )


def chunks() -> Iterator[dict[str, tuple[Entry, str]]]:
    """The table in parts: one federation for each."""
    names = list(HOSTILE)
    return (
        {name: HOSTILE[name] for name in names[at : at + A_RUN]}
        for at in range(0, len(names), A_RUN)
    )


def app_of(entries: Sequence[Entry]) -> Callable[[Message, Context], Any]:
    """``N_HONEST`` hospitals answer honestly; each of the next does one of the entries."""

    def app(message: Message, context: Context) -> Any:
        place = int(context.node_config[wire.PARTITION]) - N_HONEST
        return answer_drawn(message, context) if place < 0 else entries[place](message, context)

    return app


def hostile_app(entries: Sequence[Entry]) -> ClientApp:
    app = ClientApp()
    app.train()(app_of(entries))
    return app


def through_flowers_server(run: Experiment, entries: Sequence[Entry]) -> FederatedRun:
    return finished(run, app_of(entries))


def in_lockstep(run: Experiment, entries: Sequence[Entry]) -> FederatedRun:
    federated, other = (
        FederatedRun(run),
        FederatedRun(run, 1 + len(run.consortium)),
    )  # what happens to one run is no matter to the other
    drive(
        [federated, other],
        _grid([federated, other], lambda _: hostile_app(entries)),
        lambda _: None,
    )
    np.testing.assert_array_equal(federated.weights, other.weights)
    return federated


class Network(LocalGrid):
    """A grid whose hospitals are honest, and on whose way back the hostile ones' replies are
    replaced, by no check of its own.
    """

    entries: Sequence[Entry]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Any]:
        asked = list(messages)
        replies: list[Any] = super().send_and_receive(asked, timeout=timeout)
        for place, (entry, message) in enumerate(
            zip(self.entries, asked[N_HONEST:], strict=False), N_HONEST
        ):
            try:
                with interrupts(), np.errstate():
                    replies[place] = entry(deepcopy(message), wire.context(place + 1, place))
            except BaseException:  # nothing arrives of it
                replies[place] = None
        return replies


def over_the_network(run: Experiment, entries: Sequence[Entry]) -> FederatedRun:
    federated = FederatedRun(run)
    nodes = federated.roster.nodes.values()
    apps = dict.fromkeys(nodes, hostile_app([answer_drawn] * len(entries)))
    grid = Network(apps, {node: place for place, node in enumerate(nodes)})
    grid.entries = entries
    federated.server_app()(
        grid, Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    )
    return federated


def assert_alone_refused(
    run: FederatedRun, names: Sequence[str], reasons: Sequence[str | None]
) -> None:
    """Every hostile hospital is named in every round with its reason, no honest one is, and the
    model is the honest ones'.
    """
    consortium, log = run.experiment.consortium.names, run.log
    for round_ in range(1, ROUNDS + 1):
        found = {entry.hospital: entry.reason for entry in log.screened if entry.round == round_}
        assert list(found) == list(consortium[N_HONEST:])
        for name, expected, reason in zip(names, reasons, found.values(), strict=True):
            assert expected is None or expected in reason, (name, reason)
            assert reason.isprintable()
            assert len(reason) <= LONGEST
    assert log.skipped == []
    rounds = [
        [drawn_update(len(run.initial), i, r) for i in range(N_HONEST)]
        for r in range(1, ROUNDS + 1)
    ]
    np.testing.assert_allclose(
        run.weights, run.initial + np.mean(rounds, axis=1, dtype=np.float64).sum(axis=0), atol=1e-6
    )


def test_the_table_has_many_entries_of_each_kind() -> None:
    kinds = Counter(name.partition(":")[0] for name in HOSTILE)
    assert sum(kinds.values()) >= 150
    assert min(kinds.values()) >= 10


@pytest.mark.parametrize("path", [through_flowers_server, in_lockstep])
@pytest.mark.parametrize("part", range(len(list(chunks()))))
def test_whatever_an_app_does_its_hospital_alone_is_refused(
    part: int, path: Path_, tmp_path: Path
) -> None:
    entries = list(chunks())[part]
    run = path(federation(len(entries)), [entry for entry, _ in entries.values()])
    assert_alone_refused(run, list(entries), [reason for _, reason in entries.values()])
    record = run.record(lambda *_: [], 0.0)
    evidence.append(tmp_path, record)
    assert evidence.read(tmp_path)[0].screened == record.screened == run.log.screened


@pytest.mark.parametrize("part", range(len(list(chunks()))))
def test_whatever_arrives_the_hospital_that_it_is_from_alone_is_refused(part: int) -> None:
    entries = {name: entry for name, entry in list(chunks())[part].items() if name not in SIGNED}
    run = over_the_network(federation(len(entries)), [entry for entry, _ in entries.values()])
    assert_alone_refused(run, list(entries), [None] * len(entries))


@pytest.mark.parametrize("part", range(len(list(chunks()))))
def test_a_run_under_attack_completes_beside_replies_that_are_not_usable(part: int) -> None:
    entries = list(chunks())[part]
    words = ["adversary.n_hostile=9", "attack=[sign_flip,label_flip,inflated_count]"]
    record = finished_run(
        federation(len(entries), *words),
        app=lambda _: hostile_app([entry for entry, _ in entries.values()]),
    )
    named = {(entry.round, entry.hospital) for entry in record.screened}
    names = [f"hospital_{place:02}" for place in range(N_HONEST + 1, N_HONEST + len(entries) + 1)]
    assert named == {(round_, name) for round_ in range(1, ROUNDS + 1) for name in names}
    assert record.skipped_rounds == []


ODD = {  # values that are finite and of the agreed form, however they lie in memory
    "negative zeros": lambda u: np.copysign(np.zeros_like(u), -1),
    "the least numbers there are": lambda u: np.full_like(u, np.float32(1e-45)),
    "the largest numbers there are": lambda u: np.full_like(u, np.finfo(np.float32).max),
    "last to first": lambda u: u[::-1],
    "every second": lambda u: np.repeat(u, 2)[::2],
    "one number many times": lambda u: np.broadcast_to(np.float32(0.5), u.shape),
    "a type with more in it": lambda u: u.view(np.dtype("f4", metadata={"more": Raises()})),
}


@pytest.mark.parametrize("form", ODD.values(), ids=ODD.keys())
def test_an_update_of_the_agreed_form_is_read_to_the_last_bit_wherever_it_lies(form: Any) -> None:
    asked = wire.ask(1, np.zeros(N, np.float32), wire.settings(MEAN.text), {1: NAME})[0]
    sent = form(drawn_update(N, 0, 1))
    reply = changed(
        wire.answer(drawn_update(N, 0, 1), 50, {}, asked), _content=records(shared(sent))
    )
    read = wire.read_report(reply, N, 50).update
    assert read.tobytes() == np.array(sent, np.float32).tobytes()
    assert type(read) is np.ndarray
    assert read.dtype is np.dtype(np.float32)
    assert read.flags.owndata
    assert not np.shares_memory(read, sent)


def test_a_serialized_update_of_the_agreed_form_is_read_to_the_last_bit() -> None:
    wire.enter_process()
    asked = wire.ask(1, np.zeros(N, np.float32), wire.settings(MEAN.text), {1: NAME})[0]
    sent = drawn_update(N, 0, 1)
    reply = changed(wire.answer(sent, 50, {}, asked), _content=records(Array(sent)))
    assert wire.read_report(reply, N, 50).update.tobytes() == sent.tobytes()


def test_nothing_is_decoded_and_no_memory_is_taken_for_what_is_not_of_the_agreed_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded = list[Any]()
    monkeypatch.setattr(np, "load", lambda *_, **__: decoded.append(1))
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: decoded.append(1))
    monkeypatch.setattr(Array, "numpy", lambda _: decoded.append(1))
    wire.enter_process()
    asked = wire.ask(1, np.zeros(5, np.float32), wire.settings("0" * 64), [7])[0]
    replies = []
    for name, (entry, _) in HOSTILE.items():
        if name.startswith(("update", "bytes", "description", "records", "count", "number")):
            replies.append(entry(asked, wire.context(7, 6)))
    tracemalloc.start()
    for reply in replies:
        with pytest.raises(wire.UnusableError):
            wire.read_report(reply, 5, 100)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded == []
    assert most < 10**6
    assert not Path("flag-of-a-pickled-reply").exists()


KINDS_OF_FAILURE = ["update: nan first", "bytes: a bomb", "count: zero records"]


@pytest.mark.parametrize("kind", KINDS_OF_FAILURE)
def test_a_hospital_that_fails_leaves_the_number_of_hostile_ones_that_the_rule_withstands(
    kind: str,
) -> None:
    # trims 1 of 4, and 1 of the 3 that are left at each end
    run = finished(TRIMMED, one_hostile(HOSTILE[kind][0]))
    rounds = [
        [drawn_update(len(run.initial), i, r) for i in range(4) if i != BAD]
        for r in range(1, ROUNDS + 1)
    ]
    assert len(run.log.screened) == ROUNDS
    np.testing.assert_allclose(
        run.weights, run.initial + np.median(rounds, axis=1).sum(axis=0), atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS_OF_FAILURE)
def test_on_request_a_hospital_that_fails_counts_as_one_of_those_that_the_rule_must_withstand(
    kind: str,
) -> None:
    entry, reason = HOSTILE[kind]
    # trims 1 of 4, and 0 of the 3 that are left
    assert_held(finished(COUNTED, one_hostile(entry)), reason)


def test_the_honest_federation_differs_from_that_of_the_others_alone() -> None:
    run = finished(MEAN, answer_drawn)
    assert run.log.screened == []
    assert np.abs(run.weights - of_the_others(run)).max() > 1e-3


def test_the_pickles_of_the_table_are_bombs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.load(io.BytesIO(BYTES["a pickled array"][0](np.zeros(3, np.float32))), allow_pickle=True)
    assert Path("flag-of-a-pickled-reply").exists()


def test_no_hospital_can_change_what_another_one_gets() -> None:
    seen: list[NDArray[np.float32]] = []

    def app(message: Message, context: Context) -> Message:
        task = wire.read_task(message)
        seen.append(task.weights.copy())
        reply = answer_drawn(message, context)
        task.weights[:] = np.nan
        message.content.config_records[wire.CONFIG][wire.ROUND] = 99
        return reply

    run = finished(MEAN, app)
    assert run.log.screened == []
    assert all((weights == seen[i // 4 * 4]).all() for i, weights in enumerate(seen))
    assert np.isfinite(run.weights).all()


def from_bad(reply: Message) -> bool:
    return reply.metadata.src_node_id == BAD + 1


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_hospital_that_replies_more_than_once_is_left_out(times: int) -> None:
    run = finished(
        MEAN,
        answer_drawn,
        lambda replies: [r for r in replies for _ in range(times if from_bad(r) else 1)],
    )
    assert_held(run, "more than one reply")


def test_an_unusable_reply_buys_no_second_try() -> None:
    def tamper(replies: list[Message]) -> Iterable[Message]:
        for reply in replies:
            if from_bad(reply):
                yield wire.replaced(reply, np.full(N, np.nan, np.float32))
            yield reply

    assert_held(finished(MEAN, answer_drawn, tamper), "more than one reply")


def test_a_hospital_that_never_replies_is_left_out() -> None:
    run = finished(
        MEAN, answer_drawn, lambda replies: [reply for reply in replies if not from_bad(reply)]
    )
    assert_held(run, "no reply")


def test_a_reply_of_a_node_that_is_not_enrolled_changes_nothing() -> None:
    def tamper(replies: list[Message]) -> Iterable[Message]:
        if not replies:  # nothing was asked
            return []
        stranger = wire.replaced(replies[BAD], np.full(N, 7, np.float32))
        stranger.__dict__["_metadata"] = copy(stranger.metadata)
        stranger.metadata.__dict__["_src_node_id"] = 99
        return [stranger, *replies]

    run = finished(MEAN, answer_drawn, tamper)
    assert run.log.screened == []
    np.testing.assert_array_equal(run.weights, finished(MEAN, answer_drawn).weights)


def test_a_late_reply_to_something_else_does_not_spoil_the_right_one() -> None:
    last: list[Message] = []

    def tamper(replies: list[Message]) -> Iterable[Message]:
        late = [*last]
        last[:] = replies or last
        return [*late, *replies] if replies else []

    run = finished(MEAN, answer_drawn, tamper)
    assert run.log.screened == []
    np.testing.assert_array_equal(run.weights, finished(MEAN, answer_drawn).weights)


def test_what_an_app_does_to_its_context_lasts_only_in_its_state() -> None:
    seen: list[tuple[int, int, int]] = []

    def app(message: Message, context: Context) -> Message:
        rounds = len(context.state.config_records)
        seen.append((context.node_id, int(context.node_config[wire.PARTITION]), rounds))
        reply = answer_drawn(message, context)
        context.state = RecordDict({f"round {i}": ConfigRecord() for i in range(rounds + 1)})
        context.node_id, context.run_config["rounds"] = 99, 1
        context.node_config.clear()
        return reply

    run = finished(MEAN, app)
    assert seen == [(place + 1, place, round_) for round_ in range(ROUNDS) for place in range(4)]
    assert run.log.screened == []


def test_a_state_that_is_none_is_not_taken_over() -> None:
    def app(message: Message, context: Context) -> Message:
        assert isinstance(context.state, RecordDict)
        reply = answer_drawn(message, context)
        context.__dict__["state"] = Raises()
        return reply

    assert finished(MEAN, app).log.screened == []


@pytest.mark.parametrize("swallowed", [False, True])
def test_ctrl_c_ends_the_run_also_where_an_app_catches_it(swallowed: bool) -> None:
    called: list[int] = []

    def app(message: Message, context: Context) -> Message:
        called.append(1)
        with suppress(*[KeyboardInterrupt] if swallowed else []):
            signal.raise_signal(signal.SIGINT)  # what the terminal does at Ctrl-C
        return answer_drawn(message, context)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        finished(MEAN, app)
    assert len(called) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_ctrl_c_that_somebody_else_deals_with_is_left_to_them() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: received.append(1))
    try:

        def app(message: Message, context: Context) -> Message:
            signal.raise_signal(signal.SIGINT)
            return answer_drawn(message, context)

        assert finished(MEAN, app).log.screened == []
        assert len(received) == 4 * ROUNDS
    finally:
        signal.signal(signal.SIGINT, before)


def test_apps_are_asked_in_other_threads_too() -> None:
    runs: list[FederatedRun] = []
    thread = Thread(
        target=lambda: runs.append(finished(MEAN, one_hostile(HOSTILE["raises: an interrupt"][0])))
    )
    thread.start()
    thread.join()
    assert_held(runs[0], "KeyboardInterrupt()")


# --- what hospitals report


@pytest.mark.parametrize("epsilon", [-5.0, 0.0, 1e308, 2.9, 5])
def test_a_reported_epsilon_is_never_recorded_as_spent_and_its_hospital_is_named(
    epsilon: float,
) -> None:
    private = experiment(
        "consortium=heart4",
        "training.rounds=1",
        "model=logistic",
        "dp=record",
        "dp.target_epsilon=null",
        "dp.noise_multiplier=2",
    )
    spent = {
        hospital.name: private.plan.dp.epsilon([_plan(private, len(hospital.train))])
        for hospital in private.consortium.hospitals
    }

    def app(message: Message, context: Context) -> Message:
        place, task = int(context.node_config[wire.PARTITION]), wire.read_task(message)
        stated = epsilon if place == BAD else spent[private.consortium.names[place]]
        return wire.answer(
            drawn_update(len(task.weights), place, task.round), 50, {"epsilon": stated}, message
        )

    record = finished(private, app).record(lambda *_: [], 0.0)
    assert record.privacy is not None
    assert {name: record.value("epsilon", name) for name in spent} == spent
    assert record.value("epsilon") == max(spent.values())
    assert [entry.hospital for entry in record.disputed] == [NAME]
    assert (
        f"spent epsilon {epsilon:.6g}; the plan gives {spent[NAME]:.6g}"
        in record.disputed[0].reason
    )
    assert record.screened == []


def _plan(private: Experiment, n_train: int) -> tuple[float, float, int]:
    training = private.settings.training
    return (
        private.plan.dp.noise(n_train, training),
        sample_rate(n_train, training),
        training.rounds * training.steps(n_train),
    )


def test_what_the_projects_own_hospitals_report_is_the_plans() -> None:
    words = (
        "consortium=heart4",
        "training.rounds=3",
        "model=logistic",
        "dp=record",
        "attack=[label_flip]",
    )
    record = finished_run(experiment(*words))
    assert record.privacy is not None
    assert record.disputed == []


def test_an_epsilon_is_named_also_where_nobody_agreed_on_privacy() -> None:
    def app(message: Message, context: Context) -> Message:
        task, place = wire.read_task(message), int(context.node_config[wire.PARTITION])
        numbers = {"epsilon": 1.0} if place == BAD else {}
        return wire.answer(drawn_update(len(task.weights), place, task.round), 50, numbers, message)

    record = finished(MEAN, app).record(lambda *_: [], 0.0)
    assert record.privacy is None
    assert [entry.hospital for entry in record.disputed] == [NAME]


def test_a_hospital_without_a_node_is_recorded_in_every_round() -> None:
    federated = FederatedRun(MEAN)
    federated.roster = Roster.enrolled(
        federated.plan.hospitals,
        {7: 0, 8: 1, 9: 3},
        ["node 5: partition 99, expected a whole number from 0 to 3"],
    )
    grid = LocalGrid(dict.fromkeys((7, 8, 9), hostile_app([])), {7: 0, 8: 1, 9: 3})
    federated.server_app()(
        grid, Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    )
    assert_held(federated, "no node was enrolled as this hospital; node 5: partition 99")


@pytest.mark.parametrize("rule", ["mean", "median", "trimmed_mean", "geometric_median"])
def test_a_round_without_a_usable_reply_is_skipped_and_the_model_stays(rule: str) -> None:
    def app(message: Message, context: Context) -> Message:
        reply = answer_drawn(message, context)
        return (
            wire.replaced(reply, np.full(N, np.nan, np.float32))
            if wire.read_task(message).round == 1
            else reply
        )

    run = finished(
        experiment(
            "consortium=heart4", "training.rounds=2", "model=logistic", f"aggregator={rule}"
        ),
        app,
    )
    assert run.log.skipped == [1]
    assert len(run.log.screened) == 4
    np.testing.assert_array_equal(*run.observer(Evaluation).state.scores[:2])
    assert (run.weights != run.initial).any()


@pytest.mark.parametrize(("absent", "needed"), [("keep", 9), ("count_as_hostile", 3)])
def test_a_round_with_too_few_replies_for_the_rule_is_skipped(absent: str, needed: int) -> None:
    words = (
        "consortium=heart12",
        "training.rounds=1",
        "model=logistic",
        "aggregator=krum",
        f"server.absent={absent}",
    )
    # against 3 hostile ones it needs 9 rows; with 6 missing none is left to withstand, and it needs
    # 3
    krum = experiment(*words)
    enough = finished(krum, answer_drawn, lambda replies: replies[:needed])
    assert enough.log.skips == []
    run = finished(krum, answer_drawn, lambda replies: replies[: needed - 1])
    (skipped,) = run.log.skips
    assert (skipped.round, skipped.cause, len(skipped.missing)) == (1, "absent", 12 - needed + 1)
    assert skipped.reason.startswith(f"n_rows={needed - 1}, n_hostile=")
    np.testing.assert_array_equal(run.weights, run.initial)


def test_updates_as_large_as_float32_holds_do_not_stop_the_run() -> None:
    def app(message: Message, context: Context) -> Message:
        reply, task = answer_drawn(message, context), wire.read_task(message)
        return wire.replaced(reply, np.full(N, 3e38, np.float32)) if task.round < 6 else reply

    run = finished(experiment("consortium=heart4", "training.rounds=6", "model=logistic"), app)
    assert run.log.skipped == [2, 3, 4, 5]  # what float32 cannot hold is no model
    assert np.isfinite(run.weights).all()
    assert np.isfinite(run.observer(Evaluation).state.scores).all()


def test_a_lie_about_records_gains_no_more_than_the_cap() -> None:
    lie, cap = 10**6, 3.0
    weighted = experiment(
        "consortium=heart4",
        "training.rounds=1",
        "model=logistic",
        "aggregator.weighting=count",
        f"server.weight_cap={cap}",
    )

    def app(message: Message, context: Context) -> Message:
        liar = context.node_config[wire.PARTITION] == BAD
        return wire.answer(np.full(N, float(liar), np.float32), lie if liar else 50, {}, message)

    run = finished(weighted, app)
    assert run.log.screened == []
    np.testing.assert_allclose(run.weights - run.initial, cap / (cap + 3), atol=1e-6)


def test_honest_counts_below_the_cap_keep_their_weight() -> None:
    np.testing.assert_array_equal(
        capped([40, 50, 60, 100], Server(max_records=1000, weight_cap=3.0)), [40, 50, 60, 100]
    )
    np.testing.assert_array_equal(
        capped([40, 50, 60, 500], Server(max_records=1000, weight_cap=3.0)), [40, 50, 60, 165]
    )


def test_a_reply_states_of_itself_what_flowers_own_does_also_to_a_delivered_message() -> None:
    wire.enter_process()
    asked = wire.ask(1, np.zeros(3, np.float32), wire.settings("0" * 64), [7])[0]
    asked.metadata.delivered_at = "2026-01-01"
    wire.stamp(asked, "1")
    ours = wire.answer(np.ones(3, np.float32), 5, {}, asked)
    theirs = Message(ours.content, reply_to=asked)
    moment = ("_created_at", "_ttl")
    found, expected = (
        {key: value for key, value in vars(one.metadata).items() if key not in moment}
        for one in (ours, theirs)
    )
    assert found == expected


def test_an_absence_of_others_leaves_replies_that_are_none_to_the_screening() -> None:
    words = ("adversary.n_hostile=0", "attack=[honest_absence]", "attack.honest_absence.rate=0.01")
    run = experiment("consortium=heart4", "model=logistic", "training.rounds=1", *words)
    log = finished(run, answer_drawn, lambda replies: [None, 3, *replies[2:]]).log
    assert [lost.reason for lost in log.screened] == ["no reply", "no reply"]
