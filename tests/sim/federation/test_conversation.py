"""A protocol of several trips goes through the driver of plain rounds, on every engine, and attacks
come before its masks.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from sim import plugins
from sim.federation import wire
from sim.federation.driver import drive
from sim.federation.engines.local import LocalGrid
from sim.federation.protocols.plain import protocol_of
from sim.federation.wire import Content
from sim.observers.evaluation import Evaluation
from sim.study import checkpoints
from sim.study.experiment import Experiment
from sim.study.run import FederatedRun, _grid, advance, run, run_together, together
from tests import ROOT
from tests.federation import experiment, finished

PACKAGES = ROOT / "tests" / "packages"
NO_RAY = find_spec("ray") is None and "Ray is not installed: pip install 'wardround[ray]'"
ROUNDS = 3
SMALL = ("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic")
MASKED = ("plugins=[masked_sum]", "secagg._target_=masked_sum.MaskedSum")
BAD = "switzerland"
N = experiment(*SMALL).plan.network.n_params


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's package is chosen, here and in processes that are started."""
    monkeypatch.syspath_prepend(PACKAGES)
    paths = (str(PACKAGES), str(ROOT), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv(plugins.CHOSEN, "masked_sum")


def masked(*words: str) -> Experiment:
    return experiment(*SMALL, *MASKED, *words)


def clear_sum(*words: str) -> Experiment:
    """The same sum over updates in the clear, in one trip."""
    return experiment(*SMALL, MASKED[0], "secagg._target_=masked_sum.ClearSum", *words)


def states_of(one: FederatedRun) -> Any:
    return one.observer(Evaluation).state.scores


# --- through one driver

DESIGNS = [
    (),
    ("attack=[sign_flip]",),
    ("attack=[honest_absence,dropout]", "attack.dropout.rate=0.5"),
    ("dp=record",),
]
PRIVATE = ("dp.target_epsilon=null", "dp.noise_multiplier=1.0")


def with_account(words: tuple[str, ...]) -> tuple[str, ...]:
    return (*words, *PRIVATE) if "dp=record" in words else words


@pytest.mark.parametrize("words", DESIGNS, ids=str)
def test_three_trips_give_the_model_of_the_plain_sum_of_quantized_updates_to_the_last_digit(
    words: tuple[str, ...],
) -> None:
    words = with_account(words)
    one, plain = finished(masked(*words)), finished(clear_sum(*words))
    assert not one.aggregator.protocol.is_clear
    assert plain.aggregator.protocol.is_clear
    assert one.weights.tobytes() == plain.weights.tobytes()
    assert (one.weights != one.initial).any()
    assert {lost.hospital for lost in one.log.screened} == {
        lost.hospital for lost in plain.log.screened
    }


def test_runs_of_one_trip_and_of_three_advance_together_as_they_do_alone() -> None:
    designs = [
        experiment(*SMALL),
        masked(),
        experiment(*SMALL, "attack=[sign_flip,dropout]", "aggregator=median"),
        masked("attack=[sign_flip]", f"training.rounds={ROUNDS + 2}"),
        masked("attack=[honest_absence]"),
    ]
    runs, node = list[FederatedRun](), 1
    for design in designs:
        runs.append(FederatedRun(design, node))
        node += 4
    drive(runs, _grid(runs), lambda _: None)
    for design, together_ in zip(designs, runs, strict=True):
        alone = finished(design)
        np.testing.assert_array_equal(together_.weights, alone.weights)
        assert together_.log.screened == alone.log.screened


def test_three_trips_leave_the_same_evidence_in_lockstep_and_through_flowers_server() -> None:
    designs = [masked("attack=[sign_flip,label_flip]"), experiment(*SMALL), masked()]
    for design, record in zip(designs, run_together(designs), strict=True):
        assert record.model_dump(exclude={"seconds"}) == run(design).model_dump(exclude={"seconds"})
        assert record.skipped_rounds == []


class Counting(LocalGrid):
    """A local grid that counts the messages of each type."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.types = list[str]()

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        asked = list(messages)
        self.types += [message.metadata.message_type for message in asked]
        return super().send_and_receive(asked, timeout=timeout)


def sent_by(design: Experiment) -> Counter[str]:
    one = FederatedRun(design)
    partitions = {node: place for place, node in enumerate(one.roster.nodes.values())}
    grid = Counting({}, partitions, together(dict.fromkeys(partitions, design.source)))
    drive([one], grid, lambda _: None)
    return Counter(grid.types)


def test_only_where_the_adversary_acts_is_an_update_shown_before_its_upload() -> None:
    each = 4 * ROUNDS
    assert sent_by(experiment(*SMALL, "attack=[sign_flip]")) == {wire.TRAIN: each}
    assert sent_by(masked()) == {wire.TRAIN: each, wire.TRIP: 2 * each}
    acting = sent_by(masked("attack=[sign_flip]", "adversary.first_round=2"))
    assert acting == {
        wire.TRAIN: 4,
        wire.CLEAR: each - 4,
        wire.UPLOAD: each - 4,
        wire.TRIP: 2 * each,
    }


@pytest.mark.skipif(bool(NO_RAY), reason=str(NO_RAY))
@pytest.mark.parametrize(
    "words",
    [(), ("attack=[sign_flip,dropout]", "attack.dropout.rate=0.5", "adversary.n_hostile=2")],
)
def test_three_trips_give_the_same_model_on_ray(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    models, record = list[np.ndarray](), FederatedRun.record

    def spy(one: FederatedRun, *rest: Any) -> Any:
        models.append(one.weights)
        return record(one, *rest)

    monkeypatch.setattr(FederatedRun, "record", spy)
    one = masked(*words)
    there, here = run(masked("engine=ray", *words)), run(one)
    assert one.plan.quantization is not None
    # an update that lies between two steps of the ring is rounded to either, by its last float32
    # digits: that moves a mean of n hospitals by the n-th part of a step
    np.testing.assert_allclose(*models, atol=one.plan.quantization.step)
    assert np.isclose(*models, atol=1e-6, rtol=0).mean() > 0.8
    assert [(lost.round, lost.hospital) for lost in there.screened] == [
        (lost.round, lost.hospital) for lost in here.screened
    ]
    assert there.skipped_rounds == []


# --- attacks come before the masks


@pytest.mark.parametrize(
    "attack",
    ["sign_flip", "alie", "inflated_count", "replay", "straggler", "free_rider", "label_flip"],
)
def test_an_attack_under_masks_is_the_attack_in_the_clear_up_to_quantization(attack: str) -> None:
    words = (f"attack=[{attack}]", "adversary.n_hostile=2")
    one, plain = finished(masked(*words)), finished(clear_sum(*words))
    np.testing.assert_array_equal(one.weights, plain.weights)
    assert one.adversary.moved == plain.adversary.moved


def test_an_attack_under_masks_moves_the_model_as_the_one_in_the_clear() -> None:
    words = ("training.rounds=1", "attack=[model_replacement,label_flip]")
    honest = finished(experiment(*SMALL, words[0]))
    under, clear = finished(masked(*words)), finished(experiment(*SMALL, *words))
    moved = np.linalg.norm(clear.weights - honest.weights)
    assert np.linalg.norm(under.weights - clear.weights) < 1e-3 * moved


@pytest.mark.parametrize("kind", ["not_a_number", "infinity", "dtype"])
def test_what_cannot_be_masked_fails_in_the_hostile_hospital(kind: str) -> None:
    one = finished(masked("attack=[malformed]", f"attack.malformed.kind={kind}"))
    assert [(lost.round, lost.hospital) for lost in one.log.screened] == [
        (n, *one.attack.hostile) for n in range(1, ROUNDS + 1)
    ]
    assert all(
        lost.reason.startswith("train: the hospital's app failed: ") for lost in one.log.screened
    )
    assert one.log.skipped == []
    np.testing.assert_array_equal(
        one.weights, finished(clear_sum("attack=[dropout]", "attack.dropout.rate=1")).weights
    )


# --- hospitals that drop out, and hostile replies, at each trip

Entry = Callable[[Message, Message], Any]  # the message and the honest reply -> what arrives
TRIPS = ("keys", "train", "unmask")


class Network(LocalGrid):
    """A local grid on whose way back one hospital's reply in one kind of trip is replaced."""

    kind: str
    entry: Entry
    node: int

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Any]:
        asked, found = list(messages), list[Any]()
        for message, reply in zip(
            asked, super().send_and_receive(asked, timeout=timeout), strict=True
        ):
            tampered = (
                wire.receiver(message) == self.node and wire.read_trip(message)[0] == self.kind
            )
            arrives = self.entry(message, reply) if tampered else reply
            found += arrives if isinstance(arrives, list) else [arrives]
        return found


def tampered(design: Experiment, kind: str, entry: Entry) -> FederatedRun:
    one = FederatedRun(design)
    partitions = {node: place for place, node in enumerate(one.roster.nodes.values())}
    grid = Network({}, partitions, together(dict.fromkeys(partitions, design.source)))
    grid.kind, grid.entry, grid.node = kind, entry, one.roster.nodes[BAD]
    drive([one], grid, lambda _: None)
    return one


def content(make: Callable[[Message], RecordDict]) -> Entry:
    return lambda message, _: Message(make(message), reply_to=message)


def arrays(**values: np.ndarray) -> Entry:
    return lambda message, _: wire.holding(Content(arrays=values), message)


def values(**given: Any) -> Entry:
    return lambda message, _: wire.holding(Content(values=given), message)


def changed(reply: Message, name: str, value: Any) -> Message:
    """The reply with one array of it replaced, without Flower's checks."""
    (key,) = vars(reply.content)["_data"]
    record = ArrayRecord()
    array = wire.SharedArray(np.zeros(N, np.uint32))
    array.__dict__["values"] = value
    vars(record)["_data"][name] = array
    return wire.copied(reply, _content=wire.copied(reply.content, _data={key: record}))


EVERYWHERE: dict[str, tuple[Entry, str]] = {
    "nothing": (lambda *_: [], "no reply"),
    "none": (lambda *_: None, "no reply"),
    "twice": (lambda _, reply: [reply, reply], "more than one reply"),
    "an error": (
        lambda message, _: wire.failed("down", message),
        "the hospital's app failed: down",
    ),
    "a refusal": (
        lambda message, _: wire.refused("plan", message),
        "the hospital refuses: ",
    ),
    "no content": (content(lambda _: RecordDict()), "records [], expected"),
    "other records": (
        content(lambda _: RecordDict({"x": MetricRecord({"a": 1})})),
        "records ['x'], expected",
    ),
    "a plain upload": (
        lambda message, _: wire.answer(np.zeros(N, np.float32), 5, {}, message),
        "records ['arrays', 'metrics']",
    ),
    "an empty reply": (lambda message, _: wire.holding(wire.NOTHING, message), "expected"),
    "the message itself": (lambda message, _: message, "no reply"),
    "a number": (lambda *_: 7, "no reply"),
}
OF_KEYS: dict[str, tuple[Entry, str]] = {
    "a text": (values(key="1"), "value key is 1, expected int"),
    "a truth value": (values(key=True), "value key is True, expected int"),
    "a fraction": (values(key=1.5), "value key is 1.5, expected int"),
    "too large": (values(key=2**40), "value key is"),
    "very large": (values(key=2**62), "value key is"),
    "bytes": (values(key=b"k"), "value key is"),
    "a list": (values(key=[1]), "value key is [1], expected int"),
    "another name": (values(token=1), "values ['token'], expected key"),
    "two values": (values(key=1, more=2), "values ['key', 'more'], expected key"),
    "an array": (arrays(key=np.zeros(2)), "records ['arrays'], expected config"),
}
OF_ARRAYS: dict[str, tuple[Callable[[str], Entry], str]] = {
    "floats": (
        lambda name: arrays(**{name: np.zeros(N, np.float32)}),
        "has dtype float32, expected uint32",
    ),
    "signed": (lambda name: arrays(**{name: np.zeros(N, np.int32)}), "has dtype int32"),
    "wider": (lambda name: arrays(**{name: np.zeros(N, np.uint64)}), "has dtype uint64"),
    "other byte order": (lambda name: arrays(**{name: np.zeros(N, ">u4")}), "has dtype >u4"),
    "one too few": (
        lambda name: arrays(**{name: np.zeros(N - 1, np.uint32)}),
        f"has shape ({N - 1},), expected ({N},)",
    ),
    "a row": (lambda name: arrays(**{name: np.zeros((1, N), np.uint32)}), f"has shape (1, {N})"),
    "a hundred million": (
        lambda name: arrays(**{name: np.broadcast_to(np.uint32(1), 10**8)}),
        "has shape (100000000,)",
    ),
    "another name": (
        lambda _: arrays(update=np.zeros(N, np.uint32)),
        "arrays ['update'], expected",
    ),
    "two arrays": (
        lambda name: arrays(**{name: np.zeros(N, np.uint32), "x": np.zeros(N, np.uint32)}),
        "arrays [",
    ),
    "values beside": (
        lambda name: (
            lambda m, _: wire.holding(Content({name: np.zeros(N, np.uint32)}, {}, {"x": 1}), m)
        ),
        "records ['arrays', 'config'], expected arrays",
    ),
    "a list for an array": (
        lambda name: lambda _, reply: changed(reply, name, [0] * N),
        "expected an array of numpy",
    ),
}
CASES = [
    *((kind, entry, reason) for kind in TRIPS for entry, reason in EVERYWHERE.values()),
    *(("keys", entry, reason) for entry, reason in OF_KEYS.values()),
    *(
        (kind, make(name), reason)
        for kind, name in (("train", "masked"), ("unmask", "masks"))
        for make, reason in OF_ARRAYS.values()
    ),
]


@pytest.mark.parametrize(("kind", "entry", "reason"), CASES)
def test_an_unusable_reply_in_any_trip_names_its_hospital_alone(
    kind: str, entry: Entry, reason: str
) -> None:
    one = tampered(masked("training.rounds=2"), kind, entry)
    assert [(lost.round, lost.hospital) for lost in one.log.screened] == [(1, BAD), (2, BAD)]
    assert all(
        lost.reason.startswith(f"{kind}: ") and reason in lost.reason for lost in one.log.screened
    )
    assert one.log.skipped == ([1, 2] if kind == "unmask" else [])


@pytest.mark.parametrize("kind", ["keys", "train"])
def test_a_hospital_that_drops_out_is_left_out_of_the_sum(kind: str) -> None:
    plain = clear_sum()
    one = tampered(masked(), kind, lambda *_: [])
    assert one.log.skipped == []
    assert {lost.hospital for lost in one.log.screened} == {BAD}
    np.testing.assert_array_equal(one.weights, tampered(plain, "train", lambda *_: []).weights)


def test_below_the_threshold_a_round_is_skipped_and_the_model_stays() -> None:
    one = tampered(masked("++secagg.least=4"), "train", lambda *_: [])
    assert one.log.skipped == list(range(1, ROUNDS + 1))
    assert {skip.reason for skip in one.log.skips} == {"too few masked updates"}
    np.testing.assert_array_equal(one.weights, one.initial)


def test_honest_replies_of_every_trip_are_usable_when_serialized() -> None:
    def through_bytes(_: Message, reply: Message) -> Message:
        content = RecordDict()
        for name, record in reply.content.items():
            if isinstance(record, ArrayRecord):
                record = ArrayRecord({key: Array(array.numpy()) for key, array in record.items()})
            content[name] = record
        return wire.copied(reply, _content=content)

    for kind in TRIPS:
        one = tampered(masked(), kind, through_bytes)
        assert one.log.screened == []
        np.testing.assert_array_equal(one.weights, finished(masked()).weights)


# --- what lasts


def test_what_a_hospital_holds_lasts_for_one_round() -> None:
    state = RecordDict({"ledger": ConfigRecord({"n": 1})})
    content = Content({"a": np.arange(3)}, {"b": 2}, {"c": ["x"]})
    wire.hold(state, 4, content)
    found = wire.held(state, 4)
    assert (found.arrays["a"].tolist(), found.numbers, found.values) == (
        [0, 1, 2],
        {"b": 2},
        {"c": ["x"]},
    )
    assert wire.held(state, 5) is wire.NOTHING
    wire.hold(state, 4, wire.NOTHING)
    assert list(state) == ["ledger"]


def test_a_run_of_three_trips_goes_on_from_its_progress_to_the_same_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", -1.0)
    monkeypatch.setattr(checkpoints, "DEAREST", float("inf"))
    designs = [masked("attack=[replay]"), experiment(*SMALL)]
    whole = [record.model_dump(exclude={"seconds"}) for record in run_together(designs)]
    resumed, restore = list[int](), checkpoints._restore

    def stop(number: int) -> None:
        if number == 2:
            raise InterruptedError

    def noted(one: FederatedRun, contexts: Any, state: Any) -> None:
        resumed.append(state["round"])
        restore(one, contexts, state)

    with pytest.raises(InterruptedError):
        list(advance(designs, stop, tmp_path))
    monkeypatch.setattr(checkpoints, "_restore", noted)
    assert [
        record.model_dump(exclude={"seconds"}) for record in advance(designs, None, tmp_path)
    ] == whole
    assert resumed == [2, 2]


def test_the_protocol_of_a_plan_is_that_of_its_secure_aggregation() -> None:
    assert protocol_of(masked().plan) is masked().plan.secagg
    assert protocol_of(clear_sum().plan).is_clear


def test_a_hospital_refuses_a_trip_of_another_plan() -> None:
    def other_plan(one: Experiment) -> FederatedRun:
        run_ = FederatedRun(one)
        run_.task = wire.settings("0" * 64)
        partitions = {node: place for place, node in enumerate(run_.roster.nodes.values())}
        drive(
            [run_],
            LocalGrid({}, partitions, together(dict.fromkeys(partitions, one.source))),
            lambda _: None,
        )
        return run_

    one = other_plan(masked())
    assert len(one.log.screened) == 4 * ROUNDS
    assert all("the task is of another plan" in lost.reason for lost in one.log.screened)
    assert one.log.skips[0].reason == "too few keys"
