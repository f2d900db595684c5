"""Whole numbers of the discrete Gaussian distribution, without error (Canonne et al. 2020).

Whether an event of probability exp(-x) happens follows from 53 random bits where they suffice, and
where they do not, from 256 and exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 53
MORE: Final = 203  # random bits where the first do not suffice
MARGIN: Final = 2.0**-40  # far above the rounding of an exponential in float64
DIGITS: Final = 100
LARGEST: Final = 2.0**30  # deviation

Whole = NDArray[np.int64]
Exact = Callable[[int], Fraction]  # of a place, the exact exponent


def gaussian(deviation: float, n: int, rng: np.random.Generator) -> Whole:
    """Draws of the discrete Gaussian around 0, (n,).

    P(x) is proportional to exp(-x^2 / (2 deviation^2)), for all whole x. Algorithm 3 of Canonne,
    Kamath and Steinke 2020; ``deviation``: from 0 (draws of 0) to ``LARGEST``.
    """
    found = np.zeros(n, dtype=np.int64)
    if deviation == 0:
        return found
    square = Fraction(deviation) ** 2
    scale = math.floor(deviation) + 1
    waiting = np.arange(n)
    while len(waiting):
        drawn = laplace(scale, len(waiting), rng)
        sizes = np.abs(drawn)
        exponents = (sizes - deviation**2 / scale) ** 2 / (2 * deviation**2)
        accepted = _happens(exponents, partial(_of_size, sizes, square, scale), rng)
        found[waiting[accepted]] = drawn[accepted]
        waiting = waiting[~accepted]
    return found


def laplace(scale: int, n: int, rng: np.random.Generator) -> Whole:
    """Draws of the discrete Laplace distribution, (n,): P(x) as exp(-|x| / scale)."""
    found = np.zeros(n, dtype=np.int64)
    waiting = np.arange(n)
    while len(waiting):
        low = rng.integers(0, scale, len(waiting))
        usable = _happens(low / scale, partial(_of_part, low, scale), rng)
        low = low[usable]
        size = low + scale * _geometric(len(low), rng)
        negative = rng.integers(0, 2, len(low)) == 1
        one_zero = ~(negative & (size == 0))  # 0 has one sign
        at = waiting[usable][one_zero]
        found[at] = np.where(negative, -size, size)[one_zero]
        left = np.ones(len(waiting), dtype=np.bool_)
        left[np.flatnonzero(usable)[one_zero]] = False
        waiting = waiting[left]
    return found


def _of_size(sizes: Whole, square: Fraction, scale: int, at: int) -> Fraction:
    """The exponent by which a Laplace draw of a size is accepted."""
    return (int(sizes[at]) - square / scale) ** 2 / (2 * square)


def _of_part(low: Whole, scale: int, at: int) -> Fraction:
    return Fraction(int(low[at]), scale)


def _one(_: int) -> Fraction:
    return Fraction(1)


def _geometric(n: int, rng: np.random.Generator) -> Whole:
    """How often in a row an event of probability exp(-1) happens, (n,)."""
    found = np.zeros(n, dtype=np.int64)
    going = np.arange(n)
    while len(going):
        again = _happens(np.ones(len(going)), _one, rng)
        going = going[again]
        found[going] += 1
    return found


def _happens(
    exponents: NDArray[np.float64], exact: Exact, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Whether events of probability exp(-exponent) happen, (n,)."""
    drawn = rng.integers(0, 1 << BITS, len(exponents))
    place = drawn * 2.0**-BITS  # the random number is in [place, place + 2**-BITS)
    chance = np.exp(-exponents)
    happens = np.asarray(place < chance, dtype=np.bool_)
    for at in np.flatnonzero(np.abs(place - chance) < MARGIN).tolist():
        bits = (int(drawn[at]) << MORE) + int.from_bytes(rng.bytes(32)) % (1 << MORE)
        happens[at] = _is_below(bits, exact(at))
    return happens


def _is_below(bits: int, exponent: Fraction) -> bool:
    """Whether a random number of ``BITS + MORE`` bits is below exp(-exponent)."""
    with localcontext(prec=DIGITS):
        chance = (-Decimal(exponent.numerator) / Decimal(exponent.denominator)).exp()
        return Decimal(bits) < chance * Decimal(2) ** (BITS + MORE)
