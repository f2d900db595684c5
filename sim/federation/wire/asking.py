"""The aggregator's side of messages: its questions to hospitals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from numpy.typing import NDArray

from sim.federation.wire.content import (
    ANY_KIND,
    ARRAYS,
    COMMON,
    CONFIG,
    KIND,
    NO_CONTENTS,
    NO_MODELS,
    OWN,
    PLAN,
    ROUND,
    TRAIN,
    WEIGHTS,
    packed,
    shared,
)
from sim.federation.wire.flower import (
    Records,
    config_record,
    entries,
    from_aggregator,
    record_dict,
    sent_to,
)
from sim.messages import NOTHING, Content


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
    models: Mapping[int, NDArray[np.float32]] = NO_MODELS,
) -> list[Message]:
    """The messages of one trip to some nodes.

    ``weights`` (n_params,): to be trained; None where nothing is. ``task``: what is the same in
    every round (``settings``). ``type_`` and ``kind``: of the message, and of the trip. ``common``:
    what all nodes are sent; ``each``: what single ones are sent beside that; ``models``: what
    single ones are sent instead of ``weights``. Nodes that are sent nothing of their own share
    their records, as in Flower's own strategies: see ``isolated``.
    """
    records: dict[str, Records] = {CONFIG: config_record({**entries(task), ROUND: round_})}
    if weights is not None:
        records[ARRAYS] = shared({WEIGHTS: weights})
    if kind != ANY_KIND or common is not NOTHING:
        records |= packed(COMMON, common._replace(values={**common.values, KIND: kind}))
    content = record_dict(records)
    first = from_aggregator(content, type_)
    own = {node: packed(OWN, added) for node, added in each.items()}
    for node, model in models.items():
        own[node] = {**own.get(node, {}), ARRAYS: shared({WEIGHTS: model})}
    return [
        sent_to(first, node, record_dict({**records, **own[node]}) if node in own else content)
        for node in nodes
    ]


def roll_call(nodes: Iterable[int]) -> list[Message]:
    """The messages that ask nodes which hospital they are."""
    return [Message(RecordDict(), node, "query") for node in nodes]
