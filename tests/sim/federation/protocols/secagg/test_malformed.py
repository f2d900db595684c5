"""Malformed messages at every trip of SecAgg+: each ends in a recorded refusal that names whoever
sent it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict

from sim.federation import wire
from sim.federation.conversation import Arrived, Concluded
from sim.federation.protocols.secagg import agreement, shamir, signing
from sim.federation.protocols.secagg.terms import BOTH, COMMITTED, commitment, digest_of, of_round
from sim.federation.wire import Content
from tests.secagg import KINDS, Rehearsal, plan_of, total_of

PLAN = plan_of(n=6)  # threshold 4
BAD = PLAN.hospitals[2]
OTHERS = tuple(name for name in PLAN.hospitals if name != BAD)
N = PLAN.network.n_params
Made = Callable[[Rehearsal, Message, Message], Any]  # what arrives, of message and honest reply

# the entries of bytes in the reply of each trip, and their lengths
LENGTHS = {
    "keys": {"keys": 64, "signature": 64},
    "shares": {"sealed": 5 * BOTH, "commitments": 6 * COMMITTED + 32},
    "agree": {"signature": 64},
    "unmask": {"shares": 6 * shamir.BYTES},
}


def held(made: Made, kind: str, number: int = 1) -> tuple[Rehearsal, Concluded]:
    """A round in which one hospital's reply in one kind of trip is what ``made`` makes of it."""
    one = Rehearsal(PLAN)
    for earlier in range(1, number):
        assert one.round(earlier).screened == {}
    one.change = lambda trip, name, asked, reply: (
        made(one, asked, reply) if (trip, name) == (kind, BAD) else reply
    )
    return one, one.round(number)


def check_named(one: Rehearsal, end: Concluded, kind: str, reason: str, number: int = 1) -> None:
    """The bad hospital alone is named, with the trip and the reason; the sum is exact."""
    assert list(end.screened) == [BAD]
    assert end.screened[BAD].startswith(f"{kind}: ")
    assert reason in end.screened[BAD]
    assert len(end.screened[BAD]) < 400
    assert end.unopened == []
    uploaded = PLAN.hospitals if kind in ("agree", "unmask") else OTHERS
    assert end.usable == uploaded
    np.testing.assert_array_equal(total_of(PLAN, end), one.total(uploaded, number))


def entries(reply: Message) -> dict[str, Any]:
    records: Any = vars(reply.content)["_data"]
    return dict(vars(records["config"])["_data"]) if "config" in records else {}


def changed(**values: Any) -> Made:
    """The honest reply with other values; None: without this one."""

    def made(_: Rehearsal, asked: Message, reply: Message) -> Message:
        new = {**entries(reply), **values}
        arrays: Any = vars(reply.content)["_data"].get("arrays")
        given = {name: one.numpy() for name, one in arrays.items()} if arrays else {}
        stated = {name: value for name, value in new.items() if value is not None}
        return wire.holding(Content(given, {}, stated), asked)

    return made


def part(name: str, change: Callable[[bytes], bytes]) -> Made:
    """The honest reply with one entry of bytes changed."""
    return lambda one, asked, reply: changed(**{name: change(entries(reply)[name])})(
        one, asked, reply
    )


def content(records: dict[str, Any]) -> Made:
    return lambda _, asked, __: Message(RecordDict(records), reply_to=asked)


def array(values: np.ndarray, name: str = "masked") -> Made:
    return lambda _, asked, __: wire.holding(Content({name: values}, {}, {"unusable": []}), asked)


def numbers(**given: float) -> Made:
    return lambda _, asked, __: wire.holding(
        Content({"masked": np.zeros(N, np.uint32)}, given, {"unusable": []}), asked
    )


def everywhere() -> Iterator[tuple[str, Made, str]]:
    yield "nothing", lambda *_: Arrived(), "no reply"
    yield "two replies", lambda *_: Arrived(reason="more than one reply"), "more than one reply"
    yield "an error", lambda _, asked, __: wire.failed("down", asked), "app failed: down"
    yield "a refusal", lambda _, asked, __: wire.refused("plan", asked), "the hospital refuses: "
    yield "an unknown refusal", content({"refusal": ConfigRecord({"why": "x"})}), "known reason"
    yield "no records", content({}), "records [], expected"
    yield "other records", content({"x": MetricRecord({"a": 1})}), "records ['x'], expected"
    yield "an empty reply", lambda _, asked, __: wire.holding(wire.NOTHING, asked), "expected"
    yield (
        "an update in the clear",
        lambda _, asked, __: wire.answer(np.zeros(N, np.float32), 5, {}, asked),
        "expected",
    )
    yield "a number", lambda *_: Arrived(7), "the reply is 7, expected Message"  # type: ignore[arg-type]
    yield "a value beside", changed(more=1), "'more'"
    yield "a huge value beside", changed(more=bytes(10**7)), "'more'"
    yield "a huge number of values", changed(**{f"v{i}": i for i in range(1000)}), "entries"


def of_bytes(name: str, length: int) -> Iterator[tuple[str, Made, str]]:
    states = f"value {name} "
    yield f"{name} a byte short", part(name, lambda b: b[:-1]), f"has {length - 1} bytes"
    yield f"{name} a byte long", part(name, lambda b: b + b"x"), states
    yield f"{name} empty", changed(**{name: b""}), "has 0 bytes"
    yield f"{name} huge", changed(**{name: bytes(10**7)}), "is 10000000 bytes"
    yield f"{name} a text", changed(**{name: "x" * length}), states
    yield f"{name} a number", changed(**{name: 2**40}), states
    yield f"{name} a truth value", changed(**{name: True}), states
    yield f"{name} a list", changed(**{name: [b"x"]}), states
    yield f"{name} missing", changed(**{name: None}), "expected"
    yield f"{name} renamed", changed(**{name: None, "other": bytes(length)}), "'other'"


def of_keys() -> Iterator[tuple[str, Made, str]]:
    unsigned = "not signed by it for this round and plan"
    yield "a flipped bit of a key", part("keys", lambda b: bytes([b[0] ^ 1]) + b[1:]), unsigned
    yield (
        "a flipped bit of the signature",
        part("signature", lambda b: b[:-1] + bytes([b[-1] ^ 1])),
        unsigned,
    )
    yield "keys exchanged", part("keys", lambda b: b[32:] + b[:32]), unsigned
    yield "a signature of zeros", changed(signature=bytes(64)), unsigned
    yield "new keys under the old signature", changed(keys=b"\x09" * 64), unsigned
    yield "another's reply", of_another("keys"), unsigned
    yield "another's signature", another_signs, unsigned
    for value in sorted(agreement.DEGENERATE):
        key = value.to_bytes(32, "little")
        yield f"degenerate key {value % 1000}", part("keys", lambda b, k=key: b[:32] + k), "same"
        yield (
            f"degenerate channel {value % 1000}",
            part("keys", lambda b, k=key: k + b[32:]),
            "same",
        )


def of_another(kind: str) -> Made:
    """The reply that the first hospital gave to the same trip."""
    return lambda one, asked, _: wire.holding(
        Content(values=entries(one.replies[kind, PLAN.hospitals[0]])), asked
    )


def another_signs(one: Rehearsal, asked: Message, reply: Message) -> Message:
    """The hospital's own keys, signed by another hospital."""
    terms = of_round(PLAN, 1, PLAN.secagg.parameters)  # type: ignore[attr-defined]
    text = terms.keys_statement(PLAN.places[BAD], entries(reply)["keys"])
    signature = signing.signed(one.key(OTHERS[0]), text)
    made: Message = changed(signature=signature)(one, asked, reply)
    return made


def of_uploads() -> Iterator[tuple[str, Made, str]]:
    yield "floats", array(np.zeros(N, np.float32)), "has dtype float32, expected uint32"
    yield "signed", array(np.zeros(N, np.int32)), "has dtype int32"
    yield "wider", array(np.zeros(N, np.uint64)), "has dtype uint64"
    yield "other byte order", array(np.zeros(N, ">u4")), "has dtype >u4"
    yield "one too few", array(np.zeros(N - 1, np.uint32)), f"has shape ({N - 1},)"
    yield "one too many", array(np.zeros(N + 1, np.uint32)), f"has shape ({N + 1},)"
    yield "a row", array(np.zeros((1, N), np.uint32)), f"has shape (1, {N})"
    yield "nothing in it", array(np.zeros(0, np.uint32)), "has shape (0,)"
    yield "huge", array(np.broadcast_to(np.uint32(1), 10**8)), "has shape (100000000,)"
    yield "another name", array(np.zeros(N, np.uint32), "update"), "arrays ['update'], expected"
    yield "objects", array(np.full(N, None)), "has dtype object"
    unusable = "do not open, expected some of [0, 1, 3, 4, 5]"
    yield "complains of itself", changed(unusable=[2]), unusable
    yield "complains of nobody", changed(unusable=[6]), unusable
    yield "complains twice", changed(unusable=[0, 0]), unusable
    yield "complains out of order", changed(unusable=[1, 0]), unusable
    yield "complains of the one before the first", changed(unusable=[-1]), unusable
    yield "complains of a truth value", changed(unusable=[True]), "value unusable"
    yield "complains of a fraction", changed(unusable=[0.0]), "value unusable"
    yield "complains of a text", changed(unusable="0"), "value unusable"
    yield "complains without end", changed(unusable=[0] * 10**5), "value unusable"
    yield "complains of a huge number", changed(unusable=[2**62]), "value unusable"
    yield "clips more than there is", numbers(**{"secagg-clipped": N + 1}), "secagg-clipped"
    yield "clips less than nothing", numbers(**{"secagg-clipped": -1}), "secagg-clipped"
    yield "clips a half", numbers(**{"secagg-clipped": 0.5}), "secagg-clipped"
    yield "a number that is none", numbers(epsilon=float("nan")), "expected a finite number"
    yield "a nameless number", numbers(**{"\n": 1.0}), "printable"


def of_agreement() -> Iterator[tuple[str, Made, str]]:
    other = "not under the model and the hospitals that it was sent"
    yield "a flipped bit", part("signature", lambda b: bytes([b[0] ^ 1]) + b[1:]), other
    yield "zeros", changed(signature=bytes(64)), other
    yield "another's signature", of_another("agree"), other
    yield "the signature of its keys", signs_keys, other
    yield "another model", signs(model=b"\x01" * 32), other
    yield "other survivors", signs(survivors=b"\xf0"), other
    yield "another round", signs(number=2), other


def signs_keys(one: Rehearsal, asked: Message, reply: Message) -> Message:
    signature = one.replied("keys", BAD)["signature"]
    made: Message = changed(signature=signature)(one, asked, reply)
    return made


def signs(**parts: Any) -> Made:
    """A valid signature of the hospital under another statement."""

    def made(one: Rehearsal, asked: Message, reply: Message) -> Message:
        terms = of_round(PLAN, parts.get("number", 1), PLAN.secagg.parameters)  # type: ignore[attr-defined]
        model = parts.get("model", digest_of(np.zeros(N, np.float32)))
        text = terms.agreement_statement(model, parts.get("survivors", b"\xfc"))
        return changed(signature=signing.signed(one.key(BAD), text))(one, asked, reply)  # type: ignore[no-any-return]

    return made


def of_unmasking() -> Iterator[tuple[str, Made, str]]:
    other = "is not the one that it accepted"
    size = shamir.BYTES
    for at in range(6):
        yield (
            f"share {at} spoiled",
            part(
                "shares",
                lambda b, i=at: b[: size * i] + bytes([b[size * i] ^ 1]) + b[size * i + 1 :],
            ),
            other,
        )
    yield (
        "shares exchanged",
        part("shares", lambda b: b[size : 2 * size] + b[:size] + b[2 * size :]),
        other,
    )
    yield "zeros", changed(shares=bytes(6 * size)), other
    yield "another's shares", of_another("unmask"), other


CASES = [
    *((kind, *case) for kind in KINDS for case in everywhere()),
    *(
        (kind, *case)
        for kind, lengths in LENGTHS.items()
        for name, length in lengths.items()
        for case in of_bytes(name, length)
    ),
    *(("keys", *case) for case in of_keys()),
    *(("train", *case) for case in of_uploads()),
    *(("agree", *case) for case in of_agreement()),
    *(("unmask", *case) for case in of_unmasking()),
]


@pytest.mark.parametrize(
    ("kind", "made", "reason"),
    [(kind, made, reason) for kind, _, made, reason in CASES],
    ids=[f"{kind}: {name}" for kind, name, *_ in CASES],
)
def test_a_malformed_reply_is_refused_and_names_its_sender_alone(
    kind: str, made: Made, reason: str
) -> None:
    one, end = held(made, kind)
    check_named(one, end, kind, reason)


def test_there_are_more_than_a_hundred_malformed_replies() -> None:
    assert len(CASES) > 150


@pytest.mark.parametrize("kind", ["keys", "agree", "unmask"])
def test_a_reply_of_an_earlier_round_is_refused(kind: str) -> None:
    def old(_: Rehearsal, asked: Message, __: Message) -> Message:
        return wire.holding(Content(values=earlier[kind]), asked)

    first = Rehearsal(PLAN)
    first.round(1)
    earlier = {trip: entries(first.replies[trip, BAD]) for trip in KINDS}
    one, end = held(old, kind, number=2)
    check_named(one, end, kind, "", number=2)


@pytest.mark.parametrize("kind", ["keys", "agree", "unmask"])
def test_a_reply_under_another_plan_is_refused(kind: str) -> None:
    other = Rehearsal(plan_of("training.rounds=8", n=6))
    other.round()
    there = entries(other.replies[kind, BAD])
    one, end = held(lambda _, asked, __: wire.holding(Content(values=there), asked), kind)
    check_named(one, end, kind, "")


# --- shares that do not open: nobody can tell by whose fault


def pairs(*senders: str, receiver: str = BAD) -> list[tuple[str, str]]:
    return [(sender, receiver) for sender in senders]


def test_one_share_that_does_not_open_is_recorded_without_blame_and_the_sum_is_exact() -> None:
    def spoiled(_: Rehearsal, asked: Message, reply: Message) -> Message:
        sealed = entries(reply)["sealed"]
        return changed(sealed=bytes([sealed[0] ^ 1]) + sealed[1:])(_, asked, reply)  # type: ignore[no-any-return]

    one, end = held(spoiled, "shares")
    assert end.screened == {}
    assert end.unopened == [(BAD, OTHERS[0])]
    np.testing.assert_array_equal(total_of(PLAN, end), one.total(PLAN.hospitals))


def test_a_share_beside_its_commitment_does_not_open() -> None:
    def uncommitted(_: Rehearsal, asked: Message, reply: Message) -> Message:
        stated = entries(reply)["commitments"]
        return changed(commitments=bytes([stated[0] ^ 1]) + stated[1:])(_, asked, reply)  # type: ignore[no-any-return]

    one, end = held(uncommitted, "shares")
    assert end.screened == {}
    assert end.unopened == [(BAD, OTHERS[0])]
    np.testing.assert_array_equal(total_of(PLAN, end), one.total(PLAN.hospitals))


def test_a_false_complaint_looks_the_same_and_blames_nobody() -> None:
    """The first hospital has received its share in order, and states otherwise."""
    one = Rehearsal(PLAN)
    place = PLAN.places[BAD]
    one.change = lambda kind, name, asked, reply: (
        changed(unusable=[place])(one, asked, reply)
        if (kind, name) == ("train", OTHERS[0])
        else reply
    )
    end = one.round()
    # it goes on to give a share that it has stated not to have, and is one too many
    assert list(end.screened) == [OTHERS[0]]
    assert (
        end.screened[OTHERS[0]]
        == "unmask: value shares is 198 bytes, expected bytes of at most 165"
    )
    assert end.unopened == [(BAD, OTHERS[0])]
    np.testing.assert_array_equal(total_of(PLAN, end), one.total(PLAN.hospitals))


def test_a_false_complaint_by_one_that_goes_on_accordingly_blames_nobody() -> None:
    one = Rehearsal(PLAN)
    place = PLAN.places[BAD]
    size = shamir.BYTES

    def lying(kind: str, name: str, asked: Message, reply: Message) -> Any:
        if name == OTHERS[0] and kind == "train":
            return changed(unusable=[place])(one, asked, reply)
        if name == OTHERS[0] and kind == "unmask":
            return part("shares", lambda b: b[:size] + b[2 * size :])(one, asked, reply)
        return reply

    one.change = lying
    end = one.round()
    assert end.screened == {}
    assert end.unopened == [(BAD, OTHERS[0])]
    np.testing.assert_array_equal(total_of(PLAN, end), one.total(PLAN.hospitals))


def test_shares_that_open_for_nobody_stop_the_round_and_name_their_sender() -> None:
    """Fewer hospitals than the threshold are hostile, so one of those who complain is honest."""
    one, end = held(part("sealed", lambda b: bytes(len(b))), "shares")
    assert end.view is None
    assert end.unopened == [(BAD, name) for name in OTHERS]
    assert end.screened == {
        BAD: "shares: 5 hospitals cannot open the shares that it sealed for them"
    }
    assert end.reason == (
        f"train: 6 of 6 hospitals are left, of which 1 hold shares of {BAD}, and the threshold is 4"
    )
    assert "unmask" not in {trip.kind for trip in one.trips}


def test_old_shares_stop_the_round_and_name_their_sender() -> None:
    first = Rehearsal(PLAN)
    first.round(1)
    earlier = entries(first.replies["shares", BAD])
    _, end = held(lambda _, asked, __: wire.holding(Content(values=earlier), asked), "shares", 2)
    assert end.view is None
    assert list(end.screened) == [BAD]


def test_complaints_of_as_many_as_may_be_hostile_blame_nobody() -> None:
    one = Rehearsal(PLAN)
    place = PLAN.places[BAD]
    one.change = lambda kind, name, asked, reply: (
        changed(unusable=[place])(one, asked, reply)
        if kind == "train" and name in OTHERS[:3]
        else reply
    )
    end = one.round()
    assert end.view is None
    assert end.screened == {}
    assert end.unopened == [(BAD, name) for name in OTHERS[:3]]


@pytest.mark.parametrize("what", ["seed", "mask"])
def test_shares_of_no_secret_name_their_sender(what: str) -> None:
    """Commitments fit the shares, and these do not lie on one polynomial."""

    def uneven(one: Rehearsal, asked: Message, reply: Message) -> Message:
        places = [*(PLAN.places[name] for name in OTHERS), PLAN.places[BAD]]
        terms = of_round(PLAN, 1, PLAN.secagg.parameters)  # type: ignore[attr-defined]
        sealed, committed = b"", b""
        private = one.key(BAD).secret("secagg", "channel", PLAN.digest, 1)
        for place in places:
            text = bytes([1]) + bytes(31) + bytes([place]) + bytes(32) + bytes([place * place])
            if place != PLAN.places[BAD]:
                keys = one.replied("keys", PLAN.hospitals[place])["keys"]
                channel = agreement.agreed(private, keys[:32], terms.channel_purpose)
                sealed += agreement.seal(channel, PLAN.places[BAD], text, terms.channel_purpose)
            halves = (text[: shamir.BYTES], text[shamir.BYTES :])
            committed += b"".join(commitment(half) for half in halves)
        stated = committed + entries(reply)["commitments"][-32:]
        return changed(sealed=sealed, commitments=stated)(one, asked, reply)  # type: ignore[no-any-return]

    one = Rehearsal(PLAN, vanish={BAD: "train"} if what == "mask" else {})
    one.change = lambda kind, name, asked, reply: (
        uneven(one, asked, reply) if (kind, name) == ("shares", BAD) else reply
    )
    end = one.round()
    assert end.view is None
    assert list(end.screened) == [BAD]
    assert "do not combine" in end.screened[BAD]
    assert end.reason.startswith(f"unmask: a mask cannot be removed: {BAD}: ")
