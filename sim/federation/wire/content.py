"""The values that messages hold, and the names under which they travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, MetricRecord
from numpy.typing import NDArray

from sim import messages
from sim.federation.wire.flower import Records, SharedArray, array_record, config_record, entries
from sim.messages import EMPTY, Content, Report

# records of a message
ARRAYS = "arrays"
CONFIG = "config"
METRICS = "metrics"
REFUSAL = "refusal"

# entries of these records
WEIGHTS = "weights"
UPDATE = "update"
COUNT = "num-examples"
PLAN = "plan"
ROUND = "round"
KIND = "kind"  # of a trip
WHY = "why"  # of a refusal
PARTITION = "partition-id"

# types of messages
TRAIN = "train"  # train, and reply with the upload
CLEAR = "train.clear"  # in simulation alone: train, and reply with the update as it is
UPLOAD = "train.upload"  # in simulation alone: reply with the upload of the update sent along
TRIP = "query.trip"  # a trip of a protocol in which nothing is trained

ANY_KIND = messages.TRAIN  # the kind of a trip whose messages state none

# parts of a message or of a hospital's state, each of up to three records
COMMON = "trip"  # for all hospitals
OWN = "own"  # for one of them
GIVEN = "given"  # the update to be uploaded
HELD = "held"  # what a hospital's half of a protocol holds until the round is over

REMEMBERED = "remembered"  # what it remembers until the run is over: a record of a hospital's state


@dataclass(frozen=True)
class Task:
    """A hospital's task: to train ``weights`` in ``round`` by the plan with the digest ``plan``.

    ``weights`` are ``NO_WEIGHTS`` in a trip in which nothing is trained.
    """

    round: int
    plan: str
    weights: NDArray[np.float32]


NO_CONTENTS: Mapping[int, Content] = MappingProxyType({})
NO_MODELS: Mapping[int, NDArray[np.float32]] = MappingProxyType({})
NO_WEIGHTS: NDArray[np.float32] = np.empty(0, np.float32)


def clear(report: Report, more: Mapping[str, int | float] = EMPTY) -> Content:
    """An update and its record count as they are: a hospital's answer in a plain round.

    ``more``: numbers to be sent beside those of the report.
    """
    numbers: dict[str, int | float] = {COUNT: report.count, **report.numbers}
    if more:
        numbers.update(more)
    return Content({UPDATE: report.update}, numbers)


@lru_cache(maxsize=32)
def names_of(part: str) -> tuple[str, str, str]:
    """The names of a part's records: of its arrays, its numbers and its other values."""
    return f"{part}-{ARRAYS}", f"{part}-{METRICS}", part


def packed(part: str, content: Content) -> dict[str, Records]:
    """A content as the records of a part."""
    arrays, numbers, values = names_of(part)
    records: dict[str, Records] = {}
    if content.arrays:
        records[arrays] = shared(content.arrays)
    if content.numbers:
        records[numbers] = MetricRecord(dict(content.numbers))
    if content.values:
        records[values] = config_record(dict(content.values))
    return records


def unpacked(records: Mapping[str, object], part: str) -> Content:
    """The content of a part's records, in dicts of its own."""
    arrays, numbers, values = names_of(part)
    there: Any = entries(records[arrays]) if arrays in records else {}
    reported: Any = dict(entries(records[numbers])) if numbers in records else {}
    stated: Any = dict(entries(records[values])) if values in records else {}
    return Content({name: array.numpy() for name, array in there.items()}, reported, stated)


def shared(arrays: Mapping[str, NDArray[np.generic]]) -> ArrayRecord:
    """The record of these arrays, which are not serialized."""
    return array_record({name: SharedArray(array) for name, array in arrays.items()})
