"""Statements that hospitals sign with the key of their enrolment (Ed25519, RFC 8032)."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sim.federation.protocols.secagg.bounded import Bounded
from sim.seeds import Key

SIGNATURE: Final = 64  # bytes
PUBLIC: Final = 32  # bytes of the key by which others verify


@lru_cache(maxsize=4096)
def statement(what: str, plan: str, number: int, *parts: str | bytes) -> bytes:
    """A statement on one round of the plan with the digest ``plan``, as bytes to be signed.

    Two different statements are never the same bytes.
    """
    texts = [part if isinstance(part, str) else part.hex() for part in parts]
    return json.dumps(["wardround secagg", what, plan, number, *texts]).encode()


@lru_cache(maxsize=4096)
def verification_key(key: Key) -> bytes:
    """The public half of a hospital's enrolment, by which others verify its statements."""
    return _private(key).public_key().public_bytes_raw()


def signed(key: Key, text: bytes) -> bytes:
    """The signature of a hospital under a statement."""
    signature = _private(key).sign(text)
    _checked.add((verification_key(key), signature, text), True)  # no other verdict is possible
    return signature


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether the holder of a verification key has signed a statement."""
    found = _checked.get((public, signature, text))
    if found is None:
        return _checked.add((public, signature, text), is_valid(public, signature, text))
    return found


# of signatures under statements by verification keys: what this process has made or verified
_checked = Bounded[tuple[bytes, bytes, bytes], bool](8192)


def is_valid(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether a signature verifies, worked out without any table."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=4096)
def _private(key: Key) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.lasting.secret("enrolment"))
