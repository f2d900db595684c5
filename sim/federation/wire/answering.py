"""The hospital's side of messages: reading them, replying, and holding content back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from sim.design.refusals import Refusal
from sim.federation.wire.content import (
    ANY_KIND,
    ARRAYS,
    COMMON,
    CONFIG,
    COUNT,
    GIVEN,
    HELD,
    KIND,
    METRICS,
    NO_WEIGHTS,
    OWN,
    PARTITION,
    PLAN,
    REFUSAL,
    REMEMBERED,
    ROUND,
    WEIGHTS,
    WHY,
    Task,
    clear,
    names_of,
    packed,
    shared,
    unpacked,
)
from sim.federation.wire.flower import (
    config_record,
    content_of,
    entries,
    metric_record,
    record_dict,
    reply_to,
)
from sim.messages import EMPTY, NOTHING, Content, Report, UnusableError
from sim.untrusted import described


def read_tasks(messages: Iterable[Message]) -> list[Task]:
    """The task of each message of ``ask``; successive messages with the same records share it."""
    tasks = list[Task]()
    content = None
    for message in messages:
        if (own := content_of(message)) is content:
            tasks.append(tasks[-1])
        else:
            tasks.append(read_task(message))
            content = own
    return tasks


def read_task(message: Message) -> Task:
    """The task of a message of ``ask``."""
    content = entries(content_of(message))
    config: Any = entries(content[CONFIG])
    sent: Any = entries(content[ARRAYS]) if ARRAYS in content else {}
    weights = sent[WEIGHTS].numpy() if ARRAYS in content else NO_WEIGHTS
    return Task(config[ROUND], config[PLAN], weights)


def read_trip(message: Message) -> tuple[str, Content]:
    """Kind and content of a message of ``ask``."""
    records = entries(content_of(message))
    if records.keys() <= {ARRAYS, CONFIG}:
        return ANY_KIND, NOTHING
    common = unpacked(records, COMMON)
    own = unpacked(records, OWN)
    values = {**common.values, **own.values}
    kind = values.pop(KIND, ANY_KIND)
    content = Content({**common.arrays, **own.arrays}, {**common.numbers, **own.numbers}, values)
    return str(kind), content


def given(message: Message) -> Report:
    """The update in a message of ``to_upload``.

    Raises ``UnusableError`` where it is none that a hospital could upload.
    """
    content = unpacked(entries(content_of(message)), GIVEN)
    update: Any
    (update,) = content.arrays.values()
    numbers: dict[str, Any] = dict(content.numbers)
    count = numbers.pop(COUNT)
    if update.dtype != np.float32 or update.ndim != 1 or not np.isfinite(update).all():
        raise UnusableError(
            f"an update of {update.dtype} with shape {update.shape}, expected finite float32"
        )
    if type(count) is not int or count < 1:
        raise UnusableError(f"{described(count)} records, expected a whole number from 1")
    return Report(update, count, numbers)


def answer(
    update: NDArray[np.float32], count: int, numbers: dict[str, float], message: Message
) -> Message:
    """A hospital's reply to ``message`` in a plain round."""
    return holding(clear(Report(update, count, numbers)), message)


def holding(content: Content, message: Message) -> Message:
    """A hospital's reply to ``message`` that holds ``content``."""
    records: dict[str, Any] = {}
    if content.arrays or not content.values:
        records[ARRAYS] = shared(content.arrays)
    if content.numbers:
        records[METRICS] = metric_record(content.numbers)
    if content.values:
        records[CONFIG] = config_record(dict(content.values))
    return reply_to(message, record_dict(records))


def refused(refusal: Refusal, message: Message) -> Message:
    """The reply of a hospital that refuses the task of ``message``."""
    return reply_to(message, RecordDict({REFUSAL: ConfigRecord({WHY: refusal})}))


def present(partition: int, message: Message) -> Message:
    """A hospital's reply to ``roll_call``."""
    return Message(RecordDict({METRICS: MetricRecord({PARTITION: partition})}), reply_to=message)


def is_held(name: str) -> bool:
    """Whether the record with this name in a hospital's state is over with the round."""
    return name in names_of(HELD)


def held(state: RecordDict, round_: int) -> Content:
    """The content that a hospital held back in an earlier trip of this round."""
    records = entries(state)
    if HELD not in records:
        return NOTHING
    arrays, numbers, values = unpacked(records, HELD)
    stated = {**values}  # of its own
    return Content(arrays, numbers, stated) if stated.pop(ROUND, None) == round_ else NOTHING


def held_round(state: RecordDict) -> int:
    """The last round in which a hospital held anything back; 0 where there is none."""
    records = entries(state)
    if HELD not in records:
        return 0
    config: Any = entries(records[HELD])
    return int(config[ROUND])


def hold(state: RecordDict, round_: int, content: Content) -> None:
    """Hold back ``content`` until the next trip of this round, in place of what was held before."""
    records = entries(state)
    if HELD in records:  # whatever is held is held with its round
        for name in names_of(HELD):
            records.pop(name, None)
    if content is not NOTHING:
        values = {**content.values, ROUND: round_}
        records.update(packed(HELD, Content(content.arrays, content.numbers, values)))


def remembered(state: RecordDict) -> Mapping[str, list[str]]:
    """The texts that a hospital's half of a protocol remembers of earlier rounds, by name."""
    records = entries(state)
    if REMEMBERED not in records:
        return EMPTY
    found: Any = entries(records[REMEMBERED])
    texts: Mapping[str, list[str]] = found
    return texts


def remember(state: RecordDict, texts: Mapping[str, list[str]]) -> None:
    """Remember these texts until the run is over, in place of those before."""
    entries(state)[REMEMBERED] = config_record(dict(texts))
