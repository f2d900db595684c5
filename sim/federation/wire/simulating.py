"""The simulator's own work on messages: it changes uploads and lends contexts to apps."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from flwr.app import Context, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from sim.federation.wire.answering import holding
from sim.federation.wire.content import (
    ARRAYS,
    CONFIG,
    COUNT,
    GIVEN,
    METRICS,
    PARTITION,
    UPDATE,
    UPLOAD,
    names_of,
)
from sim.federation.wire.exact import attributes
from sim.federation.wire.flower import (
    SharedArray,
    array_record,
    content_of,
    copied,
    entries,
    metric_record,
    record_dict,
)
from sim.messages import Content, UnusableError
from sim.types import SentReply


def answered(reply: Message) -> Content | None:
    """The content of a reply made by ``holding``; None for an error or a refusal."""
    if not reply.has_content():
        return None
    records: Any = entries(content_of(reply))
    if not records.keys() <= {ARRAYS, METRICS, CONFIG}:
        return None
    found: list[Any] = [
        entries(records[part]) if part in records else {} for part in (ARRAYS, METRICS, CONFIG)
    ]
    arrays, numbers, values = found
    return Content(
        {name: array.numpy() for name, array in arrays.items()}, dict(numbers), dict(values)
    )


def answered_with(reply: Message, content: Content) -> Message:
    """The same reply with another content in it."""
    return copied(reply, _content=content_of(holding(content, reply)))


def sent(reply: Message) -> NDArray[np.float32]:
    """The update in a reply made by ``answer``."""
    records: Any = entries(content_of(reply))
    array: Any = entries(records[ARRAYS])[UPDATE]
    update: NDArray[np.float32] = array.numpy()
    return update


def replaced(reply: Message, update: NDArray[np.float32]) -> Message:
    """The same reply with another update in it."""
    records: Any = entries(content_of(reply))
    return _with(reply, UPDATE, update, records[METRICS])


def sent_reply(reply: Message, sent: SentReply) -> Message:
    """The same reply with whatever is ``sent`` in place of the update and the record count."""
    records: Any = entries(content_of(reply))
    metrics = metric_record({**entries(records[METRICS]), COUNT: sent.count})
    return _with(reply, sent.array, np.asarray(sent.update), metrics)


def _with(reply: Message, name: str, array: NDArray[np.generic], metrics: MetricRecord) -> Message:
    arrays = array_record({name: SharedArray(array)})
    return copied(reply, _content=record_dict({ARRAYS: arrays, METRICS: metrics}))


def to_upload(message: Message, trained: Message) -> Message:
    """The message that asks a hospital for the upload of what it ``trained``.

    ``trained`` is the hospital's reply to ``message``.
    """
    records: Any = entries(content_of(trained))
    arrays, numbers, _ = names_of(GIVEN)
    update = {arrays: records[ARRAYS], numbers: records[METRICS]}
    about = copied(message.metadata, _message_type=UPLOAD, _message_id="", _delivered_at="")
    asked: Any = entries(content_of(message))
    content = record_dict({**asked, **update})
    return copied(message, _metadata=about, _content=content)


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
    """A copy of a context for one call of an app, of which no part but the state is shared."""
    return copied(
        context, node_config=dict(context.node_config), run_config=dict(context.run_config)
    )


def take_back(lent: Context, context: Context) -> None:
    """Keep the state that an app has left in what it was ``lent``, if it is one."""
    with suppress(UnusableError):
        state = attributes(lent, Context, "the context").get("state")
        if type(state) is RecordDict:
            context.state = state
