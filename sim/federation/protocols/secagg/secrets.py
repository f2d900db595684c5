"""The secrets of a hospital under SecAgg+: its private keys and the seed of its own mask."""

from __future__ import annotations

from functools import cached_property, lru_cache

from sim.federation.protocols.secagg import shamir
from sim.seeds import Key


class Secrets:
    """The secrets of a hospital for one round of one plan, all from its own key."""

    def __init__(self, key: Key, plan: str, number: int) -> None:
        self._key = key
        self._names = (plan, number)

    @classmethod
    @lru_cache(maxsize=4096)
    def of(cls, key: Key, plan: str, number: int) -> Secrets:
        """The secrets of a hospital for a round, one object for all its trips."""
        return cls(key, plan, number)

    @cached_property
    def channel(self) -> bytes:
        """The private key with which it opens what others seal for it."""
        return self._drawn("channel")

    @cached_property
    def mask(self) -> bytes:
        """The private key from which the masks with its neighbors follow."""
        return self._drawn("mask")

    @cached_property
    def seed(self) -> bytes:
        """The seed of its own mask."""
        return self._drawn("seed")

    def coefficients(self, what: str, threshold: int) -> list[int]:
        """The coefficients with which a secret is shared out."""
        return shamir.coefficients(self._drawn(f"shares of {what}"), threshold)

    def _drawn(self, what: str) -> bytes:
        return self._key.secret("secagg", what, *self._names)
