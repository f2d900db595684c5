"""Images: tiles of a stained section of tissue, shared out to made-up sites that stain unlike."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sim.datasets.sharing_out import hospital_names
from sim.datasets.table import split
from sim.errors import number
from sim.seeds import stream
from sim.types import Consortium, Hospital, ImageSchema, Records

SIDE = 32  # pixels
FULL = 255.0  # the largest value of a pixel
SOURCE = (
    "colonic glands, FHL2 stained with DAB and hematoxylin (Center for Microscopy and Molecular"
    " Imaging), as shipped with scikit-image; no known copyright restrictions"
)
SCHEMA = ImageSchema(SIDE, SIDE, channels=3, low=0.0, high=FULL)
# Red, green and blue that a unit of hematoxylin, eosin and DAB absorbs (Ruifrok and Johnston 2001)
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
DAB = 2


@dataclass(frozen=True)
class Immunohistochemistry:
    """More or less of a brown stain from 239 tiles of 32 x 32 pixels of one section of tissue.

    Label 1: the tile has more DAB than half of all tiles. The sites are made up: each has every
    second tile of every second row, and stains in its own way: the amounts of hematoxylin and of
    DAB are multiplied by log-normal factors of log standard deviation ``stain_shift``. Labels are
    those before.
    """

    stain_shift: float = 0.15
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        number(0, 1, stain_shift=self.stain_shift)
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``ihc4``."""
        tiles = _source()
        hospitals = tuple(
            self._hospital(name, np.flatnonzero(tiles.site == site), tiles, seed)
            for site, name in enumerate(hospital_names(4))
        )
        return Consortium("ihc4", hospitals, SCHEMA, True, tiles.digest, SOURCE, "published")

    def _hospital(self, name: str, rows: NDArray[np.int64], tiles: Tiles, seed: int) -> Hospital:
        draws = stream(seed, "stain", name)
        factors = np.exp(self.stain_shift * draws.normal(size=3))
        factors[1] = 1.0  # of eosin, with which nothing is stained
        features = columns(stained(tiles.images[rows], factors))
        train, test = split(
            np.arange(len(rows)),
            tiles.labels[rows],
            self.test_fraction,
            stream(seed, "split", name),
        )
        records = Records(features, tiles.labels[rows])
        return Hospital(name, name, records.take(train), records.take(test))


@dataclass(frozen=True, eq=False)
class Tiles:
    """All tiles: ``images`` (n, side, side, 3) of bytes, ``labels`` (n,), ``site`` (n,) 0 to 3."""

    images: NDArray[np.uint8]
    labels: NDArray[np.float32]
    site: NDArray[np.int64]
    digest: str


def amounts(images: NDArray[np.floating | np.uint8]) -> NDArray[np.float64]:
    """The hematoxylin, eosin and DAB in each pixel, (..., 3) of (..., 3), by Beer's law."""
    density = -np.log10(np.maximum(images, 1) / FULL)
    return np.asarray(density @ np.linalg.inv(STAINS))


def stained(
    images: NDArray[np.floating | np.uint8], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The images with the amount of each stain multiplied by its factor, in whole numbers."""
    density = (amounts(images) * factors) @ STAINS
    return np.asarray(np.clip(np.rint(FULL * 10**-density), 0, FULL))


def columns(images: NDArray[np.float64]) -> NDArray[np.float32]:
    """The feature columns (n, n_features): planes one after the other, pixels from 0 to 1."""
    return (np.moveaxis(images, 3, 1).reshape(len(images), -1) / FULL).astype(np.float32)


@cache
def _source() -> Tiles:
    raw = (files(__package__) / "data" / "ihc_tiles.npz").read_bytes()
    with np.load(io.BytesIO(raw)) as arrays:
        images, row, column = (arrays[name] for name in ("images", "row", "column"))
    brown = amounts(images)[..., DAB].mean(axis=(1, 2))
    labels = (brown > np.median(brown)).astype(np.float32)
    site = 2 * (row.astype(np.int64) % 2) + column % 2
    return Tiles(images, labels, site, sha256(raw).hexdigest())
