"""The plain round with model agreement: hospitals compare what they were sent before they upload.

Each signs the digest of the model that it has trained; the aggregator passes the signatures on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sim.federation import wire
from sim.federation.conversation import (
    Answer,
    Arrived,
    Asked,
    Conversation,
    TripRefusedError,
)
from sim.federation.protocols.plain import NUMBER, PLAIN, PlainHospital, concluded
from sim.federation.protocols.secagg import signing
from sim.federation.protocols.secagg.terms import digest_of, parts
from sim.messages import TRAIN, Trip
from sim.types import Traffic

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan
    from sim.federation.rounds import Weights

UPLOAD: Final = "upload"  # the kind of the second trip

# entries of messages and of what is held
SIGNATURE: Final = "signature"
SIGNERS: Final = "signers"  # places of hospitals in the plan
SIGNATURES: Final = "signatures"  # of the signers, one after the other
MODEL: Final = "model"  # digest of the model that was trained
COUNT: Final = "count"
UPDATE: Final = "update"


@dataclass(frozen=True)
class AgreedHospital:
    """The hospital's half: it uploads once most hospitals have signed the model that it trained."""

    def answer(self, asked: Asked, update: wire.Report | None) -> Answer:
        """First a signature under the model's digest, then the update as it is.

        It signs one model a round: whoever signs two lets the aggregator split the hospitals.
        Raises ``TripRefusedError`` for a trip that is not the next one of the round, and where not
        more than half of the plan's hospitals have signed the same.
        """
        if asked.kind == TRAIN and update is not None and MODEL not in asked.held.values:
            return _signed(asked, update)
        if asked.kind != UPLOAD or UPDATE not in asked.held.arrays:
            raise TripRefusedError("phase")
        _check(asked)
        held: Any = asked.held
        numbers = dict(held.numbers)
        count = numbers.pop(COUNT)
        report = wire.Report(held.arrays[UPDATE], count, numbers)
        answer = PlainHospital().answer(asked._replace(kind=TRAIN), report)
        return answer._replace(held=wire.Content(values=held.values))


@dataclass(frozen=True)
class Agreed:
    """The aggregator's half: a trip to train and sign, and a trip to upload."""

    is_clear: bool = False
    hospital: AgreedHospital = AgreedHospital()
    trips: tuple[str, ...] = (TRAIN, UPLOAD)

    def round(self, plan: FederationPlan, number: int, model: Weights) -> Conversation:
        """Two trips. Whoever has not signed the model that was sent out is not asked to upload."""
        text = _statement(plan, number, digest_of(model))

        def read(name: str, arrived: Arrived) -> bytes:
            form = wire.Form(values={SIGNATURE: wire.Entry(bytes, signing.SIGNATURE)})
            signature: Any = arrived.content(form).values[SIGNATURE]
            if not signing.is_signed(_key(plan, name), signature, text):
                raise wire.UnusableError("its signature is not under the model that it was sent")
            return bytes(signature)

        replies = yield Trip(TRAIN, plan.hospitals, model)
        signatures = dict[str, bytes]()
        refused = dict[str, str]()
        for name, arrived in replies.items():
            try:
                signatures[name] = read(name, arrived)
            except wire.UnusableError as error:
                refused[name] = str(error)
        values: dict[str, wire.Value] = {
            SIGNERS: [plan.places[name] for name in signatures],
            SIGNATURES: b"".join(signatures.values()),
        }
        uploads = yield Trip(UPLOAD, tuple(signatures), None, wire.Content(values=values))
        end = concluded(plan, number, len(model), uploads)
        return replace(end, screened={**refused, **end.screened})

    def traffic(self, plan: FederationPlan) -> Traffic:
        """The traffic of a plain round, with a signature and the signatures of all."""
        plain = PLAIN.traffic(plan)
        signed = len(plan.hospitals) * (NUMBER + signing.SIGNATURE)
        return Traffic(
            messages=4, sent=plain.sent + signing.SIGNATURE, received=plain.received + signed
        )


def _signed(asked: Asked, update: wire.Report) -> Answer:
    """A signature under the digest of the model; the update is held back."""
    digest = digest_of(asked.model)
    signature = signing.signed(asked.key, _statement(asked.plan, asked.number, digest))
    held = wire.Content(
        arrays={UPDATE: update.update},
        numbers={COUNT: update.count, **update.numbers},
        values={MODEL: digest},
    )
    return Answer(wire.Content(values={SIGNATURE: signature}), held)


def _check(asked: Asked) -> None:
    """Refuse where too few hospitals have signed the model that this one has trained."""
    plan = asked.plan
    model: Any = asked.held.values[MODEL]
    places: Any = asked.content.values.get(SIGNERS)
    packed: Any = asked.content.values.get(SIGNATURES)
    if type(places) is not list or type(packed) is not bytes:
        raise TripRefusedError("form")
    signatures = parts(packed, signing.SIGNATURE)
    n_hospitals = len(plan.hospitals)
    if len(signatures) != len(places) or any(type(place) is not int for place in places):
        raise TripRefusedError("form")
    if not {*places} <= {*range(n_hospitals)} or len({*places}) != len(places):
        raise TripRefusedError("peers")
    text = _statement(plan, asked.number, model)
    signers = {
        place
        for place, signature in zip(places, signatures, strict=True)
        if signing.is_signed(_key(plan, plan.hospitals[place]), signature, text)
    }
    if 2 * len(signers | {plan.places[asked.hospital]}) <= n_hospitals:
        raise TripRefusedError("model")


def _statement(plan: FederationPlan, number: int, model: bytes) -> bytes:
    return signing.statement("model", plan.digest, number, model)


def _key(plan: FederationPlan, hospital: str) -> bytes:
    return bytes.fromhex(plan.terms.enrolled[hospital])


AGREED: Final = Agreed()
