"""The one place where replies of hospitals are read: nothing in a reply is trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from sim.design.refusals import REFUSED, SENTENCES
from sim.federation.wire.content import (
    ARRAYS,
    CONFIG,
    COUNT,
    METRICS,
    PARTITION,
    REFUSAL,
    UPDATE,
    WHY,
)
from sim.federation.wire.exact import (
    array_in,
    attributes,
    entries_of,
    metadata_in,
    number_in,
    reason_in,
    value_in,
)
from sim.federation.wire.flower import failed, metadata_of, receiver, reply_to
from sim.messages import Content, Form, Report, UnusableError
from sim.untrusted import described, described_error
from sim.withheld import FAILED

Stated: TypeAlias = dict[str, object]  # of a message, by the names that Flower has for it

OF_REPORT: Final = frozenset({ARRAYS, METRICS})  # records of a reply with an update
NOBODY = -1  # no node has this number
NOT_FINITE = "values that are not finite"  # why an update with NaN or infinity in it is not used
# a reply's own statements, what each repeats of the message that it answers, and its name in words
ANSWERS = (
    ("_run_id", "_run_id", "run"),
    ("_message_type", "_message_type", "message of type"),
    ("_src_node_id", "_dst_node_id", "sender"),
    ("_dst_node_id", "_src_node_id", "receiver"),
    ("_reply_to_message_id", "_message_id", "reply to message"),
)


def read_report(reply: object, n_params: int, max_records: int) -> Report:
    """The usable update, record count and numbers in a reply, as copies.

    Agreed are: no error; exactly the expected records and arrays; dtype float32, shape (n_params,)
    and, for a serialized array, exactly the bytes that these have as .npy; finite values; a whole
    record count in [1, max_records]; and finite numbers for the rest. Raises ``UnusableError`` for
    anything else.
    """
    try:
        return _report(reply, n_params, max_records)
    except (UnusableError, MemoryError):  # no more memory is ever asked for than the agreed sizes
        raise
    except Exception as error:
        raise _unreadable(error) from error


def read_content(reply: object, form: Form) -> Content:
    """The usable content of a reply in a trip of a protocol, as copies.

    Raises ``UnusableError`` for anything that is not exactly of ``form``.
    """
    try:
        return _content(reply, form)
    except (UnusableError, MemoryError):  # as above
        raise
    except Exception as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> UnusableError:
    return UnusableError(f"the reply cannot be read: {described_error(error)}")


def _report(reply: object, n_params: int, max_records: int) -> Report:
    records = _records(reply)
    if records.keys() != OF_REPORT:
        raise UnusableError(
            f"records {described(sorted(records))}, expected {ARRAYS} and {METRICS}"
        )
    arrays = entries_of(records[ARRAYS], ArrayRecord, ARRAYS)
    if arrays.keys() != {UPDATE}:
        raise UnusableError(f"arrays {described(list(arrays))}, expected {UPDATE}")
    update: Any = array_in(arrays[UPDATE], "float32", (n_params,), "the update")
    if np.count_nonzero(np.isfinite(update)) != n_params:  # quicker than ``all``
        raise UnusableError(NOT_FINITE)
    metrics = entries_of(records[METRICS], MetricRecord, METRICS)
    count = metrics.get(COUNT)
    if type(count) is not int or not 1 <= count <= max_records:
        raise UnusableError(
            f"reports {described(count)} records, expected a whole number from 1 to {max_records}"
        )
    return Report(update, count, {name: number_in(name, value) for name, value in metrics.items()})


def _content(reply: object, form: Form) -> Content:
    records = _records(reply)
    stated = records.pop(METRICS, None) if form.numbers else None
    expected = {name for name, part in ((ARRAYS, form.arrays), (CONFIG, form.values)) if part}
    if records.keys() != expected:
        raise UnusableError(
            f"records {described(sorted(records))}, expected {' and '.join(sorted(expected))}"
        )
    arrays = entries_of(records[ARRAYS], ArrayRecord, ARRAYS) if form.arrays else {}
    values = entries_of(records[CONFIG], ConfigRecord, CONFIG) if form.values else {}
    for what, given, agreed in (("arrays", arrays, form.arrays), ("values", values, form.values)):
        if given.keys() != agreed.keys():
            raise UnusableError(
                f"{what} {described(sorted(given))}, expected {', '.join(sorted(agreed))}"
            )
    metrics = {} if stated is None else entries_of(stated, MetricRecord, METRICS)
    return Content(
        {
            name: array_in(arrays[name], dtype, shape, f"array {name}", f"array {name} has ")
            for name, (dtype, shape) in form.arrays.items()
        },
        {name: number_in(name, value) for name, value in metrics.items()},
        {name: value_in(name, values[name], entry) for name, entry in form.values.items()},
    )


def _records(reply: object) -> dict[str, Any]:
    """The records of a reply that is no error and no refusal, in a dict of its own."""
    message = attributes(reply, Message, "the reply")
    if message.get("_error") is not None:
        raise UnusableError(f"{FAILED}{reason_in(message['_error'])}")
    if message.get("_content") is None:
        raise UnusableError("the reply has no content")
    records = entries_of(message["_content"], RecordDict, "the content")
    if records.keys() == {REFUSAL}:
        raise UnusableError(_refusal(records[REFUSAL]))
    return dict(records)


def _refusal(record: Any) -> str:
    """A hospital's refusal in our own words."""
    stated = entries_of(record, ConfigRecord, REFUSAL)
    why = stated.get(WHY)
    if stated.keys() != {WHY} or type(why) is not str or why not in SENTENCES:
        raise UnusableError(
            f"a refusal without a known reason, expected one of {', '.join(SENTENCES)}"
        )
    return f"{REFUSED}{SENTENCES[why]}"


def read_partition(reply: object, asked: Message, n_partitions: int) -> int:
    """The partition that a node states in its reply to ``roll_call``, in [0, n_partitions).

    Raises ``UnusableError`` for anything else, as ``read_report`` does.
    """
    if (reason := misdirected(metadata_in(reply), asked)) is not None:
        raise UnusableError(reason)
    message = attributes(reply, Message, "the reply")
    if message.get("_error") is not None:
        raise UnusableError(f"{FAILED}{reason_in(message['_error'])}")
    records = entries_of(message.get("_content"), RecordDict, "the content")
    partition = entries_of(records.get(METRICS), MetricRecord, METRICS).get(PARTITION)
    if type(partition) is not int or not 0 <= partition < n_partitions:
        expected = f"expected a whole number from 0 to {n_partitions - 1}"
        raise UnusableError(f"partition {described(partition)}, {expected}")
    return partition


def enrolled(
    replies: Iterable[object], asked: Iterable[Message], n_partitions: int
) -> tuple[dict[int, int], list[str]]:
    """Node id -> partition in order of the partitions, and why other nodes are not enrolled.

    A node must answer ``asked`` once, with a partition that no other node claims: where two claim
    one, nobody can tell which of them is right, and neither is enrolled.
    """
    by_node = dict[int, list[object]]()
    for reply in replies:
        by_node.setdefault(sender(metadata(reply)), []).append(reply)
    claims = dict[int, int]()
    reasons = list[str]()
    for message in asked:
        node = receiver(message)
        try:
            claims[node] = read_partition(_only(by_node.get(node, [])), message, n_partitions)
        except UnusableError as reason:
            reasons.append(f"node {node}: {reason}")
    taken = Counter(claims.values())
    reasons += [
        f"node {node}: partition {one} is claimed by {taken[one]} nodes"
        for node, one in claims.items()
        if taken[one] > 1
    ]
    alone = {node: one for node, one in claims.items() if taken[one] == 1}
    return dict(sorted(alone.items(), key=lambda item: item[1])), reasons


def _only(replies: list[object]) -> object:
    """The one reply. Raises ``UnusableError`` if there is none or more than one."""
    if len(replies) != 1:
        raise UnusableError("more than one reply" if replies else "no reply")
    return replies[0]


def metadata(reply: object) -> Stated:
    """The metadata that a reply states; empty where nothing readable is stated."""
    try:
        return metadata_in(reply)
    except UnusableError:
        return {}


def sender(stated: Stated) -> int:
    """The node that a reply is from by its ``metadata``; ``NOBODY`` where none is stated."""
    node = stated.get("_src_node_id")
    return node if type(node) is int else NOBODY


def misdirected(stated: Stated, asked: Message) -> str | None:
    """The reason why a reply with this ``metadata`` is no answer to ``asked``; None if it is one.

    An answer is from the node that was asked, and to the node that asks.
    """
    expected = metadata_of(asked)
    for name, of_asked, what in ANSWERS:
        found = stated.get(name)
        value = expected[of_asked]
        if type(found) is not type(value) or found != value:
            return f"{what} {described(found)}, expected {described(value)}"
    return None


def received(reply: object, asked: Message) -> Message:
    """The message that arrives where an app gives back ``reply`` to ``asked``.

    It holds the reply's content under the grid's own word for who sent it. An error reply arrives
    in words of ours, and so does anything that is no answer to ``asked``.
    """
    try:
        message = attributes(reply, Message, "the reply")
        reason = misdirected(metadata_in(reply), asked)
        if reason is None and message.get("_error") is not None:
            reason = reason_in(message["_error"])
    except UnusableError as unusable:
        reason = str(unusable)
    return reply_to(asked, message.get("_content")) if reason is None else failed(reason, asked)
