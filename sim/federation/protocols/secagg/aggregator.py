"""The aggregator's half of SecAgg+: it carries messages between hospitals and unmasks their sum.

Every reply is checked by itself. A hospital is named as the one to blame only where what it sent
itself shows that it broke the protocol; of a share that does not open, nobody can tell whether its
sender, its receiver or the way between them spoiled it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.design.plan import FederationPlan
from sim.federation import wire
from sim.federation.conversation import CLIPPED, Arrived, Conversation, Replies
from sim.federation.protocols.secagg import agreement, shamir, signing, trips
from sim.federation.protocols.secagg.masks import RING, from_ring, mask
from sim.federation.protocols.secagg.terms import (
    BOTH,
    COMMITTED,
    DIGEST,
    PAIR,
    Parameters,
    bits,
    commitment,
    digest_of,
    of_round,
    parts,
)
from sim.federation.rounds import Weights
from sim.messages import Concluded, Trip
from sim.types import View

T = TypeVar("T")
Talk = Generator[Trip, Replies, T]


class StoppedError(Exception):
    """A round that cannot end in a sum; the text is the reason."""


class SecAggAggregator:
    """The aggregator's half in one round.

    Each trip is a method. Hospitals are known by their places in the plan. ``keys``: what each
    advertised. ``sealed`` and ``commitments``: of each sender, by receiver. ``masked``: what each
    uploaded. ``unusable``: of each receiver, the senders whose shares do not open. ``left``: those
    that have answered the last trip.
    """

    def __init__(
        self, parameters: Parameters, plan: FederationPlan, number: int, model: Weights
    ) -> None:
        self.terms = of_round(plan, number, parameters)
        self.plan = plan
        self.model = model
        self.keys = dict[int, bytes]()
        self.signatures = dict[int, bytes]()
        self.sealed = dict[int, dict[int, bytes]]()
        self.commitments = dict[int, dict[int, bytes]]()
        self.seeds = dict[int, bytes]()
        self.masked = dict[int, NDArray[np.uint32]]()
        self.unusable = dict[int, tuple[int, ...]]()
        self.agreed = dict[int, bytes]()
        self.revealed = dict[int, dict[int, bytes]]()
        self.left = tuple[int, ...]()
        self.refused = dict[str, str]()
        self.reported = dict[str, Mapping[str, float]]()

    def conversation(self) -> Conversation:
        """The round: the sum of all uploads as a view of one row, or why there is none."""
        try:
            yield from self.advertise()
            yield from self.share()
            yield from self.upload()
            if self.terms.parameters.consistency:
                yield from self.agree()
            yield from self.unmask()
            total = self.unmasked()
        except StoppedError as stopped:
            return self._concluded(None, self.left, str(stopped))
        members = self._names(self.masked)
        mean = self.terms.parameters.quantization.value(from_ring(total), len(members))
        view = View(mean[None], (members,), None)
        return self._concluded(view, self.masked)

    def _concluded(self, view: View | None, left: Iterable[int], reason: str = "") -> Concluded:
        names = self._names(left)
        return Concluded(view, names, self.refused, self.reported, reason, self.unopened)

    def advertise(self) -> Talk[None]:
        """Every hospital states its public keys."""
        found = yield from self._ask(trips.KEYS, range(len(self.plan.hospitals)), self.read_keys)
        self.keys = {place: keys for place, (keys, _) in found.items()}
        self.signatures = {place: signature for place, (_, signature) in found.items()}
        self._narrow(trips.KEYS, self.keys)

    def share(self) -> Talk[None]:
        """Every hospital is sent its neighbors' keys, and shares its secrets out to them."""
        each = {place: self.keys_for(place) for place in self.keys}
        found = yield from self._ask(trips.SHARES, self.keys, self.read_shares, each)
        for place, (sealed, committed, seed) in found.items():
            peers = self.peers(place, self.keys)
            self.sealed[place] = dict(zip(peers, sealed, strict=True))
            self.commitments[place] = dict(zip((*peers, place), committed, strict=True))
            self.seeds[place] = seed
        self._narrow(trips.SHARES, self.sealed)

    def upload(self) -> Talk[None]:
        """Every hospital is sent the shares for it, trains, and uploads its masked update."""
        each = {place: self.shares_for(place) for place in self.sealed}
        found = yield from self._ask(trips.UPLOAD, self.sealed, self.read_masked, each, self.model)
        for place, (masked, unusable, numbers) in found.items():
            self.masked[place] = masked
            self.unusable[place] = unusable
            self.reported[self.plan.hospitals[place]] = numbers
        self.blame_senders()
        self.check_threshold(trips.UPLOAD, self.masked)
        if len(self.masked) < self.plan.least:
            uploads = f"{len(self.masked)} uploads"
            raise StoppedError(f"{trips.UPLOAD}: {uploads}, and a sum needs {self.plan.least}")

    def agree(self) -> Talk[None]:
        """Every hospital whose update arrived signs which model it trained, and who these are."""
        common = wire.Content(values={trips.SURVIVORS: self.survivors()})
        text = self.terms.agreement_statement(digest_of(self.model), self.survivors())

        def read(place: int, arrived: Arrived) -> bytes:
            form = wire.Form(values={trips.SIGNATURE: _bytes(signing.SIGNATURE)})
            signature = _exact(arrived.content(form), trips.SIGNATURE, signing.SIGNATURE)
            if not signing.is_signed(self.terms.verification_key(place), signature, text):
                raise wire.UnusableError(
                    "its signature is not under the model and the hospitals that it was sent"
                )
            return signature

        self.agreed = yield from self._ask(trips.AGREE, self.masked, read, common=common)
        self.check_threshold(trips.AGREE, self.agreed)

    def unmask(self) -> Talk[None]:
        """Hospitals give one share of each neighbor."""
        asked = self.agreed if self.terms.parameters.consistency else self.masked
        common = wire.Content(values={trips.SURVIVORS: self.survivors()})
        each = {place: self.signatures_for(place) for place in asked}
        self.revealed = yield from self._ask(
            trips.UNMASK, asked, self.read_revealed, each, None, common
        )
        self.check_threshold(trips.UNMASK, self.revealed)

    def unmasked(self) -> NDArray[np.uint32]:
        """The sum of what was uploaded, without its masks.

        Raises ``StoppedError`` where shares of a hospital do not combine to what it committed to.
        """
        n_params = len(self.model)
        total = np.zeros(n_params, RING)
        for masked in self.masked.values():
            total += masked
        purpose = self.terms.mask_purpose(digest_of(self.model))
        for place, secret in self.recovered().items():
            if place in self.masked:
                total -= mask(secret, n_params)
                continue
            for peer in self.peers(place, self.masked):
                other = self.keys[peer][agreement.KEY :]
                one = mask(agreement.agreed(secret, other, purpose), n_params)
                if peer < place:  # the peer has added it
                    total -= one
                else:
                    total += one
        return total

    def recovered(self) -> dict[int, bytes]:
        """The seed of each hospital whose update arrived, and the mask key of each that vanished.

        Raises ``StoppedError`` where shares do not combine; all who made these are named.
        """
        found = {place: self._recovered(place) for place in self.sealed}
        wrong = [self.plan.hospitals[place] for place, secret in found.items() if secret is None]
        if wrong:
            reason = "the shares that it committed to do not combine to the secret of its own mask"
            self.refused |= dict.fromkeys(wrong, f"{trips.SHARES}: {reason}")
            raise StoppedError(
                f"{trips.UNMASK}: a mask cannot be removed: {', '.join(wrong)}: {reason}"
            )
        return {place: secret for place, secret in found.items() if secret is not None}

    def _recovered(self, place: int) -> bytes | None:
        holders = [one for one in self.terms.circles[place] if place in self.revealed.get(one, {})]
        chosen = tuple(holders[: self.terms.threshold])
        points = tuple(one + 1 for one in chosen)
        secret = shamir.combined(points, [self.revealed[one][place] for one in chosen])
        if not self.terms.parameters.committed:
            return secret
        if place in self.masked:
            is_it = secret is not None and commitment(secret) == self.seeds[place]
        else:
            advertised = self.keys[place][agreement.KEY :]
            is_it = secret is not None and agreement.public(secret) == advertised
        return secret if is_it else None

    # what single hospitals are sent

    def keys_for(self, place: int) -> wire.Content:
        """The keys of a hospital's neighbors."""
        peers = self.peers(place, self.keys)
        values: dict[str, wire.Value] = {
            trips.PEERS: peers,
            trips.ADVERTISED: b"".join(self.keys[peer] for peer in peers),
            trips.SIGNATURES: b"".join(self.signatures[peer] for peer in peers),
        }
        return wire.Content(values=values)

    def shares_for(self, place: int) -> wire.Content:
        """The shares that a hospital's neighbors have sealed for it, and what they committed to."""
        senders = self.peers(place, self.sealed)
        values: dict[str, wire.Value] = {
            trips.PEERS: senders,
            trips.SEALED: b"".join(self.sealed[sender][place] for sender in senders),
            trips.COMMITMENTS: b"".join(self.commitments[sender][place] for sender in senders),
        }
        return wire.Content(values=values)

    def signatures_for(self, place: int) -> wire.Content:
        """The neighbors that signed the same statement, and their signatures."""
        if not self.terms.parameters.consistency:
            return wire.NOTHING
        signers = self.peers(place, self.agreed)
        signatures = b"".join(self.agreed[signer] for signer in signers)
        return wire.Content(values={trips.PEERS: signers, trips.SIGNATURES: signatures})

    def survivors(self) -> bytes:
        """The hospitals whose updates arrived, as bits."""
        return bits(self.masked, len(self.plan.hospitals))

    def peers(self, place: int, among: Iterable[int]) -> list[int]:
        """The neighbors of a hospital that are among these, in order."""
        chosen = {*among}
        return [one for one in self.terms.circles[place] if one != place and one in chosen]

    # what they answer

    def read_keys(self, place: int, arrived: Arrived) -> tuple[bytes, bytes]:
        """The public keys of a hospital, and its signature under them."""
        length = signing.SIGNATURE if self.terms.parameters.signed_keys else 0
        form = wire.Form(values={trips.ADVERTISED: _bytes(PAIR), trips.SIGNATURE: _bytes(length)})
        content = arrived.content(form)
        keys = _exact(content, trips.ADVERTISED, PAIR)
        signature = _exact(content, trips.SIGNATURE, length)
        if any(agreement.is_degenerate(key) for key in parts(keys, agreement.KEY)):
            raise wire.UnusableError("a public key with which everybody gets the same secret")
        if length:
            text = self.terms.keys_statement(place, keys)
            if not signing.is_signed(self.terms.verification_key(place), signature, text):
                raise wire.UnusableError("its keys are not signed by it for this round and plan")
        return keys, signature

    def read_shares(self, place: int, arrived: Arrived) -> tuple[list[bytes], list[bytes], bytes]:
        """The shares that a hospital sealed, and what it committed to: shares and seed."""
        n_peers = len(self.peers(place, self.keys))
        sealed = BOTH * n_peers
        committed = COMMITTED * (n_peers + 1) + DIGEST
        form = wire.Form(
            values={trips.SEALED: _bytes(sealed), trips.COMMITMENTS: _bytes(committed)}
        )
        content = arrived.content(form)
        texts = parts(_exact(content, trips.SEALED, sealed), BOTH)
        both = _exact(content, trips.COMMITMENTS, committed)
        return texts, parts(both[:-DIGEST], COMMITTED), both[-DIGEST:]

    def read_masked(
        self, place: int, arrived: Arrived
    ) -> tuple[NDArray[np.uint32], tuple[int, ...], Mapping[str, float]]:
        """A masked update, the senders whose shares do not open, and reported numbers."""
        senders = self.peers(place, self.sealed)
        form = wire.Form(
            arrays={trips.MASKED: (RING.name, (len(self.model),))},
            values={trips.UNUSABLE: wire.Entry(int, len(self.plan.hospitals), len(senders))},
            numbers=True,
        )
        content = arrived.content(form)
        found: object = content.values[trips.UNUSABLE]
        unusable = found if isinstance(found, list) else []
        if unusable != [sender for sender in senders if sender in unusable]:
            raise wire.UnusableError(
                f"shares of {unusable} do not open, expected some of {senders}"
            )
        clipped = content.numbers.get(CLIPPED, 0)
        if not (0 <= clipped <= len(self.model) and clipped == int(clipped)):
            expected = f"expected a whole number from 0 to {len(self.model)}"
            raise wire.UnusableError(f"reports {CLIPPED}={clipped:g}, {expected}")
        return (
            content.arrays[trips.MASKED].astype(RING, copy=False),
            tuple(unusable),
            content.numbers,
        )

    def read_revealed(self, place: int, arrived: Arrived) -> dict[int, bytes]:
        """The shares that a hospital gives, by the hospital whose secret each is of.

        Each is the one that its sender committed to, and that this hospital took without complaint.
        """
        senders = self.peers(place, self.sealed)
        usable = [sender for sender in senders if sender not in self.unusable[place]]
        length = shamir.BYTES * (len(usable) + 1)
        content = arrived.content(wire.Form(values={trips.SHARED: _bytes(length)}))
        given = parts(_exact(content, trips.SHARED, length), shamir.BYTES)
        found = dict(zip((*usable, place), given, strict=True))
        for owner, share in found.items() if self.terms.parameters.committed else ():
            both = self.commitments[owner][place]
            committed = both[:DIGEST] if owner in self.masked else both[DIGEST:]
            if commitment(share) != committed:
                name = self.plan.hospitals[owner]
                raise wire.UnusableError(f"its share of {name} is not the one that it accepted")
        return found

    # who is left

    def check_threshold(self, kind: str, answering: Mapping[int, object]) -> None:
        """Stop before anything more is revealed where a mask could not be removed any more."""
        threshold = self.terms.threshold
        for place in self.sealed:
            circle = self.terms.circles[place]
            here = [one for one in circle if one in answering]
            able = [one for one in here if place not in self.unusable.get(one, ())]
            if len(able) < threshold:
                left = f"{len(here)} of {len(circle)} hospitals are left"
                if len(able) < len(here):
                    left += f", of which {len(able)} hold shares of {self.plan.hospitals[place]}"
                raise StoppedError(f"{kind}: {left}, and the threshold is {threshold}")

    def blame_senders(self) -> None:
        """Name the hospitals whose shares as many others cannot open as the threshold is.

        Fewer than that are hostile, so one of these is honest and has been sent nothing usable. Of
        fewer complaints nobody can tell whether sender or receiver is at fault.
        """
        for place in self.sealed:
            n_complaints = sum(place in senders for senders in self.unusable.values())
            if n_complaints >= self.terms.threshold:
                reason = f"{n_complaints} hospitals cannot open the shares that it sealed for them"
                self.refused[self.plan.hospitals[place]] = f"{trips.SHARES}: {reason}"

    @property
    def unopened(self) -> list[tuple[str, str]]:
        """Sender and receiver of each share that does not open."""
        names = self.plan.hospitals
        return [
            (names[sender], names[receiver])
            for receiver, senders in sorted(self.unusable.items())
            for sender in senders
        ]

    def _narrow(self, kind: str, left: dict[int, T]) -> None:
        """Leave out hospitals of whose circle too few are left, until there are none of these."""
        threshold = self.terms.threshold
        answering = tuple(left)
        while lonely := [one for one in left if len(self.peers(one, left)) + 1 < threshold]:
            for place in lonely:
                del left[place]
        if not left:
            of_all = f"{len(answering)} of {len(self.plan.hospitals)} hospitals answered"
            raise StoppedError(f"{kind}: {of_all}, and the threshold is {threshold}")
        reason = f"{kind}: left out, for fewer than {threshold} of it and its neighbors are left"
        self.refused |= {self.plan.hospitals[one]: reason for one in answering if one not in left}

    def _ask(
        self,
        kind: str,
        asked: Iterable[int],
        read: Callable[[int, Arrived], T],
        each: Mapping[int, wire.Content] | None = None,
        model: Weights | None = None,
        common: wire.Content = wire.NOTHING,
    ) -> Talk[dict[int, T]]:
        """One trip: what is read of each usable reply, by place; the others are noted."""
        hospitals = self._names(asked)
        own = {self.plan.hospitals[place]: content for place, content in (each or {}).items()}
        own = {name: content for name, content in own.items() if content is not wire.NOTHING}
        replies = yield Trip(kind, hospitals, model, common, own)
        found = dict[int, T]()
        for name, arrived in replies.items():
            place = self.terms.place(name)
            try:
                found[place] = read(place, arrived)
            except wire.UnusableError as error:
                self.refused[name] = f"{kind}: {error}"
        self.left = tuple(found)
        return found

    def _names(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.plan.hospitals[place] for place in sorted(places))


def _bytes(most: int) -> wire.Entry:
    return wire.Entry(bytes, most)


def _exact(content: wire.Content, name: str, length: int) -> bytes:
    """An entry of exactly so many bytes; its form has made sure of its type."""
    found = content.values[name]
    if not isinstance(found, bytes) or len(found) != length:
        n_bytes = len(found) if isinstance(found, bytes) else 0
        raise wire.UnusableError(f"value {name} has {n_bytes} bytes, expected {length}")
    return found
