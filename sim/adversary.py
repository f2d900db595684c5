"""What hostile hospitals know and send: a Grid around a Grid, on the wire between hospitals and aggregator.

The aggregator stays as it is when attacked, and the same adversary works on every engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from flwr.app import Message
from flwr.serverapp import Grid
from numpy.typing import NDArray

from sim import models, wire
from sim.experiment import Experiment
from sim.seeds import stream
from sim.server import relative_distance
from sim.types import LEVELS, Byzantine, Knowledge, Updates


class Adversary:
    """Replaces the updates of the hostile hospitals of one run by what its Byzantine attacks send.

    ``distances``: relative distance of every replaced update from the honest one, round by round.
    """

    def __init__(self, experiment: Experiment, enrolled: Mapping[int, str]) -> None:
        self.experiment, self.enrolled = experiment, enrolled
        self.attacks: dict[str, Byzantine] = experiment.of_kind("byzantine")
        self.distances: list[float] = []

    def corrupt(self, round_: int, replies: Sequence[Message]) -> list[Message]:
        """The replies as they reach the aggregator."""
        if not self.attacks:
            return list(replies)
        rows = self._rows(replies)
        hostile = [name for name in self.experiment.hostile if name in rows]
        if not hostile:
            return list(replies)
        honest = np.stack([rows[name] for name in hostile])
        others = np.stack([rows[name] for name in rows if name not in hostile]) if len(rows) > len(hostile) else honest[:0]
        sent = honest
        for name, attack in self.attacks.items():
            sent = self._send(name, attack, round_, hostile, sent, others)
        self.distances += [relative_distance(new, old) for new, old in zip(sent, honest, strict=True)]
        by_name = dict(zip(hostile, sent.astype(np.float32), strict=True))
        return [self._swap(reply, by_name) for reply in replies]

    def _rows(self, replies: Sequence[Message]) -> dict[str, NDArray[np.float32]]:
        """Updates by hospital, sorted by name; replies that are not usable anyway are left alone."""
        rows, limit = {}, self.experiment.settings.server.max_records
        n_params = models.n_params(self.experiment.widths)
        for reply in replies:
            with suppress(wire.UnusableError):
                rows[self.enrolled[reply.metadata.src_node_id]] = wire.read_report(reply, n_params, limit).update
        return dict(sorted(rows.items()))

    def _swap(self, reply: Message, by_name: Mapping[str, NDArray[np.float32]]) -> Message:
        update = by_name.get(self.enrolled.get(reply.metadata.src_node_id, ""))
        return reply if update is None or reply.has_error() else wire.replaced(reply, update)

    def _send(self, name: str, attack: Byzantine, round_: int, hostile: Sequence[str], own: Updates, others: Updates) -> Updates:
        """What ``attack`` sends, given no more than it declared and than ``adversary.knowledge`` allows."""
        granted = self.experiment.settings.adversary.knowledge
        level = min(LEVELS.index(granted), LEVELS.index(attack.about.uses))
        n_hospitals = len(self.enrolled)

        def ask(rows: Updates, *stream_name: str) -> Updates:
            known = Knowledge(
                own=rows,
                n_hospitals=n_hospitals,
                n_hostile=len(hostile),
                others=others if level >= LEVELS.index("updates") else None,
                defense=self.experiment.chain if level >= LEVELS.index("updates_and_rule") else None,
            )
            return attack(known, stream(self.experiment.settings.seed, "attack", name, round_, *stream_name))

        if level == LEVELS.index("own"):
            return np.concatenate([ask(own[i : i + 1], hospital) for i, hospital in enumerate(hostile)])
        return ask(own)


class AdversarialGrid(Grid):
    """Passes everything on to ``inner``, and every reply through ``adversary``."""

    def __init__(self, inner: Grid, adversary: Adversary) -> None:
        self._inner, self._adversary = inner, adversary

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Replies of ``inner``, those of hostile hospitals replaced."""
        messages = list(messages)
        replies = list(self._inner.send_and_receive(messages, timeout=timeout))
        return self._adversary.corrupt(wire.read_task(messages[0]).round, replies) if messages else replies

    def set_run(self, run: Any) -> None:
        """As ``inner``."""
        self._inner.set_run(run)

    @property
    def run(self) -> Any:
        """As ``inner``."""
        return self._inner.run

    def create_message(self, *arguments: Any, **named: Any) -> Message:
        """As ``inner``."""
        return self._inner.create_message(*arguments, **named)

    def get_node_ids(self) -> Iterable[int]:
        """As ``inner``."""
        return self._inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """As ``inner``: only ``send_and_receive`` is attacked."""
        return self._inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As ``inner``: only ``send_and_receive`` is attacked."""
        return self._inner.pull_messages(message_ids)
