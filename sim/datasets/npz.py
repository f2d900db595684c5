"""A consortium's own images: arrays of numpy (``.npz``), one file or a file per hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim import limits
from sim.datasets import own_arrays, own_columns, own_files, own_hospitals
from sim.datasets.own import Own
from sim.datasets.own_arrays import Array
from sim.datasets.table import split
from sim.errors import InputError
from sim.seeds import stream
from sim.types import Consortium, Hospital, ImageSchema, Records

KINDS = ("npz",)
SOURCE = "a consortium's own images, not public"
RANGES = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}


@dataclass(frozen=True)
class OwnImages(Own):
    """Images of a consortium's own files; label 1 is the condition.

    Each file holds an array ``images`` (n, height, width) or (n, height, width, channels) of bytes,
    of whole numbers of 16 bits, or of numbers from 0 to 1; an array ``label`` (n,), and where
    hospitals are not the files an array ``hospital`` (n,). The other parameters are those of
    ``Own``. The data are not public.
    """

    column: ClassVar[str] = "array"

    images: str = "images"
    label: str | None = "labels"

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``npz7`` for 7 hospitals."""
        sources = own_files.read(self.path, KINDS)
        found = [self._arrays(own_arrays.arrays(one), one.name) for one in sources.files]
        if self.hospital is None:
            own_files.check_names(sources)
        names = [name for name in (self.images, self.label, self.hospital) if name is not None]
        whole = {name: [one[name] for one in found] for name in names}
        forms = {(one.shape[1:], one.dtype.name) for one in whole[self.images]}
        if len(forms) > 1:
            shown = f"{len(forms)} forms in {len(found)} files"
            raise InputError("images", shown, "expected images of one size and type")
        images = np.concatenate(whole[self.images])
        schema = _schema(images)
        labels = self.classes.of(_texts(str(self.label), whole))
        column = None if self.hospital is None else _texts(self.hospital, whole)
        n = [len(one) for one in whole[self.images]]
        files = np.repeat(np.array([one.name for one in sources.files], dtype=object), n)
        hospitals = self.sharing.hospitals(None if sources.alone else files, column)
        parts = self.sharing.parts(hospitals, labels, seed)
        records = Records(_features(images, schema), labels)
        ordered = sorted(parts.items())
        made = tuple(self._hospital(name, rows, records, seed) for name, rows in ordered)
        name = f"npz{len(made)}"
        own = Consortium(name, made, schema, False, sources.digest, SOURCE, "own")
        return replace(own, notes=tuple(own_hospitals.notes(parts, labels)))

    def _arrays(self, arrays: Mapping[str, Array], file: str) -> Mapping[str, Array]:
        """The arrays that are used, all of one length."""
        for key in ("images", "label", "hospital"):
            name = getattr(self, key)
            if name is not None and name not in arrays:
                raise own_columns.unknown(key, name, list(arrays))
        images = arrays[self.images]
        if images.ndim not in (3, 4) or images.dtype.kind not in "uf" or not images.size:
            shown = f"{images.dtype} of {images.ndim} dimensions in {file}"
            expected = "expected (n, height, width) or (n, height, width, channels) of numbers"
            raise InputError("images", shown, expected)
        if images.size > limits.CELLS:
            shown = f"{images.size:,} values in {file}"
            raise InputError("images", shown, f"expected at most {limits.CELLS:,}")
        for key in ("label", "hospital"):
            name = getattr(self, key)
            if name is not None and arrays[name].shape != images.shape[:1]:
                shown = f"shape {arrays[name].shape} in {file}"
                raise InputError(key, shown, f"expected ({len(images)},): one for each image")
        return arrays

    def _hospital(
        self, name: str, rows: NDArray[np.int64], records: Records, seed: int
    ) -> Hospital:
        draws = stream(seed, "split", name)
        train, test = split(rows, records.labels, self.test_fraction, draws)
        if not (len(train) and len(test)):
            shown = f"{len(test)} of {len(rows)} images of {name}"
            expected = "expected one that leaves images to train on and to test on"
            raise InputError("test_fraction", shown, expected)
        return Hospital(name, name, records.take(train), records.take(test))


def _schema(images: Array) -> ImageSchema:
    channels = images.shape[3] if images.ndim == 4 else 1
    low, high = RANGES.get(images.dtype.name, (0.0, 1.0))
    if images.dtype.kind == "f":
        pixels = images.astype(np.float64)
        outside = int((~((pixels >= 0) & (pixels <= 1))).sum())
        if outside:
            shown = f"{outside:,} values are not from 0 to 1, or no numbers"
            raise InputError("images", shown, "expected numbers from 0 to 1, or whole ones")
    elif images.dtype.name not in RANGES:
        raise InputError("images", images.dtype.name, "expected uint8, uint16 or floats")
    return ImageSchema(images.shape[1], images.shape[2], channels, low, high)


def _features(images: Array, schema: ImageSchema) -> NDArray[np.float32]:
    """The feature columns (n, n_features): planes one after the other, pixels from 0 to 1."""
    planes = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
    pixels = planes.reshape(len(images), -1).astype(np.float32)
    return pixels / np.float32(schema.high)


def _texts(name: str, whole: Mapping[str, Sequence[Array]]) -> pl.Series:
    """An array of all files as texts; null is an empty text, or no number."""
    texts = [text for one in whole[name] for text in _as_texts(one)]
    return pl.Series(name, texts, dtype=pl.String)


def _as_texts(values: Array) -> Sequence[str | None]:
    shown = [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
        for one in values.tolist()
    ]
    return [None if text == "nan" else text.strip() or None for text in shown]
