"""The scores of guessed images beside those of images that need no attack."""

from __future__ import annotations

import math
from typing import Final

from sim.evidence.outcomes import Part

MOST_MSE: Final = 5e-3
LEAST_SSIM: Final = 0.8
LEAST_GAIN: Final = 5.0  # dB above the image's mean color
LEAST_MSE: Final = 1e-9  # mean squared errors are stated to this, which is 90 dB


class Likeness(Part):
    """The likeness of other images to the attacked ones, image by image. Pixels lie from 0 to 1."""

    mse: list[float]
    """The mean squared error of each image."""
    ssim: list[float]
    """The structural similarity of each image."""

    @property
    def psnr(self) -> list[float]:
        """The peak signal-to-noise ratio of each image, in dB.

        >>> Likeness(mse=[0.01, 0.0001], ssim=[0.5, 0.9]).psnr
        [20.0, 40.0]
        """
        return [-10 * math.log10(one) for one in self.mse]


class ImageScores(Part):
    """The scores of the attacked images of a run, in one order.

    Where nothing was guessed, gray counts as the guess.
    """

    hospital: list[str]
    """The hospital of each image."""
    guess: Likeness
    """The scores of the nearest guess."""
    shuffled: Likeness
    """The scores of the nearest guess from an update whose values were shuffled, which carries
    nothing.
    """
    mean_color: Likeness
    """The scores of the image's own mean color."""
    random: Likeness
    """The scores of pixels drawn uniformly."""

    @property
    def gain(self) -> list[float]:
        """The gain in dB by which each image's guess is nearer than its mean color."""
        pairs = zip(self.guess.psnr, self.mean_color.psnr, strict=True)
        return [guess - mean_color for guess, mean_color in pairs]

    @property
    def is_recovered(self) -> list[bool]:
        """Whether each image is recovered."""
        rows = zip(self.guess.mse, self.guess.ssim, self.mean_color.mse, strict=True)
        return [is_recovered(*row) for row in rows]


def is_recovered(mse: float, ssim: float, mean_color_mse: float) -> bool:
    """Whether an image with these scores counts as recovered.

    It is recovered with a mean squared error below 5e-3, a structural similarity above 0.8 and a
    peak signal-to-noise ratio at least 5 dB above that of the image's mean color.

    >>> is_recovered(1e-3, 0.9, 1e-2), is_recovered(1e-3, 0.9, 2e-3)
    (True, False)
    """
    gain = 10 * math.log10(mean_color_mse / mse)
    return mse < MOST_MSE and ssim > LEAST_SSIM and gain >= LEAST_GAIN
