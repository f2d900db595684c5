"""The likeness of images: the mean squared error and the structural similarity of pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from sim.evidence import Likeness
from sim.evidence.images import LEAST_MSE
from sim.types import ImageSchema

WINDOW = 7  # pixels of a side, as in scikit-image
GRAY = 0.5

Images = NDArray[np.float64]  # (n, n_features), pixels from 0 to 1


def mse(one: Images, other: Images) -> NDArray[np.float64]:
    """The mean squared error of each pair of images, (n,)."""
    return np.asarray(np.square(one - other).mean(axis=1))


def ssim(one: Images, other: Images, schema: ImageSchema) -> NDArray[np.float64]:
    """The structural similarity of each pair of images, (n,), after Wang et al. (2004).

    It is the mean over planes and over windows of 7 x 7 pixels that lie inside the image, with
    sample covariances; windows of smaller images have the largest odd side that fits.
    """
    form = (-1, schema.channels, schema.height, schema.width)
    x = one.reshape(form)
    y = other.reshape(form)
    side = min(WINDOW, schema.height, schema.width)
    side -= 1 - side % 2
    n = side * side
    unbiased = n / max(1, n - 1)
    edge = side // 2

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found = uniform_filter(values, size=(1, 1, side, side))
        inside = slice(edge, schema.height - edge), slice(edge, schema.width - edge)
        return np.asarray(found[:, :, *inside])

    mean_x = mean(x)
    mean_y = mean(y)
    variance_x = unbiased * (mean(x * x) - mean_x**2)
    variance_y = unbiased * (mean(y * y) - mean_y**2)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    few = 0.01**2
    more = 0.03**2
    above = (2 * mean_x * mean_y + few) * (2 * covariance + more)
    below = (mean_x**2 + mean_y**2 + few) * (variance_x + variance_y + more)
    return np.asarray((above / below).mean(axis=(1, 2, 3)))


def mean_colors(images: Images, schema: ImageSchema) -> Images:
    """Each image with the mean of a plane in place of its pixels."""
    n_pixels = schema.height * schema.width
    means = images.reshape(len(images), schema.channels, n_pixels).mean(axis=2)
    return np.repeat(means, n_pixels, axis=1)


def displayable(guesses: NDArray[np.floating]) -> Images:
    """The nearest images to ``guesses`` (n, n_features); pixels that are no number are gray."""
    return np.asarray(np.clip(np.nan_to_num(guesses.astype(np.float64), nan=GRAY), 0, 1))


def likeness(one: Images, other: Images, schema: ImageSchema) -> Likeness:
    """The scores of each pair of images, as evidence states them."""
    errors = np.maximum(LEAST_MSE, mse(one, other)).round(9)
    return Likeness(mse=errors.tolist(), ssim=ssim(one, other, schema).round(6).tolist())
