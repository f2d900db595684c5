"""Quantized updates: unbiased, in range, exact in float32, and never beyond the ring."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregators.secagg.quantization import HALF, MANTISSA, Quantization
from sim.errors import InputError, RefusedError
from sim.limits import HOSPITALS

CLIPS = st.floats(1e-6, 1e6)
BITS = st.integers(2, MANTISSA)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(CLIPS, BITS)
def test_the_step_is_the_smallest_power_of_two_with_which_the_bits_reach_the_clip(
    clip: float, bits: int
) -> None:
    one = Quantization(clip, bits)
    assert math.frexp(one.step)[0] == 0.5
    half = 2 ** (bits - 1)
    assert half * one.step >= clip > half * one.step / 2
    assert one.levels <= half


@given(CLIPS, BITS, st.lists(FINITE, min_size=1, max_size=20), st.integers(0, 99))
def test_each_coordinate_is_off_by_less_than_a_step_of_its_clipped_value_and_is_in_range(
    clip: float, bits: int, values: list[float], seed: int
) -> None:
    one = Quantization(clip, bits)
    update = np.array(values, np.float32)
    found, n_clipped = one.quantize(update, rng(seed))
    assert found.dtype == np.int64
    assert np.abs(found).max() <= one.levels
    clipped = np.clip(update.astype(np.float64), -clip, clip)
    assert (np.abs(found * one.step - clipped) < one.step).all()
    assert n_clipped == sum(abs(float(np.float32(value))) > clip for value in values)


@given(CLIPS, BITS, st.integers(0, 99))
def test_float32_holds_every_quantized_value_exactly(clip: float, bits: int, seed: int) -> None:
    one = Quantization(clip, bits)
    whole = rng(seed).integers(-one.levels, one.levels, 200, endpoint=True)
    whole[:2] = one.levels, -one.levels
    exact = one.exact(whole)
    assert exact.dtype == np.float32
    np.testing.assert_array_equal(exact.astype(np.float64) / one.step, whole)
    fits = np.abs(exact.astype(np.float64)) <= clip
    again, n_clipped = one.quantize(exact, rng(seed + 1))
    np.testing.assert_array_equal(again[fits], whole[fits])
    assert n_clipped == np.count_nonzero(~fits)


def test_the_mean_of_many_roundings_is_the_value_and_their_spread_is_as_stated() -> None:
    one = Quantization(clip=1.0, bits=3)  # a step of 1/4
    n = 40_000
    for value in (-0.9, -0.3, 0.0, 0.05, 0.125, 0.6, 1.0):
        update = np.full(n, value, np.float32)
        found = one.quantize(update, rng())[0] * one.step
        exact = float(np.float32(value))
        place = (exact / one.step) % 1
        spread = one.step * math.sqrt(place * (1 - place))
        assert abs(found.mean() - exact) <= 4 * spread / math.sqrt(n) + 1e-12
        assert found.std() == pytest.approx(spread, rel=0.02, abs=1e-12)
        assert spread <= one.error(1)


def test_the_error_of_a_mean_is_as_stated() -> None:
    one = Quantization(clip=1.0, bits=6)
    updates = rng().uniform(-1, 1, (12, 20_000)).astype(np.float32)
    total = sum(one.quantize(update, rng(i))[0] for i, update in enumerate(updates))
    off = one.value(np.asarray(total), 12) - updates.mean(axis=0, dtype=np.float64)
    assert abs(off.mean()) < 4 * one.error(12) / math.sqrt(20_000)
    assert off.std() == pytest.approx(math.sqrt(2 / 3) * one.error(12), rel=0.02)


@given(CLIPS, BITS)
def test_the_largest_sum_fits_the_ring_and_that_of_one_more_hospital_may_not(
    clip: float, bits: int
) -> None:
    one = Quantization(clip, bits)
    most = one.most_hospitals
    assert one.refusal(most) is None
    assert most * one.levels < HALF
    assert (most + 1) * one.levels >= HALF
    assert "overflows the ring of 32 bits" in str(one.refusal(most + 1))


def test_a_sum_in_the_ring_is_the_sum() -> None:
    one = Quantization(clip=1.0, bits=24)
    n = one.most_hospitals
    whole = np.full((n, 2), one.levels)
    whole[:, 1] *= -1
    in_ring = whole.astype(np.uint32).sum(axis=0, dtype=np.uint32)
    np.testing.assert_array_equal(in_ring.astype(np.int32), whole.sum(axis=0))
    np.testing.assert_array_equal(one.value(whole.sum(axis=0), n), [1.0, -1.0])


def test_the_default_holds_the_sum_of_a_thousand_hospitals() -> None:
    one = Quantization()
    assert (one.step, one.levels) == (2**-20, 2**21)
    assert one.most_hospitals == 1023
    assert Quantization(bits=18).most_hospitals > HOSPITALS


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(RefusedError, match="not finite"):
        Quantization().quantize(np.array([0.0, bad], np.float32), rng())


@pytest.mark.parametrize(
    ("key", "value"), [("clip", 0.0), ("clip", math.inf), ("clip", "8"), ("bits", 1), ("bits", 25)]
)
def test_wrong_parameters_are_refused(key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{key}="):
        Quantization(**{key: value})  # type: ignore[arg-type]
