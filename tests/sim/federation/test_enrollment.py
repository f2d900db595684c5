"""Which hospital a node is: each takes one free partition, or is not enrolled."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest
from flwr.app import Message, MetricRecord, RecordDict

from sim.federation import wire
from tests.hostile_replies import Raises, changed, record


def claims(*stated: Any) -> tuple[dict[int, int], list[str]]:
    """Who is enrolled where nodes 10, 20, ... state these partitions of four."""
    wire.enter_process()
    asked = wire.roll_call(range(10, 10 * len(stated) + 1, 10))
    for number, message in enumerate(asked):
        wire.stamp(message, str(number))
    replies = [
        claim(message) if type(claim) is FunctionType else present(claim, message)
        for claim, message in zip(stated, asked, strict=True)
    ]
    return wire.enrolled(replies, asked, 4)


def present(partition: Any, message: Message) -> Message:
    return changed(
        wire.present(0, message),
        _content=RecordDict({wire.METRICS: record(MetricRecord, {wire.PARTITION: partition})}),
    )


CLAIMS: dict[str, tuple[Any, str]] = {
    "one too many": (4, "partition 4, expected a whole number from 0 to 3"),
    "minus one": (-1, "partition -1"),
    "10**400": (10**400, "partition a whole number of 1329 bits"),
    "a fraction": (1.0, "partition 1.0"),
    "a truth value": (True, "partition True"),
    "a text": ("1", "partition 1, expected"),
    "escapes": ("\x1b[2J", r"partition \x1b[2J"),
    "a list": ([1], "partition [1]"),
    "nothing": (None, "partition None"),
    "an object": (Raises(), "partition an object of type Raises"),
    "taken": (0, "partition 0 is claimed by 2 nodes"),
    "no metrics": (lambda m: Message(RecordDict(), reply_to=m), "metrics is None"),
    "no content": (lambda m: changed(wire.present(1, m), _content=None), "the content is None"),
    "an error": (lambda m: wire.failed("no", m), "the hospital's app failed: no"),
    "no reply": (lambda _: None, "no reply"),
    "another message's reply": (
        lambda m: changed(wire.present(1, m), _metadata=m.metadata),
        "no reply",
    ),
}


@pytest.mark.parametrize("kind", CLAIMS)
def test_a_node_that_does_not_state_a_free_partition_is_not_enrolled(kind: str) -> None:
    nodes, refused = claims(0, CLAIMS[kind][0], 2, 3)
    assert nodes == ({30: 2, 40: 3} if kind == "taken" else {10: 0, 30: 2, 40: 3})
    assert len(refused) == (2 if kind == "taken" else 1)
    assert CLAIMS[kind][1] in refused[-1]
    assert all(text.isprintable() for text in refused)


def test_a_node_that_answers_the_roll_call_twice_is_not_enrolled() -> None:
    wire.enter_process()
    asked = wire.roll_call([10, 20])
    replies = [wire.present(0, asked[0]), wire.present(1, asked[1]), wire.present(0, asked[1])]
    assert wire.enrolled(replies, asked, 2) == ({10: 0}, ["node 20: more than one reply"])
