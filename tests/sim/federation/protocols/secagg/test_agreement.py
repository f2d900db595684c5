"""Key agreement, held to the vectors of its standards and to another implementation."""

import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sim.federation.protocols.secagg import agreement

RNG = np.random.default_rng(3)
# RFC 7748, section 6.1
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, purpose).derive(secret)


def test_public_keys_and_secrets_are_those_of_the_standard() -> None:
    assert agreement.public(ALICE) == ALICE_PUBLIC
    assert agreement.public(BOB) == BOB_PUBLIC
    assert agreement.agreed(ALICE, BOB_PUBLIC, b"x") == derived(SHARED, b"x")


def test_both_ends_agree_for_one_purpose_and_no_other() -> None:
    for _ in range(20):
        one, other = RNG.bytes(32), RNG.bytes(32)
        there = agreement.agreed(one, agreement.public(other), b"masks")
        assert agreement.agreed(other, agreement.public(one), b"masks") == there
        assert agreement.agreed(other, agreement.public(one), b"channel") != there
        plain = X25519PrivateKey.from_private_bytes(one).exchange(
            X25519PublicKey.from_public_bytes(agreement.public(other))
        )
        assert there == derived(plain, b"masks")


def test_what_one_end_has_worked_out_is_of_no_use_to_a_third() -> None:
    """The cache is asked by the keys that are held, never by a public key that is stated."""
    one, other, third = RNG.bytes(32), RNG.bytes(32), RNG.bytes(32)
    agreed = agreement.agreed(one, agreement.public(other), b"x")
    assert agreement.agreed(third, agreement.public(other), b"x") != agreed
    assert agreement.agreed(third, agreement.public(one), b"x") != agreed


def degenerate() -> list[bytes]:
    """All encodings of the points of small order, with the highest bit set and without."""
    values = [
        value + shift
        for value in agreement.DEGENERATE
        for shift in (0, agreement.FIELD)
        if value + shift < 2**255
    ]
    return [(value + top).to_bytes(32, "little") for value in values for top in (0, 2**255)]


@pytest.mark.parametrize("key", degenerate())
def test_a_degenerate_key_is_found_before_it_is_used(key: bytes) -> None:
    assert agreement.is_degenerate(key)
    with pytest.raises(ValueError, match="shared key"):
        agreement.agreed(RNG.bytes(32), key, b"x")


def test_other_keys_are_not_degenerate() -> None:
    assert len(degenerate()) == 14
    for key in [RNG.bytes(32) for _ in range(200)] + [ALICE_PUBLIC, b"\x02" + bytes(31)]:
        assert not agreement.is_degenerate(key)
        agreement.agreed(ALICE, key, b"x")


def test_a_sealed_text_opens_with_its_key_sender_and_purpose_alone() -> None:
    key, text = RNG.bytes(32), RNG.bytes(66)
    sealed = agreement.seal(key, 3, text, b"round 1")
    assert len(sealed) == len(text) + agreement.TAG
    assert agreement.unseal(key, 3, sealed, b"round 1") == text
    assert agreement.unseal(key, 4, sealed, b"round 1") is None
    assert agreement.unseal(key, 3, sealed, b"round 2") is None
    assert agreement.unseal(RNG.bytes(32), 3, sealed, b"round 1") is None
    for at in range(len(sealed)):
        spoiled = bytearray(sealed)
        spoiled[at] ^= 1
        assert agreement.unseal(key, 3, bytes(spoiled), b"round 1") is None


def test_derived_keys_are_those_of_a_plain_hkdf() -> None:
    extracted = hmac.new(bytes(32), SHARED, "sha256").digest()
    assert derived(SHARED, b"p") == hmac.new(extracted, b"p\x01", "sha256").digest()
