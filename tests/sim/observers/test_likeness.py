"""Scores of images are those of their definitions and of scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from sim.evidence import is_recovered
from sim.observers.likeness import displayable, likeness, mean_colors, mse, ssim
from sim.seeds import stream
from sim.types import ImageSchema

FORMS = [(3, 32, 32), (1, 8, 9), (1, 5, 6)]


def drawn(schema: ImageSchema, n: int) -> np.ndarray:
    return stream(0, "images", schema.n_features).random((n, schema.n_features))


def schema_of(form: tuple[int, int, int]) -> ImageSchema:
    channels, height, width = form
    return ImageSchema(height, width, channels, 0.0, 255.0)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_structural_similarity_is_that_of_scikit_image(form: tuple[int, int, int]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    schema = schema_of(form)
    one, other = drawn(schema, 4), drawn(schema, 8)[4:]
    near = 0.7 * one + 0.3 * other
    window = min(7, *form[1:]) - 1 + min(7, *form[1:]) % 2
    for pair in ((one, other), (one, near), (near, other)):
        expected = [
            metrics.structural_similarity(
                *(image.reshape(form) for image in images),
                data_range=1.0,
                channel_axis=0,
                win_size=window,
            )
            for images in zip(*pair, strict=True)
        ]
        np.testing.assert_allclose(ssim(*pair, schema), expected, atol=1e-12)


@pytest.mark.parametrize("form", [*FORMS, (1, 2, 2), (1, 1, 3)], ids=str)
def test_structural_similarity_is_that_of_windows_one_by_one(form: tuple[int, int, int]) -> None:
    schema = schema_of(form)
    channels, height, width = form
    one, other = drawn(schema, 1), drawn(schema, 2)[1:]
    side = max(odd for odd in (1, 3, 5, 7) if odd <= min(height, width))
    found = []
    for plane in range(channels):
        for top in range(height - side + 1):
            for left in range(width - side + 1):
                at = (plane, slice(top, top + side), slice(left, left + side))
                x, y = (image.reshape(form)[at].ravel() for image in (one, other))
                moments = np.cov(x, y) if side > 1 else np.zeros((2, 2))
                luminance = (2 * x.mean() * y.mean() + 1e-4) / (
                    x.mean() ** 2 + y.mean() ** 2 + 1e-4
                )
                structure = (2 * moments[0, 1] + 9e-4) / (moments[0, 0] + moments[1, 1] + 9e-4)
                found.append(luminance * structure)
    assert ssim(one, other, schema)[0] == pytest.approx(np.mean(found), abs=1e-12)


def test_an_image_is_like_itself_and_no_error_is_below_what_is_stated() -> None:
    schema = schema_of((3, 32, 32))
    one = drawn(schema, 2)
    same = likeness(one, one, schema)
    assert same.ssim == [1.0, 1.0]
    assert same.psnr == pytest.approx([90.0, 90.0])
    assert likeness(one, one + 0.01, schema).psnr == pytest.approx([40.0, 40.0])


def test_the_mean_color_is_that_of_each_plane_and_errs_by_its_variance() -> None:
    schema = schema_of((3, 8, 8))
    one = drawn(schema, 2)
    flat = mean_colors(one, schema).reshape(2, 3, 64)
    assert np.ptp(flat, axis=2).max() == 0.0
    variances = one.reshape(2, 3, 64).var(axis=2).mean(axis=1)
    np.testing.assert_allclose(mse(flat.reshape(2, -1), one), variances)


def test_guesses_are_taken_as_the_nearest_image() -> None:
    guess = np.array([[-1.0, 0.25, 3.0, np.nan, np.inf]], dtype=np.float32)
    assert displayable(guess).tolist() == [[0.0, 0.25, 1.0, 0.5, 1.0]]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((4.9e-3, 0.81, 0.05), True),
        ((5.0e-3, 0.81, 0.05), False),
        ((4.9e-3, 0.80, 0.05), False),
        ((1.0e-3, 0.99, 3.17e-3), True),
        ((1.0e-3, 0.99, 3.16e-3), False),
    ],
)
def test_an_image_is_recovered_by_its_error_its_structure_and_its_gain_over_its_mean_color(
    scores: tuple[float, float, float], expected: bool
) -> None:
    assert is_recovered(*scores) == expected
