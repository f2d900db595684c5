"""Vectors and settings <-> Flower messages. Every private import from Flower in this project is in
this file.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from types import MappingProxyType
from typing import Any, NamedTuple, Never, TypeAlias, TypeVar

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    Metadata,
    MetricRecord,
    RecordDict,
)
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.supercore.run import Run as Run
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from sim.design.refusals import REFUSED, SENTENCES, Refusal
from sim.types import SentReply
from sim.untrusted import LARGEST_BITS, MOST_CHARACTERS, described, described_error
from sim.withheld import FAILED

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"
WEIGHTS, UPDATE, COUNT = "weights", "update", "num-examples"
PLAN, ROUND = "plan", "round"
REFUSAL, WHY = "refusal", "why"
PARTITION = "partition-id"
# the reason for which an update with NaN or infinity in it is not used
NOT_FINITE = "values that are not finite"
Stated: TypeAlias = dict[str, object]  # of a message, by the names that Flower has for it
NOBODY = -1  # no node has this number
# what a reply states of itself, what it repeats of the message that it answers, and what that is
# called
ANSWERS = (
    ("_run_id", "_run_id", "run"),
    ("_message_type", "_message_type", "message of type"),
    ("_src_node_id", "_dst_node_id", "sender"),
    ("_dst_node_id", "_src_node_id", "receiver"),
    ("_reply_to_message_id", "_message_id", "reply to message"),
)
FLOAT32 = np.dtype(np.float32)  # the one that plain arrays share
NPY = "numpy.ndarray"  # Flower's name for an array serialized by numpy
MOST_ENTRIES = 64  # of a record or an object in a reply; an honest one has 12

TRAIN = "train"  # type of a message: train, and reply with the upload
CLEAR = "train.clear"  # in simulation alone: train, and reply with the update as it is
# in simulation alone: reply with the upload of the update that is sent along
UPLOAD = "train.upload"
TRIP = "query.trip"  # a trip of a protocol in which nothing is trained
KIND = "kind"  # of a trip, among its values
# parts of a message: for all hospitals, for one of them, and the update to be uploaded
CARRIED = ("trip", "own", "given")
# part of a hospital's state: what its half of a protocol holds until the round is over
HELD = "held"
ANY_KIND = TRAIN  # a message without a kind is of this one

Value: TypeAlias = (
    bool | int | float | str | bytes | list[int] | list[float] | list[str] | list[bytes]
)
T = TypeVar("T")
EMPTY: Mapping[str, Never] = MappingProxyType({})

# Flower sets its own level when imported, so this comes after
logging.getLogger("flwr").setLevel(logging.ERROR)


class SharedArray(Array):
    """An ``Array`` that holds the ndarray itself and is serialized only when somebody asks for
    ``data``.
    """

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.__dict__ = {
            "values": values,
            "dtype": _name(values.dtype),
            "shape": values.shape,
            "stype": NPY,
        }

    def __getattr__(self, name: str) -> Any:
        if name != "data":
            raise AttributeError(name)
        data = self.__dict__["data"] = Array(self.__dict__["values"]).data
        return data

    def numpy(self) -> NDArray[np.generic]:
        """The array itself, without a copy."""
        shared: NDArray[np.generic] = self.__dict__["values"]
        return shared


@dataclass(frozen=True)
class Task:
    """What the aggregator asks of a hospital: train ``weights`` in ``round`` by the plan with the
    digest ``plan``.

    ``weights`` are ``NO_WEIGHTS`` in a trip in which nothing is trained.
    """

    round: int
    plan: str
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Report:
    """A hospital's usable reply: its update (n_params,) float32, its record count, and other
    numbers.
    """

    update: NDArray[np.float32]
    count: int
    numbers: dict[str, float]


class Content(NamedTuple):
    """What a message holds beside what every message has: arrays, numbers and other plain values,
    each by name.
    """

    arrays: Mapping[str, NDArray[np.generic]] = EMPTY
    numbers: Mapping[str, int | float] = EMPTY
    values: Mapping[str, Value] = EMPTY


NOTHING = Content()
NO_CONTENTS: Mapping[int, Content] = MappingProxyType({})
NO_WEIGHTS: NDArray[np.float32] = np.empty(0, np.float32)


@dataclass(frozen=True)
class Entry:
    """What a value must be: exactly of type ``kind`` (a list of these if ``most_entries`` is
    given), of at most ``most``.

    ``most``: characters or bytes, or the largest absolute number.
    """

    kind: type[bool] | type[int] | type[float] | type[str] | type[bytes]
    most: float
    most_entries: int | None = None


@dataclass(frozen=True, eq=False)
class Form:
    """What a usable answer holds: exactly these arrays, each with dtype and shape, and exactly
    these values.
    """

    arrays: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    values: Mapping[str, Entry] = field(default_factory=dict)


class UnusableError(ValueError):
    """A reply that must not enter the aggregate; the text is the reason."""


@lru_cache(maxsize=32)
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # which numpy puts together at each call


def _copy(one: T, **changes: Any) -> T:
    """A copy of a Flower object with some attributes changed.

    Flower's own constructors check the type of everything, which costs more than the rest of a
    message.
    """
    copy: T = object.__new__(type(one))
    copy.__dict__ = {**one.__dict__, **changes}
    return copy


def _made(kind: type[T], attributes: dict[str, Any]) -> T:
    """A Flower object with exactly these attributes, as ``_copy`` makes one."""
    made: T = object.__new__(kind)
    made.__dict__ = attributes
    return made


def _entries(record: RecordDict | ArrayRecord | ConfigRecord | MetricRecord) -> dict[str, Any]:
    """What a record holds, without the typed views that Flower rebuilds at each look."""
    held: dict[str, Any] = vars(record)["_data"]
    return held


_NO_ARRAYS, _NO_METRICS, _NO_RECORDS = ArrayRecord(), MetricRecord(), RecordDict()
_OF_ARRAYS, _OF_METRICS, _OF_RECORDS = vars(_NO_ARRAYS), vars(_NO_METRICS), vars(_NO_RECORDS)
_OF_CONFIG = vars(ConfigRecord())


def arrays(name: str, vector: NDArray[np.float32]) -> ArrayRecord:
    """A record with one array."""
    return _made(ArrayRecord, {**_OF_ARRAYS, "_data": {name: SharedArray(vector)}})


def vector(record: ArrayRecord, name: str) -> NDArray[np.float32]:
    """The array of a record made by ``arrays``."""
    values: NDArray[np.float32] = record[name].numpy()
    return values


def settings(plan: str) -> ConfigRecord:
    """The part of a task that is the same in every round: the digest of the plan."""
    return ConfigRecord({PLAN: plan})


def ask(
    round_: int,
    weights: NDArray[np.float32] | None,
    task: ConfigRecord,
    nodes: Iterable[int],
    *,
    type_: str = TRAIN,
    kind: str = ANY_KIND,
    common: Content = NOTHING,
    each: Mapping[int, Content] = NO_CONTENTS,
) -> list[Message]:
    """The messages of one trip to some nodes.

    ``weights`` (n_params,): to be trained; None where nothing is. ``task``: what is the same in
    every round (``settings``). ``type_`` and ``kind``: of the message, and of the trip. ``common``:
    what all nodes are sent; ``each``: what single ones are sent beside that. Nodes that are sent
    nothing of their own share their records, as in Flower's own strategies: see ``isolated``.
    """
    config = {**_entries(task), ROUND: round_}
    records: dict[str, Any] = {CONFIG: _made(ConfigRecord, {**_OF_CONFIG, "_data": config})}
    if weights is not None:
        records[ARRAYS] = arrays(WEIGHTS, weights)
    if kind != ANY_KIND or common is not NOTHING:
        records |= _carried(CARRIED[0], common._replace(values={**common.values, KIND: kind}))
    shared = _made(RecordDict, {**_OF_RECORDS, "_data": records})
    first = vars(Message(shared, SUPERLINK_NODE_ID, type_))
    about, found = vars(first["_metadata"]), list[Message]()
    for node in nodes:
        attributes = {**first, "_metadata": _made(Metadata, {**about, "_dst_node_id": node})}
        if node in each:
            attributes["_content"] = RecordDict({**records, **_carried(CARRIED[1], each[node])})
        found.append(_made(Message, attributes))
    return found


def roll_call(nodes: Iterable[int]) -> list[Message]:
    """The messages that ask nodes which hospital they are."""
    return [Message(RecordDict(), node, "query") for node in nodes]


def present(partition: int, message: Message) -> Message:
    """A hospital's reply to ``roll_call``."""
    return Message(RecordDict({METRICS: MetricRecord({PARTITION: partition})}), reply_to=message)


def read_partition(reply: object, asked: Message, n_partitions: int) -> int:
    """The partition that a node states in its reply to ``roll_call``, in [0, n_partitions).

    Raises ``UnusableError`` for anything else, as ``read_report`` does.
    """
    if (reason := misdirected(_metadata(reply), asked)) is not None:
        raise UnusableError(reason)
    message = _inside(reply, Message, "the reply")
    if message.get("_error") is not None:
        raise UnusableError(f"{FAILED}{_reason(message['_error'])}")
    records = _held(message.get("_content"), RecordDict, "the content")
    partition = _held(records.get(METRICS), MetricRecord, METRICS).get(PARTITION)
    if type(partition) is not int or not 0 <= partition < n_partitions:
        raise UnusableError(
            f"partition {described(partition)}, expected a whole number from 0 to"
            f" {n_partitions - 1}"
        )
    return partition


def enrolled(
    replies: Iterable[object], asked: Iterable[Message], n_partitions: int
) -> tuple[dict[int, int], list[str]]:
    """Node id -> partition in order of the partitions, and the reasons why other nodes are not
    enrolled.

    A node must answer ``asked`` once, with a partition that no other node claims: where two claim
    one, nobody can tell which of them is right, and neither is enrolled.
    """
    by_node = dict[int, list[object]]()
    for reply in replies:
        by_node.setdefault(sender(metadata(reply)), []).append(reply)
    claims, refused = dict[int, int](), list[str]()
    for message in asked:
        node = message.metadata.dst_node_id
        try:
            claims[node] = read_partition(only(by_node.get(node, [])), message, n_partitions)
        except UnusableError as reason:
            refused.append(f"node {node}: {reason}")
    taken = Counter(claims.values())
    refused += [
        f"node {node}: partition {one} is claimed by {taken[one]} nodes"
        for node, one in claims.items()
        if taken[one] > 1
    ]
    alone = {node: one for node, one in claims.items() if taken[one] == 1}
    return dict(sorted(alone.items(), key=lambda item: item[1])), refused


def only(replies: Sequence[T]) -> T:
    """The one reply. Raises ``UnusableError`` if there is none or more than one."""
    if len(replies) != 1:
        raise UnusableError("more than one reply" if replies else "no reply")
    return replies[0]


def isolated(message: Message) -> Message:
    """The same message with metadata and records of its own, so that no app can edit what another
    one gets.
    """
    return deepcopy(message)


def read_tasks(messages: Iterable[Message]) -> list[Task]:
    """What each message of ``ask`` asks; those that share their records, one after the other, share
    the task.
    """
    tasks, content = list[Task](), None
    for message in messages:
        if (own := vars(message)["_content"]) is content:
            tasks.append(tasks[-1])
        else:
            tasks.append(read_task(message))
            content = own
    return tasks


def read_task(message: Message) -> Task:
    """What a message of ``ask`` asks."""
    content = _entries(vars(message)["_content"])
    config = _entries(content[CONFIG])
    weights = _entries(content[ARRAYS])[WEIGHTS].numpy() if ARRAYS in content else NO_WEIGHTS
    return Task(config[ROUND], config[PLAN], weights)


def answer(
    update: NDArray[np.float32], count: int, numbers: dict[str, float], message: Message
) -> Message:
    """A hospital's reply to ``message``."""
    metrics = _copy(_NO_METRICS, _data={COUNT: count, **numbers})
    return _reply(
        _copy(_NO_RECORDS, _data={ARRAYS: arrays(UPDATE, update), METRICS: metrics}), message
    )


def refused(refusal: Refusal, message: Message) -> Message:
    """The reply of a hospital that refuses the task of ``message``."""
    return _reply(RecordDict({REFUSAL: ConfigRecord({WHY: refusal})}), message)


def _reply(content: Any, message: Message) -> Message:
    """What ``Message(content, reply_to=message)`` is, whatever the content is."""
    attributes = vars(message)
    asked, now = vars(attributes["_metadata"]), time.time()
    metadata = {
        **asked,
        "_message_id": "",
        "_delivered_at": "",
        "_src_node_id": asked["_dst_node_id"],
        "_dst_node_id": asked["_src_node_id"],
        "_src_task_id": asked["_dst_task_id"],
        "_dst_task_id": asked["_src_task_id"],
        "_reply_to_message_id": asked["_message_id"],
        "_created_at": now,
        "_ttl": asked["_created_at"] + asked["_ttl"] - now,
    }
    return _made(
        Message, {**attributes, "_metadata": _made(Metadata, metadata), "_content": content}
    )


def sent(reply: Message) -> NDArray[np.float32]:
    """The update in a reply made by ``answer``."""
    content: Any = reply.content
    return vector(content[ARRAYS], UPDATE)


def failed(reason: str, message: Message) -> Message:
    """The reply of a hospital whose app raised."""
    return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)


def replaced(reply: Message, update: NDArray[np.float32]) -> Message:
    """The same reply with another update in it."""
    content: Any = reply.content
    return _copy(
        reply,
        _content=_copy(content, _data={ARRAYS: arrays(UPDATE, update), METRICS: content[METRICS]}),
    )


def sent_reply(reply: Message, sent: SentReply) -> Message:
    """The same reply with whatever is ``sent`` in place of the update and the record count."""
    content: Any = reply.content
    record = _copy(_NO_ARRAYS, _data={sent.array: SharedArray(np.asarray(sent.update))})
    metrics = _copy(_NO_METRICS, _data={**_entries(content[METRICS]), COUNT: sent.count})
    return _copy(reply, _content=_copy(content, _data={ARRAYS: record, METRICS: metrics}))


def read_report(reply: object, n_params: int, max_records: int) -> Report:
    """The usable content of a reply. Raises ``UnusableError`` for anything else: nothing in a reply
    is trusted.

    This is the one place where something that a hospital made is looked into. Only exactly Flower's
    and Python's own types are, so that no code of the hospital's runs here; of any other type,
    nothing but its name is used. Agreed are: no error; exactly the expected records and arrays;
    dtype float32, shape (n_params,) and, for a serialized array, exactly the bytes that these have
    as .npy, all checked before anything is decoded; finite values; a whole record count in [1,
    max_records]; and finite numbers for the rest. The report holds copies.
    """
    try:
        return _report(reply, n_params, max_records)
    except (
        UnusableError,
        MemoryError,
    ):  # no more memory is ever asked for than one update of the agreed size
        raise
    except Exception as error:
        raise UnusableError(f"the reply cannot be read: {described_error(error)}") from error


def _report(reply: object, n_params: int, max_records: int) -> Report:
    records = _records(reply)
    if records.keys() != {ARRAYS, METRICS}:
        raise UnusableError(
            f"records {described(sorted(records))}, expected {ARRAYS} and {METRICS}"
        )
    update = _update(records[ARRAYS], n_params)
    metrics = _held(records[METRICS], MetricRecord, METRICS)
    count = metrics.get(COUNT)
    if type(count) is not int or not 1 <= count <= max_records:
        raise UnusableError(
            f"reports {described(count)} records, expected a whole number from 1 to {max_records}"
        )
    return Report(update, count, {name: _number(name, value) for name, value in metrics.items()})


def _refusal(record: Any) -> str:
    """A hospital's refusal in our own words."""
    entries = _held(record, ConfigRecord, REFUSAL)
    why = entries.get(WHY)
    if entries.keys() != {WHY} or type(why) is not str or why not in SENTENCES:
        raise UnusableError(
            f"a refusal without a known reason, expected one of {', '.join(SENTENCES)}"
        )
    return f"{REFUSED}{SENTENCES[why]}"


def _records(reply: object) -> dict[str, Any]:
    """The records of a reply that is no error and no refusal."""
    message = _inside(reply, Message, "the reply")
    if message.get("_error") is not None:
        raise UnusableError(f"{FAILED}{_reason(message['_error'])}")
    if message.get("_content") is None:
        raise UnusableError("the reply has no content")
    records = _held(message["_content"], RecordDict, "the content")
    if records.keys() == {REFUSAL}:
        raise UnusableError(_refusal(records[REFUSAL]))
    return records


def _update(record: Any, n_params: int) -> NDArray[np.float32]:
    arrays = _held(record, ArrayRecord, ARRAYS)
    if arrays.keys() != {UPDATE}:
        raise UnusableError(f"arrays {described(list(arrays))}, expected {UPDATE}")
    array = arrays[UPDATE]
    if type(array) is SharedArray:
        update = _shared(_inside(array, SharedArray, "the update").get("values"), n_params)
    else:
        update = _decoded(_inside(array, Array, "the update"), n_params)
    if np.count_nonzero(np.isfinite(update)) != n_params:  # quicker than ``all``
        raise UnusableError(NOT_FINITE)
    return update


def _shared(values: Any, n_params: int) -> NDArray[np.float32]:
    """A copy of an array that came without being serialized."""
    if type(values) is not np.ndarray:
        raise UnusableError(f"the update is {described(values)}, expected an array of numpy")
    if values.dtype is FLOAT32 and values.shape == (n_params,):
        return values.copy()
    _check_form(
        values.dtype.str if values.dtype.names else str(values.dtype), values.shape, n_params
    )
    # of the plain dtype, whatever else the one that came carries
    plain = np.empty(n_params, np.float32)
    plain[:] = values
    return plain


def _decoded(fields: dict[str, Any], n_params: int) -> NDArray[np.float32]:
    """The array that exactly agreed bytes are, without a decoder that more could be asked of."""
    stype, data, head = fields.get("stype"), fields.get("data"), _npy_head(n_params)
    _check_form(fields.get("dtype"), fields.get("shape"), n_params)
    if type(stype) is not str or stype != NPY:
        raise UnusableError(f"an array serialized as {described(stype)}, expected {NPY}")
    n_bytes = len(head) + 4 * n_params
    if type(data) is not bytes or len(data) != n_bytes or not data.startswith(head):
        raise UnusableError(
            f"the update cannot be decoded: {described(data)}, expected {n_bytes} that begin as"
            " .npy of its form"
        )
    return np.frombuffer(data, "<f4", offset=len(head)).astype(np.float32)


def _check_form(dtype: Any, shape: Any, n_params: int) -> None:
    if type(dtype) is not str or dtype != "float32":
        raise UnusableError(f"dtype {described(dtype)}, expected float32")
    if (
        type(shape) is not tuple
        or len(shape) != 1
        or type(shape[0]) is not int
        or shape != (n_params,)
    ):
        raise UnusableError(f"shape {described(shape)}, expected ({n_params},)")


@lru_cache(maxsize=32)
def _npy_head(n_params: int) -> bytes:
    """What numpy writes before the values of a float32 array (n_params,)."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (n_params,)}
    )
    return file.getvalue()


def _number(name: str, value: Any) -> float:
    if len(name) > MOST_CHARACTERS or not name.isprintable():
        raise UnusableError(
            f"reports a number named {described(name)}, expected at most {MOST_CHARACTERS}"
            " printable characters"
        )
    fits = type(value) is float or (type(value) is int and value.bit_length() <= LARGEST_BITS)
    if not fits or not math.isfinite(value):
        raise UnusableError(
            f"reports {described(name)}={described(value)}, expected a finite number"
        )
    return float(value)


def _inside(thing: Any, kind: type, what: str) -> dict[str, Any]:
    """The attributes of a thing that is exactly a ``kind``."""
    if type(thing) is not kind:
        raise UnusableError(f"{what} is {described(thing)}, expected {kind.__name__}")
    return _plain(vars(thing), what)


def _held(record: Any, kind: type, what: str) -> dict[str, Any]:
    """The entries of a record that is exactly a ``kind``."""
    if type(record) is not kind:
        raise UnusableError(f"{what} is {described(record)}, expected {kind.__name__}")
    return _plain(_plain(vars(record), what).get("_data"), what)


def _plain(entries: Any, what: str) -> dict[str, Any]:
    """``entries``, once it is certain that to look something up in them runs nobody's code: few, by
    names of exactly str.
    """
    if type(entries) is not dict:
        raise UnusableError(f"{what} holds {described(entries)}, expected names and values")
    if len(entries) > MOST_ENTRIES:
        raise UnusableError(f"{what} holds {len(entries)} entries, expected at most {MOST_ENTRIES}")
    for name in entries:
        if type(name) is not str:
            raise UnusableError(f"{what} holds {described(name)} for a name")
    return entries


def _reason(error: Any) -> str:
    reason = _inside(error, Error, "the error").get("_reason")
    return "no reason given" if reason is None else described(reason)


def metadata(reply: object) -> Stated:
    """What a reply states about itself; empty where nothing readable is stated."""
    try:
        return _metadata(reply)
    except UnusableError:
        return {}


def _metadata(reply: object) -> Stated:
    return _inside(_inside(reply, Message, "the reply").get("_metadata"), Metadata, "the metadata")


def type_of(message: Message) -> str:
    """The type of a message of ours."""
    found: str = vars(vars(message)["_metadata"])["_message_type"]
    return found


def receiver(message: Message) -> int:
    """The node that a message of ours is to."""
    node: int = vars(vars(message)["_metadata"])["_dst_node_id"]
    return node


def sender(stated: Stated) -> int:
    """The node that a reply is from by its ``metadata``; ``NOBODY`` where none is stated."""
    node = stated.get("_src_node_id")
    return node if type(node) is int else NOBODY


def misdirected(stated: Stated, asked: Message) -> str | None:
    """Why a reply with this ``metadata`` is no answer to ``asked``, from the node that was asked to
    the one that asks.

    None if it is one.
    """
    expected = vars(vars(asked)["_metadata"])
    for name, of_asked, what in ANSWERS:
        found, value = stated.get(name), expected[of_asked]
        if type(found) is not type(value) or found != value:
            return f"{what} {described(found)}, expected {described(value)}"
    return None


def received(reply: object, asked: Message) -> Message:
    """What arrives of what an app gave back to ``asked``: its content under the grid's own word for
    who sent it.

    An error reply arrives in words of ours, and so does anything that is no answer to ``asked``.
    """
    try:
        message = _inside(reply, Message, "the reply")
        reason = misdirected(_metadata(reply), asked)
        if reason is None and message.get("_error") is not None:
            reason = _reason(message["_error"])
    except UnusableError as unusable:
        reason = str(unusable)
    return _reply(message.get("_content"), asked) if reason is None else failed(reason, asked)


def enter_process() -> Run:
    """Give this process the identity that Flower's ``Message`` asks for, and return the run that
    goes with it.
    """
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, SUPERLINK_NODE_ID
    return Run.create_empty(run_id=1)


def context(node: int, partition: int) -> Context:
    """A fresh context of a node in this process."""
    return Context(
        run_id=1,
        node_id=node,
        node_config={PARTITION: partition},
        state=RecordDict(),
        run_config={},
    )


def lent(context: Context) -> Context:
    """A copy of a context for one call of an app; it shares the state and nothing else that could
    be edited.
    """
    return _copy(
        context, node_config=dict(context.node_config), run_config=dict(context.run_config)
    )


def take_back(lent: Context, context: Context) -> None:
    """Keep the state that an app has left in what it was ``lent``, if it is one."""
    with suppress(UnusableError):
        state = _inside(lent, Context, "the context").get("state")
        if type(state) is RecordDict:
            context.state = state


def stamp(message: Message, identity: str) -> None:
    """Set the message's id, which Flower leaves to the transport."""
    vars(vars(message)["_metadata"])["_message_id"] = identity


# --- trips of protocols: more than one message a round


def to_upload(message: Message, trained: Message) -> Message:
    """The message that asks a hospital for the upload of what ``trained`` holds, its reply to
    ``message``.
    """
    given: Any = trained.content
    names = dict(zip((ARRAYS, METRICS), _names(CARRIED[2])[:2], strict=True))
    records = {
        **_entries(message.content),
        **{names[name]: given[name] for name in (ARRAYS, METRICS)},
    }
    content = _copy(_NO_RECORDS, _data=records)
    return _copy(
        message,
        _metadata=_copy(message.metadata, _message_type=UPLOAD, _message_id="", _delivered_at=""),
        _content=content,
    )


def given(message: Message) -> Report:
    """The update in a message of ``to_upload``. Raises ``UnusableError`` where it is none that a
    hospital could upload.
    """
    records, names = _entries(message.content), _names(CARRIED[2])
    (array,) = _entries(records[names[0]]).values()
    numbers = dict(_entries(records[names[1]]))
    update, count = array.numpy(), numbers.pop(COUNT)
    if update.dtype != np.float32 or update.ndim != 1 or not np.isfinite(update).all():
        raise UnusableError(
            f"an update of {update.dtype} with shape {update.shape}, expected finite float32"
        )
    if type(count) is not int or count < 1:
        raise UnusableError(f"{described(count)} records, expected a whole number from 1")
    return Report(update, count, numbers)


def read_trip(message: Message) -> tuple[str, Content]:
    """Kind and content of a message of ``ask``."""
    records = _entries(vars(message)["_content"])
    if records.keys() <= {ARRAYS, CONFIG}:
        return ANY_KIND, NOTHING
    parts = [_unpacked(records, part) for part in CARRIED[:2]]
    merged = [{**parts[0][i], **parts[1][i]} for i in range(3)]
    kind = merged[2].pop(KIND, ANY_KIND)
    return str(kind), Content(*merged)


def clear(report: Report) -> Content:
    """An update and its record count as they are: what a hospital answers in a plain round."""
    return Content({UPDATE: report.update}, {COUNT: report.count, **report.numbers})


def holding(content: Content, message: Message) -> Message:
    """A hospital's reply to ``message`` that holds ``content``."""
    records: dict[str, Any] = {}
    if content.arrays or not content.values:
        data = {name: SharedArray(array) for name, array in content.arrays.items()}
        records[ARRAYS] = _made(ArrayRecord, {**_OF_ARRAYS, "_data": data})
    if content.numbers:
        records[METRICS] = _made(MetricRecord, {**_OF_METRICS, "_data": content.numbers})
    if content.values:
        records[CONFIG] = ConfigRecord(dict(content.values))
    return _reply(_made(RecordDict, {**_OF_RECORDS, "_data": records}), message)


def read_content(reply: object, form: Form) -> Content:
    """The usable content of a reply in a trip of a protocol. Raises ``UnusableError`` for anything
    that is not of ``form``.

    It trusts as little as ``read_report``: exactly the arrays and values of the form, checked
    before anything is decoded, copied.
    """
    try:
        return _content(reply, form)
    except (UnusableError, MemoryError):  # no more memory is ever asked for than the agreed sizes
        raise
    except Exception as error:
        raise UnusableError(f"the reply cannot be read: {described_error(error)}") from error


def _content(reply: object, form: Form) -> Content:
    records = _records(reply)
    expected = {name for name, part in ((ARRAYS, form.arrays), (CONFIG, form.values)) if part}
    if records.keys() != expected:
        raise UnusableError(
            f"records {described(sorted(records))}, expected {' and '.join(sorted(expected))}"
        )
    found = _held(records[ARRAYS], ArrayRecord, ARRAYS) if form.arrays else {}
    stated = _held(records[CONFIG], ConfigRecord, CONFIG) if form.values else {}
    for what, given, agreed in (("arrays", found, form.arrays), ("values", stated, form.values)):
        if given.keys() != agreed.keys():
            raise UnusableError(
                f"{what} {described(sorted(given))}, expected {', '.join(sorted(agreed))}"
            )
    arrays = {name: _array(found[name], name, *agreed) for name, agreed in form.arrays.items()}
    return Content(
        arrays, {}, {name: _value(name, stated[name], entry) for name, entry in form.values.items()}
    )


def _array(array: Any, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """A copy of an array that is exactly of ``dtype`` and ``shape``, serialized or not."""
    agreed, what = np.dtype(dtype), f"array {name}"
    if type(array) is SharedArray:
        values = _inside(array, SharedArray, what).get("values")
        if type(values) is not np.ndarray:
            raise UnusableError(f"{what} is {described(values)}, expected an array of numpy")
        _check_array(
            what,
            values.dtype.str if values.dtype.names else str(values.dtype),
            values.shape,
            agreed,
            shape,
        )
        return np.array(values, agreed)
    fields = _inside(array, Array, what)
    _check_array(what, fields.get("dtype"), fields.get("shape"), agreed, shape)
    stype, data, head = fields.get("stype"), fields.get("data"), _npy_head_of(agreed.str, shape)
    n_bytes = len(head) + agreed.itemsize * math.prod(shape)
    if (
        type(stype) is not str
        or stype != NPY
        or type(data) is not bytes
        or len(data) != n_bytes
        or not data.startswith(head)
    ):
        raise UnusableError(
            f"{what} cannot be decoded: {described(data)}, expected {n_bytes} that begin as .npy of"
            " its form"
        )
    return np.frombuffer(data, agreed, offset=len(head)).reshape(shape).copy()


def _check_array(
    what: str, dtype: Any, shape: Any, agreed: np.dtype[Any], expected: tuple[int, ...]
) -> None:
    if type(dtype) is not str or dtype != agreed.name:
        raise UnusableError(f"{what} has dtype {described(dtype)}, expected {agreed.name}")
    if type(shape) is not tuple or any(type(n) is not int for n in shape) or shape != expected:
        raise UnusableError(f"{what} has shape {described(shape)}, expected {expected}")


def _value(name: str, value: Any, entry: Entry) -> Value:
    """A value that is exactly as ``entry`` asks."""
    several = entry.most_entries is not None
    parts = value if several and type(value) is list else [value]
    fits = type(value) is list if several else True
    if (
        not fits
        or len(parts) > (entry.most_entries or 1)
        or any(not _is(part, entry) for part in parts)
    ):
        kind = (
            f"a list of at most {entry.most_entries} {entry.kind.__name__}"
            if several
            else entry.kind.__name__
        )
        raise UnusableError(
            f"value {name} is {described(value)}, expected {kind} of at most {entry.most:g}"
        )
    return list(value) if several else value


def _is(value: Any, entry: Entry) -> bool:
    if type(value) is not entry.kind:
        return False
    if isinstance(value, (str, bytes)):
        return len(value) <= entry.most
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return False
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= entry.most


def _names(part: str) -> tuple[str, str, str]:
    return f"{part}-{ARRAYS}", f"{part}-{METRICS}", part


def _carried(part: str, content: Content) -> dict[str, Any]:
    """A content as records of a part of a message, or of what a hospital holds."""
    names = _names(part)
    records: dict[str, Any] = {}
    if content.arrays:
        records[names[0]] = _copy(
            _NO_ARRAYS, _data={name: SharedArray(values) for name, values in content.arrays.items()}
        )
    if content.numbers:
        records[names[1]] = MetricRecord(dict(content.numbers))
    if content.values:
        records[names[2]] = ConfigRecord(dict(content.values))
    return records


def _unpacked(
    records: Mapping[str, Any], part: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    names = _names(part)
    arrays = _entries(records[names[0]]) if names[0] in records else {}
    plain = [dict(_entries(records[name])) if name in records else {} for name in names[1:]]
    return {name: array.numpy() for name, array in arrays.items()}, plain[0], plain[1]


def is_held(name: str) -> bool:
    """Whether the record with this name in a hospital's state is over with the round."""
    return name in _names(HELD)


def held(state: RecordDict, round_: int) -> Content:
    """What a hospital held back in an earlier trip of this round."""
    entries = _entries(state)
    if HELD not in entries:
        return NOTHING
    content = Content(*_unpacked(entries, HELD))
    if content.values.get(ROUND) != round_:
        return NOTHING
    return content._replace(
        values={name: value for name, value in content.values.items() if name != ROUND}
    )


def hold(state: RecordDict, round_: int, content: Content) -> None:
    """Hold back ``content`` until the next trip of this round, in place of what was held before."""
    if HELD in _entries(state):
        for name in _names(HELD):
            if name in state:
                del state[name]
    if content is not NOTHING:
        for name, record in _carried(
            HELD, content._replace(values={**content.values, ROUND: round_})
        ).items():
            state[name] = record


@lru_cache(maxsize=32)
def _npy_head_of(descr: str, shape: tuple[int, ...]) -> bytes:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()
