"""A table of results that may be forgotten: each can be worked out again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(OrderedDict[K, V]):
    """A table of at most ``most`` entries: where one more is added, the oldest one goes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def add(self, key: K, value: V) -> V:
        """The value itself, once it is in the table."""
        if len(self) >= self.most:
            self.popitem(last=False)
        self[key] = value
        return value
