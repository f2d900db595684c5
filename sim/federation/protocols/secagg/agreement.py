"""Key agreement (X25519, RFC 7748), derived keys (HKDF, RFC 5869) and sealed texts (RFC 8439).

Both ends of a pair work out the same secret. Where both are in this process, the second end finds
it in a cache: the result is a function of the two private keys, and no message depends on the
cache.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY: Final = 32  # bytes of a key, private or public
TAG: Final = 16  # bytes by which a sealed text is longer
PAIRS: Final = 8192  # secrets of pairs in the cache
PROBE: Final = bytes(31) + b"\x40"  # any private key shows whether a public one is degenerate


@lru_cache(maxsize=PAIRS)
def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


@lru_cache(maxsize=PAIRS)
def is_degenerate(key: bytes) -> bool:
    """Whether a public key gives the same secret to everybody: then no secret is agreed on."""
    try:
        X25519PrivateKey.from_private_bytes(PROBE).exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        return True
    return False


def agreed(private: bytes, other: bytes) -> bytes:
    """The secret that the holder of a private key shares with that of the ``other`` public key.

    Raises ``ValueError`` for a degenerate public key.
    """
    return _exchanged(_Exchange(frozenset((public(private), other)), private, other))


@dataclass(frozen=True)
class _Exchange:
    """An exchange of keys, which is the same seen from both ends: the pair of public keys."""

    pair: frozenset[bytes]
    private: bytes = field(compare=False, repr=False)
    other: bytes = field(compare=False)


@lru_cache(maxsize=PAIRS)
def _exchanged(exchange: _Exchange) -> bytes:
    private = X25519PrivateKey.from_private_bytes(exchange.private)
    return private.exchange(X25519PublicKey.from_public_bytes(exchange.other))


@lru_cache(maxsize=PAIRS)
def derived(secret: bytes, purpose: bytes) -> bytes:
    """A key of 32 bytes for one purpose, by HKDF with SHA-256 and no salt."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


def seal(key: bytes, sender: int, text: bytes, about: bytes) -> bytes:
    """The text, readable and changeable with the key alone.

    ``sender``: a pair's two ends share the key, and each seals one text with it. ``about``: what
    the text is bound to and which is not sent.
    """
    return ChaCha20Poly1305(key).encrypt(sender.to_bytes(12, "big"), text, about)


def unseal(key: bytes, sender: int, sealed: bytes, about: bytes) -> bytes | None:
    """The text that was sealed; None where it was not sealed with these."""
    try:
        return ChaCha20Poly1305(key).decrypt(sender.to_bytes(12, "big"), sealed, about)
    except InvalidTag:
        return None
