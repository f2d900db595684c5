"""Masks, held to the vectors of the standard, and the ring that they are added up in."""

import numpy as np
import pytest

from sim.federation.protocols.secagg.masks import from_ring, mask, to_ring
from tests.sim.federation.protocols.secagg.uniformity import suspicious

RNG = np.random.default_rng(4)
# RFC 8439, appendix A.1, test vectors 1 and 2: the blocks 0 and 1 of the key and nonce of zeros
BLOCKS = bytes.fromhex(
    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
    "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
    "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
)


def test_a_mask_is_the_stream_of_the_standard() -> None:
    assert mask(bytes(32), 32).tobytes() == BLOCKS
    assert mask(bytes(32), 7).tobytes() == BLOCKS[:28]
    assert mask(bytes(32), 0).shape == (0,)


def test_a_mask_cannot_be_written_to_by_one_end_and_read_by_the_other() -> None:
    one = mask(bytes(32), 7)
    with pytest.raises(ValueError, match="read-only"):
        one += one
    assert mask(bytes(32), 7).tobytes() == BLOCKS[:28]


def test_masks_of_different_keys_are_unrelated() -> None:
    masks = [mask(RNG.bytes(32), 20_000) for _ in range(6)]
    masks += [mask(key.to_bytes(32, "big"), 20_000) for key in range(3)]
    assert not suspicious(masks, [])


@pytest.mark.parametrize("n", [1, 2, 12])
def test_the_ring_gives_back_sums_that_fit(n: int) -> None:
    most = (2**31 - 1) // n
    rows = RNG.integers(-most, most + 1, size=(n, 1000))
    rows[:, 0] = -most
    rows[:, 1] = most
    total = np.zeros(1000, np.uint32)
    for row in rows:
        total += to_ring(row)
    np.testing.assert_array_equal(from_ring(total), rows.sum(axis=0))


def test_masks_that_are_added_and_subtracted_leave_nothing() -> None:
    steps = RNG.integers(-(2**20), 2**20, size=500)
    masks = [mask(RNG.bytes(32), 500) for _ in range(5)]
    total = to_ring(steps)
    for one in masks:
        total = total + one
    for one in reversed(masks):
        total = total - one
    np.testing.assert_array_equal(from_ring(total), steps)
