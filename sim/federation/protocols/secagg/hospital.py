"""The hospital's half of SecAgg+: it answers each trip of a round once, in order, or refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.federation import rounding, wire
from sim.federation.conversation import CLIPPED, Answer, Asked, TripRefusedError
from sim.federation.protocols.secagg import agreement, shamir, signing, trips
from sim.federation.protocols.secagg.masks import RING, mask, to_ring
from sim.federation.protocols.secagg.secrets import Secrets
from sim.federation.protocols.secagg.terms import (
    BOTH,
    COMMITTED,
    DIGEST,
    PAIR,
    Parameters,
    RoundTerms,
    bits,
    commitment,
    digest_of,
    of_round,
    parts,
    places_in,
)

# what a hospital holds from trip to trip, beside the entries of messages
PHASE: Final = "phase"  # the kind of the last trip that it answered
MODEL: Final = "model"  # the digest of the model that it trained

# what it remembers of all rounds in which it has unmasked a sum, in their order
MODELS: Final = "models"  # digests of the models that were trained
SUMS: Final = "sums"  # the hospitals in the sum, as bits


@dataclass(frozen=True)
class SecAggHospital:
    """The hospital's half; ``parameters`` are those of its own copy of the plan.

    It holds nothing secret between trips but the shares of its neighbors: its own secrets follow
    from its key.
    """

    parameters: Parameters

    def answer(self, asked: Asked, update: wire.Report | None) -> Answer:
        """The answer to one trip.

        Raises ``TripRefusedError`` for a trip that is not the next one of the round, and for one
        that would show more than the sum of enough hospitals.
        """
        before, answer = self._next(asked)
        trains = asked.kind == trips.UPLOAD
        if asked.held.values.get(PHASE) != before or trains != (update is not None):
            raise TripRefusedError("phase")
        terms = of_round(asked.plan, asked.number, self.parameters)
        found = answer(_Round(terms, asked, update))
        return Answer(found.content, _with_phase(found.held, asked.kind), found.remembered)

    def _next(self, asked: Asked) -> tuple[str | None, Callable[[_Round], Answer]]:
        """Of a kind of trip, the kind that comes before it, and how it is answered."""
        last = trips.AGREE if self.parameters.consistency else trips.UPLOAD
        steps: dict[str, tuple[str | None, Callable[[_Round], Answer]]] = {
            trips.KEYS: (None, _keys),
            trips.SHARES: (trips.KEYS, _shares),
            trips.UPLOAD: (trips.SHARES, _upload),
            trips.UNMASK: (last, _unmask),
        }
        if self.parameters.consistency:
            steps[trips.AGREE] = (trips.UPLOAD, _agree)
        if asked.kind not in steps:
            raise TripRefusedError("phase")
        return steps[asked.kind]


class _Round:
    """One trip as a hospital reads it; nothing in it is trusted."""

    def __init__(self, terms: RoundTerms, asked: Asked, update: wire.Report | None) -> None:
        self.terms = terms
        self.asked = asked
        self.update = update
        self.place = terms.place(asked.hospital)
        self.secrets = Secrets.of(asked.key, asked.plan.digest, asked.number)

    @property
    def circle(self) -> tuple[int, ...]:
        """The places of this hospital and its neighbors."""
        return self.terms.circles[self.place]

    def value(self, name: str, kind: type) -> Any:
        """An entry of the message that is exactly of a type."""
        found = self.asked.content.values.get(name)
        if type(found) is not kind:
            raise TripRefusedError("form")
        return found

    def places(self, among: Sequence[int]) -> list[int]:
        """The places of other hospitals that the message states: in order, and among these."""
        found: list[int] = self.value(trips.PEERS, list)
        others = {place for place in among if place != self.place}
        if any(type(place) is not int for place in found) or found != sorted({*found} & others):
            raise TripRefusedError("peers")
        if len(found) + 1 < self.terms.threshold:
            raise TripRefusedError("few")
        return found

    def each(self, name: str, size: int, n: int) -> list[bytes]:
        """The ``n`` values of ``size`` bytes of an entry."""
        found: bytes = self.value(name, bytes)
        if len(found) != size * n:
            raise TripRefusedError("form")
        return parts(found, size) if size else [b""] * n

    def survivors(self) -> tuple[int, ...]:
        """The hospitals whose updates arrived, as the message states.

        Raises ``TripRefusedError`` where this one is not among them, though it has uploaded, or
        too few of its circle are.
        """
        found = places_in(self.value(trips.SURVIVORS, bytes), len(self.asked.plan.hospitals))
        if found is None:
            raise TripRefusedError("form")
        held = self.asked.held.values
        known: Any = held[trips.PEERS]
        taking_part = {self.place, *known}
        if self.place not in found or not {*found} & {*self.circle} <= taking_part:
            raise TripRefusedError("survivors")
        n_near = len({*found} & taking_part)
        if n_near < self.terms.threshold or len(found) < self.asked.plan.least:
            raise TripRefusedError("few")
        return found


def _keys(one: _Round) -> Answer:
    """The public keys of this round, signed."""
    keys = agreement.public(one.secrets.channel) + agreement.public(one.secrets.mask)
    signature = b""
    if one.terms.parameters.signed_keys:
        signature = signing.signed(one.asked.key, one.terms.keys_statement(one.place, keys))
    return Answer(wire.Content(values={trips.ADVERTISED: keys, trips.SIGNATURE: signature}))


def _shares(one: _Round) -> Answer:
    """Both secrets, shared out to the neighbors whose keys were sent."""
    peers = one.places(one.circle)
    keys = one.each(trips.ADVERTISED, PAIR, len(peers))
    if any(agreement.is_degenerate(key) for pair in keys for key in parts(pair, agreement.KEY)):
        raise TripRefusedError("key")
    if one.terms.parameters.signed_keys:
        _check_signed(one, dict(zip(peers, keys, strict=True)))
    holders = (*peers, one.place)
    points = tuple(place + 1 for place in holders)
    both = zip(
        _shared_out(one, "seed", one.secrets.seed, points),
        _shared_out(one, "mask", one.secrets.mask, points),
        strict=True,
    )
    texts = [first + second for first, second in both]
    committed = b"".join(_committed(text) for text in texts)
    purpose = one.terms.channel_purpose
    sealed = [
        agreement.seal(_channel(one, keys[i]), one.place, texts[i], purpose)
        for i in range(len(peers))
    ]
    content = {
        trips.SEALED: b"".join(sealed),
        trips.COMMITMENTS: committed + commitment(one.secrets.seed),
    }
    held: dict[str, wire.Value] = {
        trips.PEERS: peers,
        trips.ADVERTISED: b"".join(keys),
        trips.SHARED: texts[-1],
    }
    return Answer(wire.Content(values=content), wire.Content(values=held))


def _check_signed(one: _Round, keys: Mapping[int, bytes]) -> None:
    """Refuse where a hospital has not signed the keys that are stated to be its own."""
    signatures = one.each(trips.SIGNATURES, signing.SIGNATURE, len(keys))
    for (place, advertised), signature in zip(keys.items(), signatures, strict=True):
        text = one.terms.keys_statement(place, advertised)
        if not signing.is_signed(one.terms.verification_key(place), signature, text):
            raise TripRefusedError("signature")


def _upload(one: _Round) -> Answer:
    """The masked update; which of the shares that others sealed for this hospital do not open."""
    update = one.update
    assert update is not None
    held: Any = one.asked.held.values
    keys = dict(zip(held[trips.PEERS], parts(held[trips.ADVERTISED], PAIR), strict=True))
    senders = one.places(held[trips.PEERS])
    sealed = one.each(trips.SEALED, BOTH, len(senders))
    committed = one.each(trips.COMMITMENTS, COMMITTED, len(senders))
    purpose = one.terms.channel_purpose
    opened = dict[int, bytes]()
    for i, sender in enumerate(senders):
        channel = _channel(one, keys[sender])
        text = agreement.unseal(channel, sender, sealed[i], purpose)
        is_fitting = not one.terms.parameters.committed or committed[i] == _committed(text or b"")
        if text is not None and is_fitting:
            opened[sender] = text
    if not np.isfinite(update.update).all():
        raise TripRefusedError("not_finite")
    draws = rounding.noise(rounding.seed(one.asked.key, one.asked.number), len(update.update))
    steps, n_clipped = one.terms.parameters.quantization.rounded(update.update[None], [draws])
    model = digest_of(one.asked.model)
    total = to_ring(steps[0]) + _masks(one, {place: keys[place] for place in senders}, model)
    noise = _noise(one)
    if noise is not None:
        total += noise
        n_clipped[:] = 0  # a number that is not noised
    content = wire.Content(
        arrays={trips.MASKED: total},
        numbers={**update.numbers, CLIPPED: int(n_clipped[0])},
        values={trips.UNUSABLE: [sender for sender in senders if sender not in opened]},
    )
    stored = {
        trips.PEERS: senders,
        trips.UNUSABLE: [sender for sender in senders if sender not in opened],
        trips.SHARED: b"".join(opened.values()) + held[trips.SHARED],
        MODEL: model,
    }
    return Answer(content, wire.Content(values=stored))


def _noise(one: _Round) -> NDArray[np.uint32] | None:
    """This hospital's share of the noise on the sum, in the ring; None where it adds none."""
    plan = one.asked.plan
    dp = plan.update_dp
    if dp is None or dp.place != "distributed":
        return None
    drawn = dp.share(plan.averaging, one.asked.key.stream("dp-share", one.asked.number))
    return drawn.astype(RING)  # modulo 2^32


def _agree(one: _Round) -> Answer:
    """A signature under which model was trained and whose updates arrived."""
    survivors = bits(one.survivors(), len(one.asked.plan.hospitals))
    model: Any = one.asked.held.values[MODEL]
    text = one.terms.agreement_statement(model, survivors)
    held = {**one.asked.held.values, trips.SURVIVORS: survivors}
    signature = signing.signed(one.asked.key, text)
    return Answer(wire.Content(values={trips.SIGNATURE: signature}), wire.Content(values=held))


def _unmask(one: _Round) -> Answer:
    """One share of each neighbor: of its own mask's seed, or where it vanished, of its mask key."""
    survivors = one.survivors()
    held: Any = one.asked.held.values
    if one.terms.parameters.consistency:
        _check_agreement(one, survivors)
    remembered = None
    if one.terms.parameters.one_sum:
        remembered = _remembered(one, survivors)
    usable = [sender for sender in held[trips.PEERS] if sender not in held[trips.UNUSABLE]]
    texts = zip((*usable, one.place), parts(held[trips.SHARED], 2 * shamir.BYTES), strict=True)
    given = [_halves(text)[0 if place in survivors else 1] for place, text in texts]
    return Answer(wire.Content(values={trips.SHARED: b"".join(given)}), remembered=remembered)


def _remembered(one: _Round, survivors: tuple[int, ...]) -> dict[str, list[str]]:
    """What a hospital remembers after it has unmasked the sum of these hospitals.

    Raises ``TripRefusedError`` where it has unmasked another sum of the same model: the difference
    of two such sums would be the updates of those that are in one of them alone.
    """
    held: Any = one.asked.held.values
    model = held[MODEL].hex()
    chosen = bits(survivors, len(one.asked.plan.hospitals)).hex()
    models = one.asked.remembered.get(MODELS, [])
    sums = one.asked.remembered.get(SUMS, [])
    before = dict(zip(models, sums, strict=True)).get(model)
    if before not in (None, chosen):
        raise TripRefusedError("repeated")
    if before is not None:
        return {MODELS: models, SUMS: sums}
    return {MODELS: [*models, model], SUMS: [*sums, chosen]}


def _check_agreement(one: _Round, survivors: tuple[int, ...]) -> None:
    """Refuse where too few of the circle have signed what this hospital has signed."""
    held: Any = one.asked.held.values
    if bits(survivors, len(one.asked.plan.hospitals)) != held[trips.SURVIVORS]:
        raise TripRefusedError("survivors")
    signers = one.places([place for place in one.circle if place in survivors])
    signatures = one.each(trips.SIGNATURES, signing.SIGNATURE, len(signers))
    text = one.terms.agreement_statement(held[MODEL], held[trips.SURVIVORS])
    n_agree = 1 + sum(
        signing.is_signed(one.terms.verification_key(place), signature, text)
        for place, signature in zip(signers, signatures, strict=True)
    )
    if n_agree < one.terms.threshold:
        raise TripRefusedError("agreement")


def _shared_out(one: _Round, what: str, secret: bytes, points: tuple[int, ...]) -> list[bytes]:
    drawn = one.secrets.coefficients(what, one.terms.threshold)
    return shamir.shares(secret, drawn, points)


def _channel(one: _Round, keys: bytes) -> bytes:
    """The key with which this hospital and the holder of ``keys`` seal shares for each other."""
    other = keys[: agreement.KEY]
    return agreement.agreed(one.secrets.channel, other, one.terms.channel_purpose)


def _masks(one: _Round, keys: Mapping[int, bytes], model: bytes) -> NDArray[np.uint32]:
    """The sum of the masks of this hospital: its own, and one with each neighbor.

    Of a pair, the hospital that is first in the plan adds the mask and the other subtracts it.
    """
    assert one.update is not None
    n_params = len(one.update.update)
    total = mask(one.secrets.seed, n_params).copy()
    purpose = one.terms.mask_purpose(model)
    for place, advertised in keys.items():
        other = advertised[agreement.KEY :]
        shared = mask(agreement.agreed(one.secrets.mask, other, purpose), n_params)
        if one.place < place:
            total += shared
        else:
            total -= shared
    assert total.dtype == RING
    return total


def _halves(text: bytes) -> tuple[bytes, bytes]:
    return text[: shamir.BYTES], text[shamir.BYTES :]


def _committed(text: bytes) -> bytes:
    return commitment(text[: shamir.BYTES]) + commitment(text[shamir.BYTES :])


def _with_phase(held: wire.Content, kind: str) -> wire.Content:
    return wire.Content(held.arrays, held.numbers, {**held.values, PHASE: kind})


assert len(commitment(b"")) == DIGEST
