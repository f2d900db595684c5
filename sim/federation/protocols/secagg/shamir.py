"""Secrets shared out so that any ``threshold`` shares give them back (Shamir, 1979).

Secrets and shares are whole numbers modulo the prime ``PRIME``, which is larger than any 32 bytes.
A share is the value of a polynomial at a point from 1 on; the secret is its value at 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from operator import mul
from typing import Final

PRIME: Final = 2**256 + 297  # the least prime above 2^256
BYTES: Final = 33  # of a share
DRAWN: Final = 48  # bytes that a coefficient is drawn from: within 2^-127 of uniform


def coefficients(seed: bytes, threshold: int) -> list[int]:
    """The random coefficients of a polynomial of degree ``threshold - 1``, drawn from a seed."""
    drawn = hashlib.shake_256(seed).digest(DRAWN * (threshold - 1))
    starts = range(0, len(drawn), DRAWN)
    return [int.from_bytes(drawn[at : at + DRAWN], "big") % PRIME for at in starts]


def shares(secret: bytes, drawn: Sequence[int], points: tuple[int, ...]) -> list[bytes]:
    """The share of a secret of 32 bytes at each point. ``drawn``: the random coefficients."""
    falling = [*reversed(drawn), int.from_bytes(secret, "big")]
    found = list[bytes]()
    for point in points:
        value = 0
        for coefficient in falling:
            value = value * point + coefficient  # points are small: quicker than modulo each time
        found.append((value % PRIME).to_bytes(BYTES, "big"))
    return found


def combined(points: tuple[int, ...], given: Sequence[bytes]) -> bytes | None:
    """The secret of 32 bytes that shares at different points give; None where they give none.

    It is the shared one where there are as many shares as the threshold, all of one polynomial.
    """
    values = [int.from_bytes(share, "big") for share in given]
    value = sum(map(mul, values, _weights(points))) % PRIME
    return value.to_bytes(32, "big") if value < 2**256 else None


@lru_cache(maxsize=2048)
def _weights(points: tuple[int, ...]) -> list[int]:
    """The weight of each share in the secret: Lagrange's, at 0."""
    all_points = prod(points)
    found = list[int]()
    for point in points:
        below = prod([other - point for other in points if other != point])
        found.append(all_points // point * pow(below, -1, PRIME) % PRIME)
    return found
