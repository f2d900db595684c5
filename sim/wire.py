"""Vectors and settings <-> Flower messages. Every private import from Flower in this project is in this file."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from sim.types import Forged

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"
WEIGHTS, UPDATE, COUNT = "weights", "update", "num-examples"
EXPERIMENT, ROUND = "experiment", "round"
PARTITION = "partition-id"
NOT_FINITE = "values that are not finite"  # the reason for which an update with NaN or infinity in it is not used

T = TypeVar("T")

logging.getLogger("flwr").setLevel(logging.ERROR)  # Flower sets its own level when imported, so this comes after


class SharedArray(Array):
    """An ``Array`` that holds the ndarray itself and is serialized only when somebody asks for ``data``."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.__dict__.update(values=values, dtype=_name(values.dtype), shape=values.shape, stype="numpy.ndarray")

    def __getattr__(self, name: str) -> Any:
        if name != "data":
            raise AttributeError(name)
        data = self.__dict__["data"] = Array(self.__dict__["values"]).data
        return data

    def numpy(self) -> NDArray[Any]:
        """The array itself, without a copy."""
        shared: NDArray[Any] = self.__dict__["values"]
        return shared


@dataclass(frozen=True)
class Task:
    """What the aggregator asks of a hospital: train ``weights`` in ``round`` of the run that ``experiment`` describes."""

    round: int
    experiment: str
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Report:
    """A hospital's usable reply: its update (n_params,) float32, how many records it says it has, and other numbers."""

    update: NDArray[np.float32]
    count: int
    numbers: dict[str, float]


class UnusableError(ValueError):
    """A reply that must not enter the aggregate; the text says why."""


@lru_cache(maxsize=32)
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # which numpy puts together at each call


def _twin(one: T, **changes: Any) -> T:
    """A copy of a Flower object with some attributes changed.

    Flower's own constructors check the type of everything, which costs more than the rest of a message.
    """
    twin: T = object.__new__(type(one))
    twin.__dict__ = {**one.__dict__, **changes}
    return twin


def _entries(record: RecordDict | ArrayRecord | ConfigRecord | MetricRecord) -> dict[str, Any]:
    """What a record holds, without the typed views that Flower rebuilds at each look."""
    held: dict[str, Any] = vars(record)["_data"]
    return held


_NO_ARRAYS, _NO_METRICS, _NO_RECORDS = ArrayRecord(), MetricRecord(), RecordDict()


def arrays(name: str, vector: NDArray[np.float32]) -> ArrayRecord:
    """A record with one array."""
    return _twin(_NO_ARRAYS, _data={name: SharedArray(vector)})


def vector(record: ArrayRecord, name: str) -> NDArray[np.float32]:
    """The array of a record made by ``arrays``."""
    values: NDArray[np.float32] = record[name].numpy()
    return values


def settings(experiment: str) -> ConfigRecord:
    """The part of a task that is the same in every round."""
    return ConfigRecord({EXPERIMENT: experiment})


def ask(round_: int, weights: ArrayRecord, config: ConfigRecord, nodes: Iterable[int]) -> list[Message]:
    """The messages that ask nodes to train. They share their records, as Flower's own strategies do: see ``isolated``."""
    content = RecordDict({ARRAYS: weights, CONFIG: ConfigRecord({**config, ROUND: round_})})
    first = Message(content, SUPERLINK_NODE_ID, "train")
    return [_twin(first, _metadata=_twin(first.metadata, _dst_node_id=node)) for node in nodes]


def roll_call(nodes: Iterable[int]) -> list[Message]:
    """The messages that ask nodes which hospital they are."""
    return [Message(RecordDict(), node, "query") for node in nodes]


def present(partition: int, message: Message) -> Message:
    """A hospital's reply to ``roll_call``."""
    return Message(RecordDict({METRICS: MetricRecord({PARTITION: partition})}), reply_to=message)


def enrolled(replies: Iterable[Message]) -> dict[int, int]:
    """Node id -> partition, as the replies to ``roll_call`` say, in order of the partitions."""
    found: dict[int, Any] = {reply.metadata.src_node_id: reply.content.metric_records[METRICS][PARTITION] for reply in replies}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def isolated(message: Message) -> Message:
    """The same message with records of its own, so that no app can edit what another one gets."""
    own = copy(message)
    weights = arrays(WEIGHTS, vector(message.content.array_records[ARRAYS], WEIGHTS).copy())
    own.content = RecordDict({ARRAYS: weights, CONFIG: ConfigRecord(dict(message.content.config_records[CONFIG]))})
    return own


def read_task(message: Message) -> Task:
    """What a message of ``ask`` asks."""
    content = _entries(message.content)
    config = _entries(content[CONFIG])
    return Task(config[ROUND], config[EXPERIMENT], _entries(content[ARRAYS])[WEIGHTS].numpy())


def answer(update: NDArray[np.float32], count: int, numbers: dict[str, float], message: Message) -> Message:
    """A hospital's reply to ``message``."""
    metrics = _twin(_NO_METRICS, _data={COUNT: count, **numbers})
    return _reply(_twin(_NO_RECORDS, _data={ARRAYS: arrays(UPDATE, update), METRICS: metrics}), message)


def _reply(content: RecordDict, message: Message) -> Message:
    """What ``Message(content, reply_to=message)`` is."""
    asked, now = vars(message.metadata), time.time()
    metadata = _twin(
        message.metadata,
        _message_id="",
        _delivered_at="",
        _src_node_id=asked["_dst_node_id"],
        _dst_node_id=asked["_src_node_id"],
        _src_task_id=asked["_dst_task_id"],
        _dst_task_id=asked["_src_task_id"],
        _reply_to_message_id=asked["_message_id"],
        _created_at=now,
        _ttl=asked["_created_at"] + asked["_ttl"] - now,
    )
    return _twin(message, _metadata=metadata, _content=content)


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
    return _twin(reply, _content=_twin(content, _data={ARRAYS: arrays(UPDATE, update), METRICS: content[METRICS]}))


def forged(reply: Message, sent: Forged) -> Message:
    """The same reply with whatever ``sent`` says in place of the update and the record count."""
    record = ArrayRecord()
    record[sent.array] = SharedArray(np.asarray(sent.update))
    metrics = MetricRecord({**reply.content.metric_records[METRICS], COUNT: sent.count})
    changed = copy(reply)
    changed.content = RecordDict({ARRAYS: record, METRICS: metrics})
    return changed


def read_report(reply: Message, n_params: int, max_records: int) -> Report:
    """The usable content of a reply. Raises ``UnusableError`` for anything else: nothing in a reply is trusted.

    Checked in this order: no error, exactly the expected records and arrays, dtype float32, shape (n_params,), finite, a whole
    record count in [1, max_records]. ``numbers`` are finite floats only.
    """
    if reply.has_error():
        raise UnusableError(f"the hospital's app failed: {_short(reply.error.reason)}")
    records = _entries(reply.content)
    if records.keys() != {ARRAYS, METRICS}:
        raise UnusableError(f"records {_short(sorted(records))}, expected {ARRAYS} and {METRICS}")
    update = _update(records[ARRAYS], n_params)
    if not isinstance(records[METRICS], MetricRecord):
        raise UnusableError(f"{METRICS} is no record of numbers")
    metrics = _entries(records[METRICS])
    count = metrics.get(COUNT)
    if type(count) is not int or not 1 <= count <= max_records:
        raise UnusableError(f"reports {_short(count)} records, expected a whole number from 1 to {max_records}")
    numbers = {key: float(value) for key, value in metrics.items() if type(value) in (int, float) and math.isfinite(value)}
    return Report(update, count, numbers)


def _update(record: Any, n_params: int) -> NDArray[np.float32]:
    arrays = _entries(record) if isinstance(record, ArrayRecord) else {}
    if arrays.keys() != {UPDATE}:
        raise UnusableError(f"arrays {_short(list(record.keys()))}, expected {UPDATE}")
    try:
        values: NDArray[Any] = arrays[UPDATE].numpy()
    except Exception as error:  # whatever a hostile byte string makes a decoder raise
        raise UnusableError(f"the update cannot be decoded: {type(error).__name__}") from error
    if values.dtype != np.float32:
        raise UnusableError(f"dtype {values.dtype}, expected float32")
    if values.shape != (n_params,):
        raise UnusableError(f"shape {values.shape}, expected ({n_params},)")
    if not np.isfinite(values).all():
        raise UnusableError(NOT_FINITE)
    return values


def _short(value: Any) -> str:
    text = str(value).splitlines()[0] if str(value) else "nothing"
    return text if len(text) <= 80 else text[:77] + "..."


def enter_process() -> Run:
    """Give this process the identity that Flower's ``Message`` asks for, and return the run that goes with it."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, SUPERLINK_NODE_ID
    return Run.create_empty(run_id=1)


def context(node: int, partition: int) -> Context:
    """A fresh context of a node in this process."""
    return Context(run_id=1, node_id=node, node_config={PARTITION: partition}, state=RecordDict(), run_config={})


def stamp(message: Message, identity: str) -> None:
    """Set the message's id, which Flower leaves to the transport."""
    message.metadata.__dict__["_message_id"] = identity
