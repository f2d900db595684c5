"""What a round exchanges is what its messages hold."""

from __future__ import annotations

from typing import Any

import pytest
from flwr.app import Message

from sim.federation import wire
from sim.federation.protocols.plain import protocol_of
from sim.study.run import run_together
from tests.federation import experiment
from tests.secagg import Rehearsal, plan_of

CASES = {
    "full": plan_of(),
    "two": plan_of(n=2),
    "neighbors": plan_of("secagg.neighbors=6", n=20),
    "no agreement": plan_of("secagg.consistency=false"),
    "no signed keys": plan_of("secagg.signed_keys=false"),
    "large": plan_of("model=mlp"),
    "a sum in the clear": plan_of("secagg=sum"),
    "groups": plan_of("secagg=groups"),
    "groups, and agreement on the model": plan_of("secagg=groups", "secagg.agreement=true"),
    "no secure aggregation": plan_of("secagg=none"),
}
ENVELOPE = ("round", "plan", "kind")


def n_bytes(message: Message) -> int:
    """The bytes of arrays, texts and numbers in a message, without the envelope."""
    total = 0
    for record in vars(message.content)["_data"].values():
        for name, value in vars(record)["_data"].items():
            total += 0 if name in ENVELOPE else size(value)
    return total


def size(value: Any) -> int:
    if isinstance(value, wire.SharedArray):
        return value.numpy().nbytes
    if isinstance(value, list):
        return 8 * len(value)
    return len(value) if isinstance(value, bytes) else 8


@pytest.mark.parametrize("case", CASES)
def test_traffic_is_what_the_messages_of_each_hospital_hold(case: str) -> None:
    plan = CASES[case]
    one = Rehearsal(plan)
    assert one.round().screened == {}
    protocol: Any = protocol_of(plan)
    found = protocol.traffic(plan)
    for name in plan.hospitals:
        asked = [message for (_, hospital), message in one.asked.items() if hospital == name]
        replies = [message for (_, hospital), message in one.replies.items() if hospital == name]
        assert len(asked) + len(replies) == found.messages
        assert sum(map(n_bytes, replies)) == found.sent
        assert sum(map(n_bytes, asked)) == found.received


def test_a_run_states_its_traffic_and_each_form_of_secure_aggregation_its_own() -> None:
    words = ("consortium=heart4", "model=logistic", "training.rounds=1")
    designs = [experiment(*words, f"secagg={secagg}") for secagg in ("protocol", "sum", "none")]
    one, *others = run_together(designs)
    n_params = designs[0].plan.network.n_params
    assert (one.value("messages"), one.value("bytes_sent")) == (10, 866 + 4 * n_params)
    assert [other.value("messages") for other in others] == [2, 2]
    assert [other.value("bytes_sent") for other in others] == [16 + 4 * n_params, 8 + 4 * n_params]
    assert {other.value("bytes_received") for other in others} == {4 * n_params}


def test_a_run_has_the_seconds_of_its_own_rounds() -> None:
    words = ("consortium=heart12", "model=logistic", "training.rounds=4")
    designs = [experiment(*words, f"secagg={secagg}") for secagg in ("sum", "protocol", "sum")]
    one, masked, other = run_together(designs)
    assert masked.seconds > 1.5 * max(one.seconds, other.seconds)  # five trips, and cryptography
