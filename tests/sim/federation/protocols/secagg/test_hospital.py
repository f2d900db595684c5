"""What a hospital refuses of an aggregator that lies: it shows no more than one sum a round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Message, RecordDict

from sim.design.plan import FederationPlan
from sim.design.refusals import SENTENCES, Refusal
from sim.federation import wire
from sim.federation.conversation import Concluded, Conversation, Trip, TripRefusedError
from sim.federation.protocols.plain import protocol_of
from sim.federation.protocols.secagg.masks import from_ring
from sim.federation.protocols.secagg.terms import bits
from sim.federation.wire import Content
from tests.secagg import KINDS, Rehearsal, lying, plan_of, total_of, why

PLAN = plan_of(n=6)  # threshold 4
VICTIM = PLAN.hospitals[1]
Change = Callable[[dict[str, Any]], dict[str, Any]]


def talk_of(plan: FederationPlan, number: int = 1) -> Conversation:
    model = np.zeros(plan.network.n_params, np.float32)
    return protocol_of(plan).round(plan, number, model)


def to_victim(kind: str, change: Change) -> Callable[[Trip], Trip]:
    """Another message to the victim in one kind of trip; everybody else's is honest."""

    def made(trip: Trip) -> Trip:
        if trip.kind != kind:
            return trip
        own = trip.each.get(VICTIM, wire.NOTHING).values
        values = change({**trip.common.values, **own})
        return replace(trip, each={**trip.each, VICTIM: Content(values=values)})

    return made


def lied(kind: str, change: Change, plan: FederationPlan = PLAN) -> tuple[Rehearsal, Concluded]:
    one = Rehearsal(plan)
    return one, one.round(talk=lying(talk_of(plan), to_victim(kind, change)))


def put(**values: Any) -> Change:
    return lambda before: {**before, **values}


def cut(name: str, size: int, at: int) -> Callable[[dict[str, Any]], bytes]:
    return lambda before: before[name][: size * at] + before[name][size * (at + 1) :]


def without(place: int, **sizes: int) -> Change:
    """Leave out one hospital of the message."""

    def made(before: dict[str, Any]) -> dict[str, Any]:
        at = before["peers"].index(place)
        entries = {name: cut(name, size, at)(before) for name, size in sizes.items()}
        return {**before, **entries, "peers": [one for one in before["peers"] if one != place]}

    return made


def several(*changes: Change) -> Change:
    def made(before: dict[str, Any]) -> dict[str, Any]:
        for change in changes:
            before = change(before)
        return before

    return made


KEYS = {"keys": 64, "signatures": 64}
SHARES = {"sealed": 82, "commitments": 64}
LIES: list[tuple[str, str, Change, Refusal]] = [
    ("shares", "itself for a peer", put(peers=[1, 2, 3, 4, 5]), "peers"),
    ("shares", "an unknown peer", put(peers=[0, 2, 3, 4, 6]), "peers"),
    ("shares", "a peer twice", put(peers=[0, 0, 2, 3, 4]), "peers"),
    ("shares", "peers out of order", put(peers=[2, 0, 3, 4, 5]), "peers"),
    ("shares", "a peer by name", put(peers=["a", 2, 3, 4, 5]), "peers"),
    ("shares", "a truth value", put(peers=[False, 2, 3, 4, 5]), "peers"),
    ("shares", "no list", put(peers=5), "form"),
    ("shares", "no peers", put(peers=[], keys=b"", signatures=b""), "few"),
    (
        "shares",
        "three hospitals of six",
        several(without(0, **KEYS), without(2, **KEYS), without(3, **KEYS)),
        "few",
    ),
    ("shares", "keys too short", lambda b: {**b, "keys": b["keys"][1:]}, "form"),
    ("shares", "no keys", lambda b: {**b, "keys": None}, "form"),
    ("shares", "no signatures", put(signatures=b""), "form"),
    ("shares", "signatures of zeros", put(signatures=bytes(5 * 64)), "signature"),
    (
        "shares",
        "keys exchanged",
        lambda b: {**b, "keys": b["keys"][64:] + b["keys"][:64]},
        "signature",
    ),
    (
        "shares",
        "its own key",
        lambda b: {**b, "keys": b["keys"][:-64] + bytes([9]) * 64},
        "signature",
    ),
    ("shares", "degenerate keys", put(keys=bytes(5 * 64)), "key"),
    ("train", "another sender", put(peers=[0, 1, 2, 3, 4]), "peers"),
    (
        "train",
        "three hospitals of six",
        several(without(0, **SHARES), without(2, **SHARES), without(3, **SHARES)),
        "few",
    ),
    ("train", "shares too short", lambda b: {**b, "sealed": b["sealed"][1:]}, "form"),
    ("train", "no commitments", put(commitments=b""), "form"),
    ("agree", "it is gone itself", put(survivors=bits([0, 2, 3, 4, 5], 6)), "survivors"),
    ("agree", "three hospitals of six", put(survivors=bits([0, 1, 2], 6)), "few"),
    ("agree", "only itself", put(survivors=bits([1], 6)), "few"),
    ("agree", "a seventh hospital", put(survivors=b"\xfe"), "form"),
    ("agree", "bits without end", put(survivors=bytes(1000)), "form"),
    ("agree", "no bits", put(survivors=b""), "form"),
    ("unmask", "it is gone itself", put(survivors=bits([0, 2, 3, 4, 5], 6)), "survivors"),
    ("unmask", "others than it has signed", put(survivors=bits([0, 1, 2, 3], 6)), "survivors"),
    ("unmask", "three hospitals of six", put(survivors=bits([0, 1, 2], 6)), "few"),
    ("unmask", "signatures of zeros", put(signatures=bytes(5 * 64)), "agreement"),
    ("unmask", "signatures too short", put(signatures=bytes(64)), "form"),
    ("unmask", "one signer", put(peers=[0], signatures=bytes(64)), "few"),
]


@pytest.mark.parametrize(
    ("kind", "change", "refusal"),
    [(kind, change, refusal) for kind, _, change, refusal in LIES],
    ids=[f"{kind}: {name}" for kind, name, *_ in LIES],
)
def test_a_hospital_refuses_a_lie_by_a_name_of_a_fixed_list(
    kind: str, change: Change, refusal: Refusal
) -> None:
    _, end = lied(kind, change)
    assert why(end, VICTIM) == f"{kind}: {SENTENCES[refusal]}"
    assert list(end.screened) == [VICTIM]


@pytest.mark.parametrize("name", ["sealed", "commitments"])
def test_it_complains_of_a_share_that_does_not_open_or_was_not_committed_to(name: str) -> None:
    def garbled(before: dict[str, Any]) -> dict[str, Any]:
        return {**before, name: bytes([before[name][0] ^ 1]) + before[name][1:]}

    one, _ = lied("train", garbled)
    assert one.replied("train", VICTIM)["unusable"] == [0]
    honest, _ = lied("train", dict)
    assert honest.replied("train", VICTIM)["unusable"] == []


def test_after_a_refusal_the_honest_message_is_answered() -> None:
    one, end = lied("unmask", put(survivors=bits([0, 1, 2], 6)))
    assert why(end, VICTIM) == f"unmask: {SENTENCES['few']}"
    reply = one.answer(honest_request(one), VICTIM)
    assert "shares" in str(vars(reply.content)["_data"])


def honest_request(one: Rehearsal) -> Message:
    """The message that an honest aggregator would have sent the victim."""
    trip = one.trips[-1]
    peers = [place for place in range(6) if place != PLAN.places[VICTIM]]
    signatures = b"".join(
        one.replied("agree", PLAN.hospitals[place])["signature"] for place in peers
    )
    values = {"peers": peers, "signatures": signatures, "survivors": bits(range(6), 6)}
    again = replace(trip, hospitals=(VICTIM,), each={VICTIM: Content(values=values)})
    return one.messages(again)[VICTIM]


# --- each trip once, in order


@pytest.mark.parametrize("kind", KINDS)
def test_no_trip_is_answered_twice(kind: str) -> None:
    one = Rehearsal(PLAN)
    answered = dict[str, Message]()

    def repeat(trip: str, name: str, asked: Message, reply: Message) -> Message:
        if trip == kind and name == VICTIM:
            answered[name] = one.answer(asked, name)
        return reply

    one.change = repeat
    assert one.round().screened == {}
    assert refusal_of(answered[VICTIM]) == "phase"


@pytest.mark.parametrize("kind", KINDS)
def test_no_trip_is_answered_before_the_one_before_it(kind: str) -> None:
    one = Rehearsal(PLAN)
    one.round()
    one.states[VICTIM] = RecordDict()
    expected = "keys" if kind == "keys" else None
    reply = one.answer(one.asked[kind, VICTIM], VICTIM)
    assert (refusal_of(reply) is None) == (expected is not None)
    if kind != "keys":
        assert refusal_of(reply) == "phase"


@pytest.mark.parametrize("kind", ["other", "", "query"])
def test_an_unknown_trip_is_refused(kind: str) -> None:
    one = Rehearsal(PLAN)
    (message,) = one.messages(Trip(kind, (VICTIM,))).values()
    assert refusal_of(one.answer(message, VICTIM)) == "phase"


def test_without_agreement_its_trip_is_unknown() -> None:
    one = Rehearsal(plan_of("secagg.consistency=false", n=6))
    assert one.round().screened == {}
    (message,) = one.messages(Trip("agree", (VICTIM,))).values()
    assert refusal_of(one.answer(message, VICTIM)) == "phase"


def refusal_of(reply: Message) -> str | None:
    """The reason of a refusal, None for an answer."""
    records: Any = vars(reply.content)["_data"]
    if "refusal" not in records:
        return None
    return str(vars(records["refusal"])["_data"]["why"])


# --- never both secrets of a hospital


def test_a_hospital_whose_update_arrived_is_opened_by_its_seed_alone() -> None:
    one = Rehearsal(PLAN, vanish={PLAN.hospitals[5]: "train"})
    one.round()
    for name in PLAN.hospitals[:5]:
        given = one.replied("unmask", name)["shares"]
        assert len(given) == 6 * 33  # one share of each, never two


def test_a_lie_about_who_vanished_gives_no_update_of_a_single_hospital() -> None:
    """The aggregator tells everybody but the victim that it vanished, and holds its upload."""
    one = Rehearsal(PLAN)
    place = PLAN.places[VICTIM]

    def gone(trip: Trip) -> Trip:
        if trip.kind not in ("agree", "unmask"):
            return trip
        others = tuple(name for name in trip.hospitals if name != VICTIM)
        left = bits([one for one in range(6) if one != place], 6)
        return replace(trip, hospitals=others, common=Content(values={"survivors": left}))

    end = one.round(talk=lying(talk_of(PLAN), gone))
    assert end.view is None  # the signatures are not under what the honest half expects
    assert set(end.screened) == set(PLAN.hospitals) - {VICTIM}


class TwoModels(Rehearsal):
    """The victim is sent another model than the others."""

    def messages(self, trip: Trip, number: int = 1) -> dict[str, Message]:
        sent = super().messages(trip, number)
        if trip.kind == "train":
            other = np.ones(self.n_params, np.float32)
            sent |= super().messages(replace(trip, hospitals=(VICTIM,), model=other), number)
        return sent


def test_the_masks_of_hospitals_with_different_models_do_not_cancel() -> None:
    one = TwoModels(PLAN)
    end = one.round()
    assert why(end, VICTIM).startswith("agree: its signature is not under the model")
    noise = from_ring(total_of(PLAN, end))
    assert np.abs(noise).mean() > 2**28
    assert np.abs(from_ring(one.total(PLAN.hospitals))).max() < 2**24


def test_without_agreement_on_the_model_they_cancel() -> None:
    plan = plan_of("secagg.consistency=false", n=6)
    one = TwoModels(plan)
    end = one.round()
    assert end.screened == {}
    np.testing.assert_array_equal(total_of(plan, end), one.total(plan.hospitals))


# --- through the app


def test_a_hospital_remembers_the_last_round_and_answers_no_earlier_one() -> None:
    state = RecordDict()
    wire.hold(state, 4, Content(values={"phase": "unmask"}))
    assert wire.held_round(state) == 4
    assert wire.held_round(RecordDict()) == 0


def test_a_refusal_is_one_of_a_fixed_list() -> None:
    assert str(TripRefusedError("few")) == SENTENCES["few"]
    assert all(len(sentence) < 120 for sentence in SENTENCES.values())
