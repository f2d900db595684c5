"""Every random draw has a name: equal names give equal streams, whatever ran before.

A party draws through its own ``Key``, and through nothing else.
"""

import hashlib
import hmac
import json
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

STATE = (4, np.uint64)  # what PCG64 asks of a seed
Party = Literal["hospital", "aggregator", "adversary", "simulator"]


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The generator for ``(seed, *name)``: equal names give equal draws, whatever ran before.

    >>> first, again = stream(0, "batches", 1, "cleveland"), stream(0, "batches", 1, "cleveland")
    >>> bool(first.random() == again.random())
    True
    """
    named: Any = _named(seed, *name)  # numpy's own types do not know that PCG64 takes it
    return np.random.Generator(np.random.PCG64(named))


@dataclass(frozen=True, repr=False)
class Key:
    """The secret of one party, from which all its draws follow.

    A hospital draws batches and noise with its key, the aggregator the draws of its rule. Whoever
    holds the key can repeat every draw of its party; whoever does not hold it cannot, and no key
    leads to another one or to the seed of the run.
    """

    _secret: int = field(repr=False)
    _owner: tuple[str, ...]
    _lasting: int | None = field(default=None, repr=False)

    def stream(self, *names: str | int) -> np.random.Generator:
        """The generator of the draw with these names.

        >>> own = key(0, "hospital", "cleveland")
        >>> bool(own.stream("batches", 1).random() == own.stream("batches", 1).random())
        True
        """
        return stream(self._secret, *names)

    def secret(self, *names: str | int) -> bytes:
        """32 bytes for cryptography, by HMAC with SHA-256: of the whole secret, under these names.

        A stream is for draws that need not be secret: it has a state of 128 bits.
        """
        return hmac.digest(self._secret.to_bytes(32, "big"), json.dumps(names).encode(), "sha256")

    def renewed(self, nonce: bytes) -> "Key":
        """The key of one execution of a plan, of which no draw is one of another execution.

        ``nonce``: random bytes, drawn for this execution alone.
        """
        return Key(
            int.from_bytes(self.secret("execution", nonce.hex()), "big"), self._owner, self._first
        )

    @property
    def lasting(self) -> "Key":
        """The key that the party has in all executions, with which it was enrolled."""
        return Key(self._first, self._owner)

    @property
    def _first(self) -> int:
        return self._secret if self._lasting is None else self._lasting

    def __repr__(self) -> str:
        return f"Key of {' '.join(self._owner)}"


def key(seed: int, party: Party, name: str = "") -> Key:
    """The key of a party in the simulation of ``seed``; hospitals are distinguished by ``name``.

    Its secret is the SHA-256 digest of the seed, the party and the name: 256 bits, one way.
    """
    digest = hashlib.sha256(json.dumps([seed, party, name]).encode()).digest()
    return Key(int.from_bytes(digest, "big"), (party, name) if name else (party,))


class _Seed(ISeedSequence):
    """The state that a ``SeedSequence`` of these numbers gives, computed once.

    Making a ``SeedSequence`` takes longer than the rest of a generator.
    """

    def __init__(self, numbers: list[int]) -> None:
        self._state = np.random.SeedSequence(numbers).generate_state(*STATE)

    def generate_state(
        self, n_words: int, dtype: DTypeLike = np.uint32
    ) -> NDArray[np.uint32 | np.uint64]:
        """The first state, and no other."""
        assert (n_words, dtype) == STATE
        return self._state


@lru_cache(maxsize=4096)
def _named(*name: str | int) -> _Seed:
    """The seed of a name, stored because runs that share a seed ask for the same streams."""
    return _Seed([zlib.crc32(word.encode()) if isinstance(word, str) else word for word in name])
