"""Whatever one hospital sends, the run completes, the hospital is named with the reason, and the model is that of the others."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from sim import wire
from sim.models import n_params
from sim.run import Trial
from sim.server import Server, capped
from tests.federation import answer_drawn, drawn_update, experiment, finished

ROUNDS, BAD = 2, 2  # switzerland, in the order of the names
NAME = "switzerland"
MEAN = experiment("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic")
TRIMMED = experiment("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic", "aggregator=trimmed_mean")
RULE = ("aggregator=trimmed_mean", "server.absent=count_as_hostile")
COUNTED = experiment("consortium=heart4", f"training.rounds={ROUNDS}", "model=logistic", *RULE)
N = n_params(MEAN.widths)
Content = Callable[[NDArray[np.float32]], RecordDict]


def records(array: Any, *, name: str = wire.UPDATE, count: Any = 50, more: dict[str, Any] | None = None) -> RecordDict:
    sent = ArrayRecord()
    for key, value in {name: array, **(more or {})}.items():
        sent[key] = value if isinstance(value, Array) else Array(value)
    return RecordDict({wire.ARRAYS: sent, wire.METRICS: MetricRecord({wire.COUNT: count})})


def claiming(shape: tuple[int, ...], update: NDArray[np.float32]) -> Array:
    """An array whose bytes say they hold ``shape`` and hold ``update``."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return Array(dtype="float32", shape=shape, stype="numpy.ndarray", data=head.getvalue() + update.tobytes())


def lying(update: NDArray[np.float32]) -> Array:
    """An array whose description is right and whose bytes hold something else."""
    return Array(dtype="float32", shape=update.shape, stype="numpy.ndarray", data=Array(update[:3]).data)


def undecodable(update: NDArray[np.float32]) -> Array:
    return Array(dtype="float32", shape=update.shape, stype="numpy.ndarray", data=b"\x93NUMPY\xff\xffnothing")


def without_counts(update: NDArray[np.float32]) -> RecordDict:
    return RecordDict({wire.ARRAYS: wire.arrays(wire.UPDATE, update), wire.METRICS: MetricRecord()})


def without_metrics(update: NDArray[np.float32]) -> RecordDict:
    return RecordDict({wire.ARRAYS: wire.arrays(wire.UPDATE, update)})


def misnamed(update: NDArray[np.float32]) -> RecordDict:
    return RecordDict({"array": wire.arrays(wire.UPDATE, update), wire.METRICS: MetricRecord({wire.COUNT: 50})})


def swapped_kinds(update: NDArray[np.float32]) -> RecordDict:
    return RecordDict({wire.ARRAYS: MetricRecord({wire.COUNT: 50}), wire.METRICS: wire.arrays(wire.UPDATE, update)})


def settings_for_metrics(update: NDArray[np.float32]) -> RecordDict:
    return RecordDict({wire.ARRAYS: wire.arrays(wire.UPDATE, update), wire.METRICS: ConfigRecord({wire.COUNT: 50})})


def counted(value: Any) -> Content:
    """A reply with this record count, put past Flower's own check of types if need be."""

    def content(update: NDArray[np.float32]) -> RecordDict:
        sent = records(update)
        sent[wire.METRICS].__dict__["_data"][wire.COUNT] = value
        return sent

    return content


def one(value: float, update: NDArray[np.float32]) -> NDArray[np.float32]:
    """``update`` with one value replaced."""
    return np.concatenate([update[:-1], np.float32([value])])


HOSTILE: dict[str, tuple[Content, str]] = {
    "nan": (lambda u: records(one(np.nan, u)), "values that are not finite"),
    "infinity": (lambda u: records(one(-np.inf, u)), "values that are not finite"),
    "too long": (lambda u: records(np.append(u, u[:1])), f"shape ({N + 1},), expected ({N},)"),
    "empty": (lambda u: records(u[:0]), f"shape (0,), expected ({N},)"),
    "two dimensions": (lambda u: records(u[None]), f"shape (1, {N}), expected ({N},)"),
    "no dimension": (lambda u: records(u[0:1].reshape(())), f"shape (), expected ({N},)"),
    "double precision": (lambda u: records(u.astype(np.float64)), "dtype float64, expected float32"),
    "whole numbers": (lambda u: records(u.astype(np.int64)), "dtype int64, expected float32"),
    "other byte order": (lambda u: records(u.astype(">f4")), "dtype >f4, expected float32"),
    "array of another name": (lambda u: records(u, name="weights"), "arrays ['weights'], expected update"),
    "one array too many": (lambda u: records(u, more={"second": u}), "arrays ['update', 'second'], expected update"),
    "undecodable bytes": (lambda u: records(undecodable(u)), "the update cannot be decoded: "),
    "a claim of 4 terabytes": (lambda u: records(claiming((10**12,), u)), "the update cannot be decoded: "),
    "a claim of 32 gigabytes": (lambda u: records(claiming((2**33,), u)), "the update cannot be decoded: "),
    "bytes unlike their description": (lambda u: records(lying(u)), f"shape (3,), expected ({N},)"),
    "no metrics": (without_metrics, "records ['arrays'], expected arrays and metrics"),
    "no record count": (without_counts, "reports None records"),
    "records of other names": (misnamed, "records ['array', 'metrics'], expected arrays and metrics"),
    "records of swapped kinds": (swapped_kinds, ", expected update"),
    "settings for metrics": (settings_for_metrics, "metrics is no record of numbers"),
    "no records": (lambda _: RecordDict(), "records [], expected arrays and metrics"),
    "a billion records": (lambda u: records(u, count=10**9), "reports 1000000000 records"),
    "minus one record": (lambda u: records(u, count=-1), "reports -1 records"),
    "zero records": (lambda u: records(u, count=0), "reports 0 records"),
    "two and a half records": (lambda u: records(u, count=2.5), "reports 2.5 records"),
    "nan records": (lambda u: records(u, count=float("nan")), "reports nan records"),
    "true records": (counted(True), "reports True records"),
    "fifty records in words": (counted("50"), "reports 50 records"),
    "a list of counts": (counted([50, 50]), "reports [50, 50] records"),
}  # fmt: skip


def one_hostile(content: Content) -> Callable[[Message, Context], Message]:
    """Three hospitals answer honestly, ``BAD`` with ``content`` of what it would have sent."""

    def app(message: Message, context: Context) -> Message:
        if context.node_config[wire.PARTITION] != BAD:
            return answer_drawn(message, context)
        task = wire.read_task(message)
        return Message(content(drawn_update(len(task.weights), BAD, task.round)), reply_to=message)

    return app


def of_the_others(run: Trial) -> NDArray[np.float64]:
    """The model that the honest hospitals make among themselves: their plain mean, round by round."""
    rounds = [[drawn_update(len(run.initial), i, r) for i in range(4) if i != BAD] for r in range(1, ROUNDS + 1)]
    return run.initial + np.mean(rounds, axis=1, dtype=np.float64).sum(axis=0)


def assert_held(run: Trial, reason: str) -> None:
    """The hostile hospital is named with ``reason`` in each round, and no other; the model is that of the others."""
    log = run.strategy.log
    assert [(entry.round, entry.hospital) for entry in log.screened] == [(r, NAME) for r in range(1, ROUNDS + 1)]
    assert all(reason in entry.reason and "\n" not in entry.reason for entry in log.screened)
    assert log.skipped == []
    np.testing.assert_allclose(run.weights, of_the_others(run), atol=1e-6)


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_an_unusable_reply_is_named_and_leaves_the_model_of_the_others(content: Content, reason: str) -> None:
    assert_held(finished(MEAN, one_hostile(content)), reason)


@pytest.mark.parametrize("kind", ["nan", "undecodable bytes", "zero records"])
def test_a_hospital_that_fails_leaves_the_number_of_hostile_ones_that_the_rule_withstands(kind: str) -> None:
    run = finished(TRIMMED, one_hostile(HOSTILE[kind][0]))  # trims 1 of 4, and 1 of the 3 that are left at each end
    rounds = [[drawn_update(len(run.initial), i, r) for i in range(4) if i != BAD] for r in range(1, ROUNDS + 1)]
    assert len(run.strategy.log.screened) == ROUNDS
    np.testing.assert_allclose(run.weights, run.initial + np.median(rounds, axis=1).sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("kind", ["nan", "undecodable bytes", "zero records"])
def test_on_request_a_hospital_that_fails_counts_as_one_of_those_that_the_rule_must_withstand(kind: str) -> None:
    content, reason = HOSTILE[kind]
    assert_held(finished(COUNTED, one_hostile(content)), reason)  # trims 1 of 4, and 0 of the 3 that are left


def test_the_honest_federation_differs_from_that_of_the_others_alone() -> None:
    run = finished(MEAN, answer_drawn)
    assert run.strategy.log.screened == []
    assert np.abs(run.weights - of_the_others(run)).max() > 1e-3


class Bomb:
    """Pickled, an instruction to create the file ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.place,)


def test_a_pickled_object_is_never_unpickled(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    bytes_ = io.BytesIO()
    np.save(bytes_, np.array([Bomb(flag)], dtype=object), allow_pickle=True)
    for data in (bytes_.getvalue(), pickle.dumps(Bomb(flag))):
        array = Array(dtype="float32", shape=(N,), stype="numpy.ndarray", data=data)
        assert_held(
            finished(MEAN, one_hostile(lambda _, array=array: records(array))), "the update cannot be decoded: ValueError"
        )
    assert not flag.exists()
    np.load(io.BytesIO(bytes_.getvalue()), allow_pickle=True)
    assert flag.exists()  # the bomb works


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (ValueError("two\nlines"), "the hospital's app failed: ValueError('two\\nlines')"),
        (MemoryError(), "MemoryError()"),
        (RecursionError("x" * 1000), "..."),
        (SystemExit(3), "SystemExit(3)"),
    ],
)
def test_a_hospital_whose_app_raises_is_left_out(failure: BaseException, reason: str) -> None:
    def app(message: Message, context: Context) -> Message:
        if context.node_config[wire.PARTITION] == BAD:
            raise failure
        return answer_drawn(message, context)

    assert_held(finished(MEAN, app), reason)


@pytest.mark.parametrize("reply", [None, "a reply", RecordDict()])
def test_a_hospital_whose_app_returns_no_message_is_left_out(reply: Any) -> None:
    def app(message: Message, context: Context) -> Message:
        return reply if context.node_config[wire.PARTITION] == BAD else answer_drawn(message, context)

    assert_held(finished(MEAN, app), "the hospital's app failed: ")


def test_a_hospital_cannot_answer_for_another() -> None:
    def app(message: Message, context: Context) -> Message:
        if context.node_config[wire.PARTITION] == BAD:
            message = deepcopy(message)
            message.metadata.dst_node_id = 1
        return answer_drawn(message, context)

    assert_held(finished(MEAN, app), "the hospital's app failed: ")


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
    assert run.strategy.log.screened == []
    assert all((weights == seen[i // 4 * 4]).all() for i, weights in enumerate(seen))
    assert np.isfinite(run.weights).all()


def from_bad(reply: Message) -> bool:
    return reply.metadata.src_node_id == BAD + 1


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_hospital_that_replies_more_than_once_is_left_out(times: int) -> None:
    run = finished(MEAN, answer_drawn, lambda replies: [r for r in replies for _ in range(times if from_bad(r) else 1)])
    assert_held(run, "more than one reply")


def test_an_unusable_reply_buys_no_second_try() -> None:
    def tamper(replies: list[Message]) -> Iterable[Message]:
        for reply in replies:
            if from_bad(reply):
                yield wire.replaced(reply, np.full(N, np.nan, np.float32))
            yield reply

    assert_held(finished(MEAN, answer_drawn, tamper), "more than one reply")


def test_a_hospital_that_never_replies_is_left_out() -> None:
    run = finished(MEAN, answer_drawn, lambda replies: [reply for reply in replies if not from_bad(reply)])
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
    assert run.strategy.log.screened == []
    np.testing.assert_array_equal(run.weights, finished(MEAN, answer_drawn).weights)


@pytest.mark.parametrize("rule", ["mean", "median", "trimmed_mean", "geometric_median"])
def test_a_round_without_a_usable_reply_is_skipped_and_the_model_stays(rule: str) -> None:
    def app(message: Message, context: Context) -> Message:
        reply = answer_drawn(message, context)
        return wire.replaced(reply, np.full(N, np.nan, np.float32)) if wire.read_task(message).round == 1 else reply

    run = finished(experiment("consortium=heart4", "training.rounds=2", "model=logistic", f"aggregator={rule}"), app)
    assert run.strategy.log.skipped == [1]
    assert len(run.strategy.log.screened) == 4
    np.testing.assert_array_equal(run.scores[1], run.scores[0])
    assert (run.weights != run.initial).any()


@pytest.mark.parametrize(("absent", "needed"), [("keep", 9), ("count_as_hostile", 3)])
def test_a_round_with_too_few_replies_for_the_rule_is_skipped(absent: str, needed: int) -> None:
    words = ("consortium=heart12", "training.rounds=1", "model=logistic", "aggregator=krum", f"server.absent={absent}")
    krum = experiment(*words)  # against 3 hostile ones it needs 9 rows; with 6 missing none is left to withstand, and it needs 3
    enough = finished(krum, answer_drawn, lambda replies: replies[:needed])
    assert enough.strategy.log.skips == []
    run = finished(krum, answer_drawn, lambda replies: replies[: needed - 1])
    (skipped,) = run.strategy.log.skips
    assert (skipped.round, skipped.cause, len(skipped.missing)) == (1, "absent", 12 - needed + 1)
    assert skipped.reason.startswith(f"n_rows={needed - 1}, n_hostile=")
    np.testing.assert_array_equal(run.weights, run.initial)


def test_updates_as_large_as_float32_holds_do_not_stop_the_run() -> None:
    def app(message: Message, context: Context) -> Message:
        reply, task = answer_drawn(message, context), wire.read_task(message)
        return wire.replaced(reply, np.full(N, 3e38, np.float32)) if task.round < 6 else reply

    run = finished(experiment("consortium=heart4", "training.rounds=6", "model=logistic"), app)
    assert run.strategy.log.skipped == [2, 3, 4, 5]  # what float32 cannot hold is no model
    assert np.isfinite(run.weights).all()
    assert np.isfinite(run.scores).all()


def test_a_lie_about_records_gains_no_more_than_the_cap() -> None:
    lie, cap = 10**6, 3.0
    weighted = experiment(
        "consortium=heart4", "training.rounds=1", "model=logistic", "aggregator.weighting=count", f"server.weight_cap={cap}"
    )

    def app(message: Message, context: Context) -> Message:
        liar = context.node_config[wire.PARTITION] == BAD
        return wire.answer(np.full(N, float(liar), np.float32), lie if liar else 50, {}, message)

    run = finished(weighted, app)
    assert run.strategy.log.screened == []
    np.testing.assert_allclose(run.weights - run.initial, cap / (cap + 3), atol=1e-6)


def test_honest_counts_below_the_cap_keep_their_weight() -> None:
    np.testing.assert_array_equal(capped([40, 50, 60, 100], Server(max_records=1000, weight_cap=3.0)), [40, 50, 60, 100])
    np.testing.assert_array_equal(capped([40, 50, 60, 500], Server(max_records=1000, weight_cap=3.0)), [40, 50, 60, 165])


def test_a_reply_says_of_itself_what_flowers_own_does_also_to_a_delivered_message() -> None:
    wire.enter_process()
    asked = wire.ask(1, wire.arrays(wire.WEIGHTS, np.zeros(3, np.float32)), wire.settings("{}"), [7])[0]
    asked.metadata.delivered_at = "2026-01-01"
    wire.stamp(asked, "1")
    ours = wire.answer(np.ones(3, np.float32), 5, {}, asked)
    theirs = Message(ours.content, reply_to=asked)
    moment = ("_created_at", "_ttl")
    found, expected = ({key: value for key, value in vars(one.metadata).items() if key not in moment} for one in (ours, theirs))
    assert found == expected
