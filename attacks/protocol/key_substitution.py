"""The aggregator as the other end of every pair of hospitals (after Bonawitz et al., 2017)."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from attacks._shared import ring
from attacks._shared.ring import Answered, Ring
from sim.federation.protocols.secagg import agreement, shamir, signing, trips
from sim.federation.protocols.secagg.terms import PAIR
from sim.messages import Concluded, Content, Replies, Stage, Talk, Trip
from sim.types import About

Pair = tuple[bytes, bytes]  # private keys of channel and mask


@dataclass(frozen=True)
class KeySubstitution:
    """Each hospital is sent keys of the aggregator as its peers' keys: nothing hides from it.

    It opens the shares that hospitals seal for each other, seals them anew, and knows all masks, so
    that the round ends as it should and every single update is read. Hospitals that verify who has
    signed a key refuse.
    """

    colludes: ClassVar[bool] = False
    about: ClassVar[About] = About(
        title="KeySubstitution",
        paper=(
            "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning"
        ),
        year=2017,
        sees="the messages of the protocol; it chooses the keys that each hospital is sent",
    )

    def __call__(self, talk: Talk, stage: Stage, rng: np.random.Generator) -> Talk:
        """The honest half between keys that are replaced and shares that are sealed anew."""
        if not ring.is_secagg(stage):
            return (yield from talk)
        middle = _Middle(stage, rng)
        try:
            trip = next(talk)
            while True:
                trip = talk.send(middle.reads(trip, (yield middle.asks(trip))))
        except StopIteration as end:
            concluded: Concluded = end.value
            return replace(concluded, isolated=ring.isolated(middle.updates, stage))


@dataclass(eq=False)
class _Middle:
    """The man in the middle of one round; hospitals are known by their places.

    ``keys``: the public keys that each advertised. ``texts``: the two shares of an owner that each
    holder is meant to have. ``updates``: what each uploaded, unmasked.
    """

    stage: Stage
    rng: np.random.Generator
    keys: dict[int, bytes] = field(default_factory=dict)
    own: dict[int, Pair] = field(default_factory=dict)
    texts: dict[int, dict[int, bytes]] = field(default_factory=dict)
    updates: dict[int, Ring] = field(default_factory=dict)

    def asks(self, trip: Trip) -> Trip:
        """What hospitals are asked in place of ``trip``."""
        change = {trips.SHARES: self._replaced, trips.UPLOAD: self._sealed_anew}.get(trip.kind)
        if change is None:
            return trip
        each = {name: change(self._place(name), own) for name, own in trip.each.items()}
        return replace(trip, each=each)

    def reads(self, trip: Trip, replies: Replies) -> Replies:
        """The replies with which the honest half goes on."""
        if trip.kind == trips.KEYS:
            signed = signing.SIGNATURE if self.stage.secagg["signed_keys"] else 0
            for name, arrived in replies.items():
                keys = ring.taken(arrived, trips.ADVERTISED, PAIR, (trips.SIGNATURE, signed))
                if keys is not None:
                    place = self._place(name)
                    self.keys[place] = keys
                    self.own[place] = (self.rng.bytes(agreement.KEY), self.rng.bytes(agreement.KEY))
        if trip.kind == trips.SHARES:
            for name, arrived in replies.items():
                self._open(self._place(name), _peers(trip.each[name]), arrived)
        if trip.kind == trips.UPLOAD:
            return self._unmasked(trip, replies)
        return replies

    def _replaced(self, place: int, sent: Content) -> Content:
        """The aggregator's own keys in place of those of a hospital's peers."""
        pairs = [self.own[peer] for peer in _peers(sent)]
        keys = b"".join(agreement.public(key) for pair in pairs for key in pair)
        return sent._replace(values={**sent.values, trips.ADVERTISED: keys})

    def _open(self, place: int, peers: list[int], arrived: Any) -> None:
        """Take the shares that a hospital has sealed for its peers."""
        length, committed = ring.share_lengths(len(peers))
        packed = ring.taken(arrived, trips.SEALED, length, (trips.COMMITMENTS, committed))
        if packed is None or len(packed) != length:
            return
        purpose = ring.channel_purpose(self.stage)
        found = dict[int, bytes]()
        for peer, sealed in ring.sealed_parts(packed, peers).items():
            text = agreement.unseal(self._channel(peer, place), place, sealed, purpose)
            if text is not None:
                found[peer] = text
        self.texts[place] = found

    def _sealed_anew(self, place: int, sent: Content) -> Content:
        """The shares for a hospital, sealed with the keys that it takes for those of its peers."""
        purpose = ring.channel_purpose(self.stage)
        sealed = [
            agreement.seal(self._channel(sender, place), sender, self.texts[sender][place], purpose)
            for sender in _peers(sent)
        ]
        return sent._replace(values={**sent.values, trips.SEALED: b"".join(sealed)})

    def _unmasked(self, trip: Trip, replies: Replies) -> Replies:
        """Read every update, and hand on uploads whose masks the honest half can remove."""
        found = {name: ring.uploaded(arrived, self.stage) for name, arrived in replies.items()}
        n_params = len(self.stage.model)
        gone = [self._place(name) for name, content in found.items() if content is None]
        changed = dict(replies)
        for name, content in found.items():
            if content is None:
                continue
            place = self._place(name)
            peers = _peers(trip.each[name])
            ours = {peer: self._mask(self.own[peer][1], place) for peer in peers}
            arrived: Any = content.arrays[trips.MASKED]
            masked: Ring = arrived - ring.added(place, ours, n_params)
            seed = self._secret(place, 0)
            if seed is not None:
                self.updates[place] = masked - ring.own_mask(seed, n_params)
            # the honest half will remove the masks that are shared with who has vanished
            removed = {peer: self._vanished(peer, place) for peer in peers if peer in gone}
            expected = masked + ring.added(place, removed, n_params)
            arrays = {**content.arrays, trips.MASKED: expected}
            changed[name] = Answered(content._replace(arrays=arrays))
        return changed

    def _vanished(self, gone: int, place: int) -> Ring:
        private = self._secret(gone, 1)
        assert private is not None
        return self._mask(private, place)

    def _secret(self, place: int, half: int) -> bytes | None:
        """A hospital's secret: the seed of its own mask (0), or its mask key (1)."""
        start = half * shamir.BYTES
        texts = self.texts.get(place, {})
        return ring.recovered(
            {holder: text[start : start + shamir.BYTES] for holder, text in texts.items()}
        )

    def _mask(self, private: bytes, place: int) -> Ring:
        return ring.pair_mask(private, self.keys[place], self.stage)

    def _channel(self, acted: int, place: int) -> bytes:
        """The key of a hospital's channel with the aggregator, which acts as its peer."""
        public = self.keys[place][: agreement.KEY]
        return agreement.agreed(self.own[acted][0], public, ring.channel_purpose(self.stage))

    def _place(self, hospital: str) -> int:
        return self.stage.hospitals.index(hospital)


def _peers(sent: Content) -> list[int]:
    """The places of the peers that are stated to a hospital."""
    found: Any = sent.values[trips.PEERS]
    return list(found)
