"""The terms of a round of SecAgg+, known to both halves, and the forms of its messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sim.federation.protocols.secagg import agreement, graph, shamir, signing
from sim.federation.protocols.secagg.masks import RING
from sim.types import Quantizing, Traffic

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan

# bytes
PAIR: Final = 2 * agreement.KEY  # two public keys
BOTH: Final = 2 * shamir.BYTES + agreement.TAG  # two sealed shares
DIGEST: Final = 32
NUMBER: Final = 8  # of a place or of a reported number
COMMITTED: Final = 2 * DIGEST  # digests of two shares


@dataclass(frozen=True)
class Parameters:
    """The parameters of SecAgg+ that all agreed on: ``aggregators.secagg.protocol`` states them."""

    quantization: Quantizing
    threshold: int | None
    neighbors: int | None
    signed_keys: bool
    consistency: bool
    committed: bool
    one_sum: bool

    def circle(self, n_hospitals: int) -> int:
        """The number of those that hold shares of a hospital's secrets: it and its neighbors."""
        return n_hospitals if self.neighbors is None else self.neighbors + 1

    def threshold_of(self, n_hospitals: int) -> int:
        """The hospitals of a circle that it takes to unmask: by default two thirds, rounded up."""
        size = self.circle(n_hospitals)
        return -(-2 * size // 3) if self.threshold is None else self.threshold

    def colluders(self, n_hospitals: int, lies: bool = True) -> int:
        """The fewest colluders among a hospital's neighbors with which its update is read.

        The aggregator leaves out uploads until the hospital and they are the threshold. One that
        ``lies`` about who vanished needs two thresholds among all that hold shares, and colluders
        are in both.
        """
        threshold = self.threshold_of(n_hospitals)
        alone = threshold - 1
        return min(alone, 2 * threshold - self.circle(n_hospitals)) if lies else alone

    def traffic(self, n_hospitals: int, n_params: int) -> Traffic:
        """The traffic of a hospital in a round in which all hospitals answer every trip."""
        n_peers = self.circle(n_hospitals) - 1
        model = RING.itemsize * n_params
        signature = signing.SIGNATURE
        signed = signature if self.signed_keys else 0
        committed = COMMITTED * (n_peers + 1) + DIGEST
        revealed = shamir.BYTES * (n_peers + 1)
        sent = PAIR + signed + BOTH * n_peers + committed + model + NUMBER + revealed
        of_keys = NUMBER + PAIR + signed
        of_shares = NUMBER + BOTH + COMMITTED
        survivors = -(-n_hospitals // 8)
        received = n_peers * (of_keys + of_shares) + model + survivors
        if not self.consistency:
            return Traffic(messages=8, sent=sent, received=received)
        received += survivors + n_peers * (NUMBER + signature)
        return Traffic(messages=10, sent=sent + signature, received=received)

    def refusal(self, n_hospitals: int) -> str | None:
        """The reason why the protocol cannot work for ``n_hospitals``; None if it can."""
        if (reason := graph.refusal(n_hospitals, self.neighbors)) is not None:
            return reason
        size = self.circle(n_hospitals)
        threshold = self.threshold_of(n_hospitals)
        if not size / 2 < threshold <= size:
            return (
                f"threshold={threshold}: expected more than half of the {size} hospitals that hold"
                f" shares of a secret, and at most all: {size // 2 + 1} to {size}"
            )
        least = self._unsplit(n_hospitals)
        if threshold < least:
            other = f"a threshold of at least {least}, or " if least <= size else ""
            return (
                f"threshold={threshold}: with neighbors={size - 1} the aggregator could leave out"
                f" uploads until the sum falls apart into sums of few; expected {other}more"
                " neighbors"
            )
        return self.quantization.refusal(n_hospitals)

    def _unsplit(self, n_hospitals: int) -> int:
        """The least threshold with which nobody splits the graph by leaving out uploads.

        A split leaves out as many in a row as a hospital has neighbors on one side of the circle.
        The one beside them has too few of its own left then.
        """
        size = self.circle(n_hospitals)
        return 0 if size == n_hospitals else size - (size - 1) // 2 + 1


@lru_cache(maxsize=1024)
def of_round(plan: FederationPlan, number: int, parameters: Parameters) -> RoundTerms:
    """The terms of a round, one object for all who have the same copy of the plan."""
    return RoundTerms(plan, number, parameters)


@dataclass(frozen=True, eq=False)
class RoundTerms:
    """Round ``number`` of a plan, as everybody knows it before the first trip."""

    plan: FederationPlan
    number: int
    parameters: Parameters

    @cached_property
    def threshold(self) -> int:
        """The number of a circle's hospitals that it takes to unmask."""
        return self.parameters.threshold_of(len(self.plan.hospitals))

    @cached_property
    def circles(self) -> graph.Graph:
        """The places of the hospitals that hold shares of each hospital's secrets, by its place."""
        seed = hashlib.sha256(self._statement("graph")).digest()
        return graph.circles(len(self.plan.hospitals), self.parameters.neighbors, seed)

    def place(self, hospital: str) -> int:
        """The place of a hospital in the plan."""
        return self.plan.places[hospital]

    def verification_key(self, place: int) -> bytes:
        """The public key of a hospital's enrolment."""
        return self._verification_keys[place]

    @cached_property
    def _verification_keys(self) -> tuple[bytes, ...]:
        enrolled = self.plan.terms.enrolled
        return tuple(bytes.fromhex(enrolled[name]) for name in self.plan.hospitals)

    def keys_statement(self, place: int, keys: bytes) -> bytes:
        """The statement that these public keys are a hospital's own, which it signs."""
        return self._names[place] + keys

    @cached_property
    def _names(self) -> tuple[bytes, ...]:
        return tuple(self._statement("keys", name) for name in self.plan.hospitals)

    def agreement_statement(self, model: bytes, survivors: bytes) -> bytes:
        """The statement which model was trained, by digest, and whose updates arrived."""
        return self._statement("agreement", model, survivors)

    @cached_property
    def channel_purpose(self) -> bytes:
        """The purpose of the keys with which shares are sealed."""
        return self._statement("channel")

    def mask_purpose(self, model: bytes) -> bytes:
        """The purpose of the keys of masks between pairs; ``model``: its digest.

        Masks cancel between two hospitals that trained the same model, and between no others.
        """
        return self._statement("mask", *([model] if self.parameters.consistency else []))

    def _statement(self, what: str, *parts: str | bytes) -> bytes:
        return signing.statement(what, self.plan.digest, self.number, *parts)


def digest_of(model: NDArray[np.float32]) -> bytes:
    """The digest by which a model is stated."""
    return hashlib.sha256(np.ascontiguousarray(model).data).digest()


def commitment(share: bytes) -> bytes:
    """The digest of a share or of a seed: it fixes the value and shows nothing of it."""
    return hashlib.sha256(b"wardround share" + share).digest()


def bits(places: Iterable[int], n_hospitals: int) -> bytes:
    """The places as one bit a hospital."""
    return _bits(tuple(places), n_hospitals)


@lru_cache(maxsize=1024)
def _bits(places: tuple[int, ...], n_hospitals: int) -> bytes:
    chosen = np.zeros(n_hospitals, bool)
    chosen[list(places)] = True
    return np.packbits(chosen).tobytes()


def places_in(packed: bytes, n_hospitals: int) -> tuple[int, ...] | None:
    """The places in bits, in order; None where these are not the bits of so many hospitals."""
    return _places_in(packed, n_hospitals) if len(packed) == -(-n_hospitals // 8) else None


@lru_cache(maxsize=1024)
def _places_in(packed: bytes, n_hospitals: int) -> tuple[int, ...] | None:
    chosen = np.unpackbits(np.frombuffer(packed, np.uint8))
    if chosen[n_hospitals:].any():
        return None
    return tuple(np.flatnonzero(chosen).tolist())


def parts(packed: bytes, size: int) -> list[bytes]:
    """The values of ``size`` bytes each that stand one after the other."""
    return [packed[at : at + size] for at in range(0, len(packed), size)]
