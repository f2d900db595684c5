"""Shares of a secret, against plain polynomials: enough give it back, fewer fit any secret."""

from itertools import combinations

import numpy as np
import pytest

from sim.federation.protocols.secagg.shamir import BYTES, PRIME, coefficients, combined, shares

RNG = np.random.default_rng(5)
SECRETS = [bytes(32), b"\xff" * 32, RNG.bytes(32), RNG.bytes(32)]


def is_prime(n: int) -> bool:
    """Miller and Rabin's test with thirty bases."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 32):
        found = pow(base, odd, n)
        if found in (1, n - 1):
            continue
        for _ in range(twos - 1):
            found = found * found % n
            if found == n - 1:
                break
        else:
            return False
    return True


def value_at(polynomial: list[int], point: int) -> int:
    total = 0
    for power, coefficient in enumerate(polynomial):
        total += coefficient * point**power
    return total % PRIME


def solved(points: list[int], values: list[int]) -> list[int]:
    """The polynomial through these points, by elimination modulo the prime."""
    rows = [
        [pow(x, i, PRIME) for i in range(len(points))] + [y]
        for x, y in zip(points, values, strict=True)
    ]
    n = len(rows)
    for i in range(n):
        pivot = next(row for row in range(i, n) if rows[row][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        inverse = pow(rows[i][i], PRIME - 2, PRIME)
        rows[i] = [entry * inverse % PRIME for entry in rows[i]]
        for j in range(n):
            if j != i:
                factor = rows[j][i]
                rows[j] = [(a - factor * b) % PRIME for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


def test_the_field_is_of_the_least_prime_that_holds_32_bytes() -> None:
    assert PRIME > 2**256
    assert is_prime(PRIME)
    assert not any(is_prime(n) for n in range(2**256 + 1, PRIME))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(("threshold", "n"), [(2, 2), (2, 3), (3, 4), (5, 7), (8, 12)])
def test_shares_are_values_of_the_polynomial(secret: bytes, threshold: int, n: int) -> None:
    drawn = coefficients(secret + b"seed", threshold)
    points = tuple(range(1, n + 1))
    polynomial = [int.from_bytes(secret, "big"), *drawn]
    expected = [value_at(polynomial, point).to_bytes(BYTES, "big") for point in points]
    assert len(drawn) == threshold - 1
    assert shares(secret, drawn, points) == expected


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(("threshold", "n"), [(2, 3), (3, 4), (4, 6)])
def test_any_threshold_of_shares_gives_the_secret_and_so_do_more(
    secret: bytes, threshold: int, n: int
) -> None:
    points = tuple(range(1, n + 1))
    made = dict(zip(points, shares(secret, coefficients(b"s", threshold), points), strict=True))
    for size in range(threshold, n + 1):
        for chosen in combinations(points, size):
            assert combined(chosen, [made[point] for point in chosen]) == secret
    some = points[:threshold][::-1]
    assert solved(list(some), [int.from_bytes(made[one], "big") for one in some])[
        0
    ] == int.from_bytes(secret, "big")


def test_one_share_less_fits_every_secret_equally() -> None:
    """For each secret there is exactly one polynomial through threshold - 1 shares."""
    threshold, points = 5, (2, 3, 7, 11)
    made = shares(SECRETS[2], coefficients(b"s", threshold), points)
    values = [int.from_bytes(share, "big") for share in made]
    for other in [*SECRETS, RNG.bytes(32)]:
        fitting = solved([0, *points], [int.from_bytes(other, "big"), *values])
        assert shares(other, fitting[1:], points) == made


def test_too_few_shares_give_something_else() -> None:
    points = tuple(range(1, 13))
    made = shares(SECRETS[2], coefficients(b"s", 8), points)
    assert combined(points[:7], made[:7]) != SECRETS[2]


def test_shares_of_different_secrets_are_drawn_apart() -> None:
    assert coefficients(b"a", 4) != coefficients(b"b", 4)
    assert len(set(coefficients(b"a", 100))) == 99
    assert all(0 <= one < PRIME for one in coefficients(b"a", 100))


def test_a_value_beyond_32_bytes_is_no_secret() -> None:
    assert combined((1,), [(2**256 + 3).to_bytes(BYTES, "big")]) is None
