"""The arithmetic of attacks on SecAgg+: masks, secrets and updates in the ring."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.federation.protocols.secagg import agreement, shamir, signing, trips
from sim.federation.protocols.secagg.masks import RING, from_ring, mask
from sim.federation.protocols.secagg.terms import BOTH, COMMITTED, DIGEST, digest_of, parts
from sim.messages import Arrival, Content, Entry, Form, Report, Stage, UnusableError
from sim.types import Isolated, Updates, View

Ring = NDArray[np.uint32]  # (n_params,)
NO_FORM = Form()  # of no answer, so that the reason is given why there is none


@dataclass(frozen=True)
class Answered:
    """A reply that an attack hands on in place of the one that arrived."""

    changed: Content

    def content(self, form: Form) -> Content:
        """The content that is handed on."""
        return self.changed

    def report(self, n_params: int, max_records: int) -> Report:
        """There is no update in the clear."""
        raise UnusableError("a masked update")


def is_secagg(stage: Stage) -> bool:
    """Whether the round is one of SecAgg+, in which hospitals exchange keys."""
    return "signed_keys" in stage.secagg


def taken(arrived: Arrival, name: str, most: int, *others: tuple[str, int]) -> bytes | None:
    """An entry of a reply of bytes alone, of these names and lengths; None for an unusable one."""
    form = Form(values={one: Entry(bytes, n) for one, n in ((name, most), *others)})
    try:
        found = arrived.content(form).values[name]
    except UnusableError:
        return None
    return found if isinstance(found, bytes) else None


def uploaded(arrived: Arrival, stage: Stage) -> Content | None:
    """The content of a reply that brings a masked update; None for an unusable one."""
    n_hospitals = len(stage.hospitals)
    form = Form(
        arrays={trips.MASKED: (RING.name, stage.model.shape)},
        values={trips.UNUSABLE: Entry(int, n_hospitals, n_hospitals)},
        numbers=True,
    )
    try:
        return arrived.content(form)
    except UnusableError:
        return None


def channel_purpose(stage: Stage) -> bytes:
    """The purpose of the keys with which shares are sealed."""
    return signing.statement("channel", stage.digest, stage.number)


def pair_mask(private: bytes, keys: bytes, stage: Stage) -> Ring:
    """The mask that two hospitals share: of one the private mask key, of one the public keys."""
    bound = [digest_of(stage.model)] if stage.secagg.get("consistency") else []
    purpose = signing.statement("mask", stage.digest, stage.number, *bound)
    return mask(agreement.agreed(private, keys[agreement.KEY :], purpose), len(stage.model))


def added(place: int, masks: Mapping[int, Ring], n_params: int) -> Ring:
    """The sum of a hospital's masks with others, by their places, in its upload."""
    total = np.zeros(n_params, RING)
    for other, one in masks.items():
        if place < other:
            total += one
        else:
            total -= one
    return total


def own_mask(seed: bytes, n_params: int) -> Ring:
    """A hospital's own mask."""
    return mask(seed, n_params)


def recovered(shares: Mapping[int, bytes]) -> bytes | None:
    """The secret of shares by their holders' places; None where they give none."""
    return shamir.combined(tuple(holder + 1 for holder in shares), list(shares.values()))


def isolated(updates: Mapping[int, Ring], stage: Stage) -> Isolated | None:
    """Unmasked updates by the places of their hospitals; None where there is none."""
    if not updates:
        return None
    rows: Updates = np.array([from_ring(update) * stage.step for update in updates.values()])
    return Isolated(View(rows, tuple((stage.hospitals[place],) for place in updates)))


def sealed_parts(packed: bytes, peers: Iterable[int]) -> dict[int, bytes]:
    """The sealed shares of an entry, by the place of the other end."""
    return dict(zip(peers, parts(packed, BOTH), strict=True))


def share_lengths(n_peers: int) -> tuple[int, int]:
    """The bytes of what a hospital seals for so many peers, and of what it commits to."""
    return BOTH * n_peers, COMMITTED * (n_peers + 1) + DIGEST
