"""Signed statements, held to the vectors of the standard."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sim.federation.protocols.secagg import signing
from sim.seeds import key

ONE, OTHER = key(0, "hospital", "a"), key(0, "hospital", "b")


def test_verification_follows_the_standard() -> None:
    """RFC 8032, section 7.1, test 2."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert signing.is_signed(public, signature, b"\x72")
    assert not signing.is_signed(public, signature, b"\x73")


def test_a_signature_is_of_its_hospital_and_its_statement_alone() -> None:
    text = signing.statement("keys", "0" * 64, 3, "a", b"\x01")
    signature = signing.signed(ONE, text)
    assert len(signature) == signing.SIGNATURE
    assert signing.is_signed(signing.verification_key(ONE), signature, text)
    assert not signing.is_signed(signing.verification_key(OTHER), signature, text)
    assert not signing.is_signed(signing.verification_key(ONE), signing.signed(OTHER, text), text)
    assert not signing.is_signed(signing.verification_key(ONE), signature[:-1], text)
    assert not signing.is_signed(signing.verification_key(ONE), b"", text)
    assert not signing.is_signed(b"", signature, text)


def test_what_this_process_has_signed_itself_is_valid_for_everybody() -> None:
    """Nobody verifies it here a second time, so that the verdict must be the standard's."""
    for number in range(5):
        text = signing.statement("keys", "0" * 64, number, "a")
        signature = signing.signed(ONE, text)
        public = signing.verification_key(ONE)
        assert signing.is_valid(public, signature, text)
        changed = bytes([signature[0] ^ 1]) + signature[1:]
        for given in ((public, changed, text), (public, signature, text + b" ")):
            assert not signing.is_signed(*given)
            assert not signing.is_valid(*given)


@pytest.mark.parametrize(
    "other",
    [
        ("agreement", "0" * 64, 3, "a", b"\x01"),
        ("keys", "1" + "0" * 63, 3, "a", b"\x01"),
        ("keys", "0" * 64, 4, "a", b"\x01"),
        ("keys", "0" * 64, 3, "b", b"\x01"),
        ("keys", "0" * 64, 3, "a", b"\x02"),
        ("keys", "0" * 64, 3, "a"),
        ("keys", "0" * 64, 3, 'a", "01'),
        ("keys", "0" * 64, 3, "a01"),
    ],
)
def test_different_statements_are_different_bytes(other: tuple[object, ...]) -> None:
    assert signing.statement("keys", "0" * 64, 3, "a", b"\x01") != signing.statement(*other)  # type: ignore[arg-type]


def test_the_verification_key_is_of_256_bits_of_the_hospitals_key() -> None:
    private = Ed25519PrivateKey.from_private_bytes(ONE.secret("enrolment"))
    assert signing.verification_key(ONE) == private.public_key().public_bytes_raw()
    assert len({key(seed, "hospital", "a").secret("enrolment") for seed in range(50)}) == 50
    assert ONE.secret("enrolment") != OTHER.secret("enrolment")
    assert ONE.secret("a", 1) != ONE.secret("a", "1")
    assert ONE.secret("a", "b") != ONE.secret("ab")
