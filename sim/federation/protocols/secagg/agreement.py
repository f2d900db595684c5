"""Key agreement (X25519, RFC 7748), derived keys (HKDF, RFC 5869) and sealed texts (RFC 8439).

Both ends of a pair work out the same secret. Where both are in this process, the second end finds
it in a table: the result is a function of the two private keys, and no message depends on the
table.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sim.federation.protocols.secagg.bounded import Bounded

KEY: Final = 32  # bytes of a key, private or public
TAG: Final = 16  # bytes by which a sealed text is longer
PAIRS: Final = 1 << 17  # secrets of pairs in the table: 1000 hospitals of 100 neighbors have 10^5
KEYS: Final = 1 << 13  # keys as objects: 1000 hospitals have 2000
FIELD: Final = 2**255 - 19  # the prime of the curve
# points of a small order, by their coordinate: with these everybody gets the secret 0
DEGENERATE: Final = {
    0,
    1,
    FIELD - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
}


@lru_cache(maxsize=KEYS)
def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return _loaded(private).public_key().public_bytes_raw()


@lru_cache(maxsize=4096)
def is_degenerate(key: bytes) -> bool:
    """Whether a public key gives the same secret to everybody: then no secret is agreed on."""
    # the highest bit does not count
    return (int.from_bytes(key, "little") & (2**255 - 1)) % FIELD in DEGENERATE


def agreed(private: bytes, other: bytes, purpose: bytes) -> bytes:
    """The key of 32 bytes that two share for one purpose: by X25519, and HKDF without salt.

    ``private``: the key of one end. ``other``: the public key of the other end. Raises
    ``ValueError`` for a degenerate public key.
    """
    own = public(private)
    exchange = (own, other, purpose) if own < other else (other, own, purpose)
    found = _agreed.get(exchange)
    return _agreed.add(exchange, _exchanged(private, other, purpose)) if found is None else found


# by both public keys, the lower one first, and the purpose: the same from both ends
_agreed = Bounded[tuple[bytes, bytes, bytes], bytes](PAIRS)


def _exchanged(private: bytes, other: bytes, purpose: bytes) -> bytes:
    secret = _loaded(private).exchange(_stated(other))
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


@lru_cache(maxsize=KEYS)
def _loaded(private: bytes) -> X25519PrivateKey:
    """The private key as an object; making it takes as long as an exchange."""
    return X25519PrivateKey.from_private_bytes(private)


_stated = lru_cache(maxsize=KEYS)(X25519PublicKey.from_public_bytes)


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
