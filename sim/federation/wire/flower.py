"""Flower's objects without Flower's constructors, and every private import from Flower.

The constructors check the type of everything in a message, which costs more than the rest of it,
and ``vars`` takes three times as long as ``__dict__``: there are thousands of messages in a second.
Private attributes of Flower's objects are touched in this package alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
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

NPY = "numpy.ndarray"  # Flower's name for an array serialized by numpy

T = TypeVar("T")
Records: TypeAlias = ArrayRecord | MetricRecord | ConfigRecord

# Flower sets its own level when imported, so this comes after
logging.getLogger("flwr").setLevel(logging.ERROR)


class SharedArray(Array):
    """An ``Array`` that holds the ndarray itself, serialized only when ``data`` is asked for."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.__dict__.update(  # past Flower's ``__setattr__``, for there is nothing to mark
            values=values, dtype=_name(values.dtype), shape=values.shape, stype=NPY
        )

    def __getattr__(self, name: str) -> object:
        if name != "data":
            raise AttributeError(name)
        data = self.__dict__["data"] = Array(self.__dict__["values"]).data
        return data

    def numpy(self) -> NDArray[np.generic]:
        """The array itself, without a copy."""
        shared: NDArray[np.generic] = self.__dict__["values"]
        return shared


@lru_cache(maxsize=32)
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # which numpy puts together at each call


def copied(one: T, **changes: object) -> T:
    """A copy of a Flower object with some attributes changed."""
    return made(type(one), {**one.__dict__, **changes})


def made(kind: type[T], attributes: dict[str, object]) -> T:
    """A Flower object with exactly these attributes."""
    new: T = object.__new__(kind)
    new.__dict__ = attributes
    return new


_ARRAYS = vars(ArrayRecord())
_CONFIG = vars(ConfigRecord())
_METRICS = vars(MetricRecord())
_RECORDS = vars(RecordDict())


def array_record(arrays: dict[str, SharedArray]) -> ArrayRecord:
    """The record of these arrays."""
    return made(ArrayRecord, {**_ARRAYS, "_data": arrays})


def config_record(values: Mapping[str, object]) -> ConfigRecord:
    """The record of these plain values."""
    return made(ConfigRecord, {**_CONFIG, "_data": values})


def metric_record(numbers: object) -> MetricRecord:
    """The record of these numbers."""
    return made(MetricRecord, {**_METRICS, "_data": numbers})


def record_dict(records: Mapping[str, Records]) -> RecordDict:
    """A message's content of these records."""
    return made(RecordDict, {**_RECORDS, "_data": records})


def entries(record: object) -> dict[str, object]:
    """The entries of a record of ours, without the typed views that Flower builds at each look."""
    found: dict[str, object] = record.__dict__["_data"]
    return found


def content_of(message: Message) -> RecordDict:
    """The content of a message of ours."""
    content: RecordDict = message.__dict__["_content"]
    return content


def metadata_of(message: Message) -> dict[str, object]:
    """The metadata of a message of ours, by the names that Flower has for them."""
    found: dict[str, object] = message.__dict__["_metadata"].__dict__
    return found


def type_of(message: Message) -> str:
    """The type of a message of ours."""
    found: Any = metadata_of(message)["_message_type"]
    return str(found)


def receiver(message: Message) -> int:
    """The node that a message of ours is to."""
    node: Any = metadata_of(message)["_dst_node_id"]
    return int(node)


def sent_to(message: Message, node: int, content: RecordDict) -> Message:
    """The same message to another node, with another content."""
    attributes = message.__dict__
    about = made(Metadata, {**attributes["_metadata"].__dict__, "_dst_node_id": node})
    return made(Message, {**attributes, "_metadata": about, "_content": content})


def from_aggregator(content: RecordDict, type_: str) -> Message:
    """A message of the aggregator, to be sent with ``sent_to``."""
    return Message(content, SUPERLINK_NODE_ID, type_)


def reply_to(message: Message, content: object) -> Message:
    """``Message(content, reply_to=message)``, whatever the content is."""
    attributes = message.__dict__
    asked = attributes["_metadata"].__dict__
    now = time.time()
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
    about = made(Metadata, metadata)
    return made(Message, {**attributes, "_metadata": about, "_content": content})


def failed(reason: str, message: Message) -> Message:
    """The reply of a hospital whose app raised."""
    return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)


def isolated(message: Message) -> Message:
    """A deep copy of a message, so that no app can edit the message that another app gets."""
    return deepcopy(message)


def stamp(message: Message, identity: str) -> None:
    """Set the message's id, which Flower leaves to the transport."""
    metadata_of(message)["_message_id"] = identity


def enter_process() -> Run:
    """The run of this process, with the identity that Flower's ``Message`` asks for set as well."""
    TaskIdentity.run_id = 1
    TaskIdentity.task_id = 1
    TaskIdentity.node_id = SUPERLINK_NODE_ID
    return Run.create_empty(run_id=1)
