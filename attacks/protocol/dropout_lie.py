"""A living hospital that is stated to be gone (Bonawitz et al., 2017, IACR 2017/281)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from attacks._shared import ring
from attacks._shared.ring import Ring
from sim.errors import RefusedError
from sim.federation.protocols.secagg import agreement, shamir, signing, trips
from sim.federation.protocols.secagg.secrets import Secrets
from sim.federation.protocols.secagg.terms import PAIR, bits, digest_of, parts, places_in
from sim.messages import Concluded, Content, Replies, Stage, Talk, Trip, UnusableError
from sim.types import About


@dataclass(frozen=True)
class DropoutLie:
    """To some hospitals the victim is stated to have vanished, and to the others not.

    The ones give shares of its mask key, the others of the seed of its own mask. Who holds enough
    of both reads its update. Colluding hospitals give both, and sign whatever is asked. Of s
    hospitals that hold shares with c colluders among them, a threshold above (s + c) / 2 stops it.

    Args:
        victim: the hospital whose update is looked for; None: each in turn, another one each round.
    """

    victim: str | None = None
    colludes: ClassVar[bool] = True
    about: ClassVar[About] = About(
        title="DropoutLie",
        paper=(
            "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning"
        ),
        year=2017,
        sees="the messages of the protocol, and what the keys of colluding hospitals open",
    )

    def __call__(self, talk: Talk, stage: Stage, rng: np.random.Generator) -> Talk:
        """The honest half, in which some hospitals are given other survivors.

        Raises:
            RefusedError: there is no such hospital.
        """
        victim = self._victim(stage)
        if not ring.is_secagg(stage):
            return (yield from talk)
        liar = _Liar(stage, stage.hospitals.index(victim))
        try:
            trip = next(talk)
            while True:
                trip = talk.send(liar.reads(trip, (yield liar.asks(trip))))
        except StopIteration as end:
            concluded: Concluded = end.value
            return replace(
                concluded,
                isolated=ring.isolated(liar.updates(), stage),
                screened={**concluded.screened, **liar.refusals},
            )

    def _victim(self, stage: Stage) -> str:
        honest = [name for name in stage.hospitals if name not in stage.keys]
        if self.victim is None:
            return honest[(stage.number - 1) % len(honest)]
        if self.victim not in honest:
            known = ", ".join(honest)
            raise RefusedError(f"victim={self.victim}: expected an honest hospital of {known}")
        return self.victim


@dataclass(eq=False)
class _Liar:
    """An aggregator that lies about one hospital; hospitals are known by their places.

    ``keys``: the public keys that each advertised. ``sealed``: the shares that the victim sealed,
    by receiver. ``senders``: of each receiver, those whose shares it could open. ``masked``: the
    victim's upload, under masks with the peers ``masked_with``. ``deceived``: to whom the victim is
    stated to have vanished. ``signatures``: of these, under what was stated to them. ``seeds`` and
    ``mask_keys``: shares of the victim's two secrets, by holder. ``refusals``: why deceived
    hospitals gave nothing.
    """

    stage: Stage
    victim: int
    keys: dict[int, bytes] = field(default_factory=dict)
    sealed: dict[int, bytes] = field(default_factory=dict)
    senders: dict[int, list[int]] = field(default_factory=dict)
    masked: Ring | None = None
    masked_with: list[int] = field(default_factory=list)
    deceived: tuple[int, ...] | None = None
    signatures: dict[int, bytes] = field(default_factory=dict)
    seeds: dict[int, bytes] = field(default_factory=dict)
    mask_keys: dict[int, bytes] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)

    def asks(self, trip: Trip) -> Trip:
        """What hospitals are asked in place of ``trip``."""
        if trip.kind not in (trips.AGREE, trips.UNMASK) or self.masked is None:
            return trip
        survivors = self._survivors(trip)
        if self.deceived is None:
            self.deceived = self._chosen(survivors)
        lie = bits([one for one in survivors if one != self.victim], len(self.stage.hospitals))
        each = dict(trip.each)
        for place in self.deceived:
            stated: dict[str, Any] = {trips.SURVIVORS: lie}
            if trip.kind == trips.UNMASK and self.stage.secagg["consistency"]:
                signed = {**self.signatures, **self._signed_by_colluders(lie)}
                signers = sorted({*signed} & {*self.senders[place]})
                stated[trips.PEERS] = signers
                stated[trips.SIGNATURES] = b"".join(signed[one] for one in signers)
            each[self._name(place)] = Content(values=stated)
        asked = {*trip.hospitals} | {self._name(place) for place in self.deceived}
        return replace(trip, hospitals=tuple(sorted(asked)), each=each)

    def reads(self, trip: Trip, replies: Replies) -> Replies:
        """The replies with which the honest half goes on: those of who was not deceived."""
        if trip.kind == trips.KEYS:
            self._read_keys(replies)
        if trip.kind == trips.SHARES:
            self._read_sealed(trip, replies)
        if trip.kind == trips.UPLOAD:
            self._read_uploads(trip, replies)
        if trip.kind not in (trips.AGREE, trips.UNMASK) or self.deceived is None:
            return replies
        there = {self._place(name): arrived for name, arrived in replies.items()}
        for place, arrived in there.items():
            if trip.kind == trips.AGREE and place in self.deceived:
                found = ring.taken(arrived, trips.SIGNATURE, signing.SIGNATURE)
                if found is not None:
                    self.signatures[place] = found
            if trip.kind == trips.UNMASK and self.victim in (place, *self.senders.get(place, [])):
                self._read_shares(place, arrived)
        return {
            name: arrived
            for name, arrived in replies.items()
            if self._place(name) not in self.deceived
        }

    def updates(self) -> dict[int, Ring]:
        """The victim's update by its place; empty where its secrets are not both found."""
        self._open_own()
        seed = ring.recovered(self.seeds)
        private = ring.recovered(self.mask_keys)
        fewest = min(len(self.seeds), len(self.mask_keys))
        enough = fewest >= self._threshold(len(self.sealed) + 1)
        if self.masked is None or seed is None or private is None or not enough:
            return {}
        advertised = self.keys[self.victim][agreement.KEY :]
        if agreement.public(private) != advertised:
            return {}
        n_params = len(self.stage.model)
        masks = {
            peer: ring.pair_mask(private, self.keys[peer], self.stage) for peer in self.masked_with
        }
        own = ring.own_mask(seed, n_params) + ring.added(self.victim, masks, n_params)
        return {self.victim: self.masked - own}

    def _chosen(self, survivors: Iterable[int]) -> tuple[int, ...]:
        """Whom to deceive: as many as leave the threshold among the others, from the last one."""
        able = [one for one in survivors if one in self.sealed and not self._colludes(one)]
        n_holders = len(self.sealed) + 1
        n_left = n_holders - self._threshold(n_holders)
        return tuple(sorted(able[len(able) - n_left :] if n_left > 0 else []))

    def _threshold(self, n_holders: int) -> int:
        stated = self.stage.secagg["threshold"]
        return -(-2 * n_holders // 3) if stated is None else int(stated)

    def _signed_by_colluders(self, lie: bytes) -> dict[int, bytes]:
        """The signatures of colluding hospitals under what is stated to deceived ones."""
        model = digest_of(self.stage.model)
        stage = self.stage
        text = signing.statement("agreement", stage.digest, stage.number, model, lie)
        return {self._place(name): signing.signed(key, text) for name, key in stage.keys.items()}

    def _open_own(self) -> None:
        """Take the shares that colluding hospitals hold of the victim's secrets."""
        purpose = ring.channel_purpose(self.stage)
        for name, key in self.stage.keys.items():
            place = self._place(name)
            if place in self.sealed and self.victim in self.keys:
                own = Secrets(key, self.stage.digest, self.stage.number).channel
                public = self.keys[self.victim][: agreement.KEY]
                channel = agreement.agreed(own, public, purpose)
                text = agreement.unseal(channel, self.victim, self.sealed[place], purpose)
                if text is not None:
                    self.seeds[place] = text[: shamir.BYTES]
                    self.mask_keys[place] = text[shamir.BYTES :]

    def _read_keys(self, replies: Replies) -> None:
        signed = signing.SIGNATURE if self.stage.secagg["signed_keys"] else 0
        for name, arrived in replies.items():
            keys = ring.taken(arrived, trips.ADVERTISED, PAIR, (trips.SIGNATURE, signed))
            if keys is not None:
                self.keys[self._place(name)] = keys

    def _read_sealed(self, trip: Trip, replies: Replies) -> None:
        name = self._name(self.victim)
        if name not in replies:
            return
        peers = _peers(trip.each[name])
        length, committed = ring.share_lengths(len(peers))
        packed = ring.taken(replies[name], trips.SEALED, length, (trips.COMMITMENTS, committed))
        if packed is not None and len(packed) == length:
            self.sealed = ring.sealed_parts(packed, peers)

    def _read_uploads(self, trip: Trip, replies: Replies) -> None:
        for name, arrived in replies.items():
            content = ring.uploaded(arrived, self.stage)
            if content is None:
                continue
            unusable: Any = content.values[trips.UNUSABLE]
            senders = [one for one in _peers(trip.each[name]) if one not in unusable]
            self.senders[self._place(name)] = senders
            if self._place(name) == self.victim:
                masked: Any = content.arrays[trips.MASKED]
                self.masked = masked
                self.masked_with = _peers(trip.each[name])

    def _read_shares(self, place: int, arrived: Any) -> None:
        """Take the share of one of the victim's secrets that a hospital gives."""
        assert self.deceived is not None
        senders = self.senders[place]
        length = shamir.BYTES * (len(senders) + 1)
        packed = ring.taken(arrived, trips.SHARED, length)
        if packed is None or len(packed) != length:
            if place in self.deceived:
                self.refusals[self._name(place)] = f"{trips.UNMASK}: {_why(arrived)}"
            return
        given = parts(packed, shamir.BYTES)[(*senders, place).index(self.victim)]
        (self.mask_keys if place in self.deceived else self.seeds)[place] = given

    def _survivors(self, trip: Trip) -> tuple[int, ...]:
        packed: Any = trip.common.values[trips.SURVIVORS]
        return places_in(packed, len(self.stage.hospitals)) or ()

    def _colludes(self, place: int) -> bool:
        return self._name(place) in self.stage.keys

    def _place(self, hospital: str) -> int:
        return self.stage.hospitals.index(hospital)

    def _name(self, place: int) -> str:
        return self.stage.hospitals[place]


def _peers(sent: Content) -> list[int]:
    """The places of the peers that are stated to a hospital."""
    found: Any = sent.values[trips.PEERS]
    return list(found)


def _why(arrived: Any) -> str:
    """Why a hospital gives no shares."""
    try:
        arrived.content(ring.NO_FORM)
    except UnusableError as error:
        return str(error)
    return "no shares"
