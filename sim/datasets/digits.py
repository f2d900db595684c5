"""Small images: the handwritten digits of scikit-learn, shared out evenly to made-up hospitals."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sim.datasets.table import deal, split
from sim.errors import InputError, number, whole
from sim.seeds import stream
from sim.types import Consortium, Hospital, ImageSchema, Records

SIDE = 8  # pixels
FULL = 16.0  # the value of a pixel that is all ink
SOURCE = (
    "UCI Optical Recognition of Handwritten Digits (test set), doi:10.24432/C50P49, CC BY 4.0,"
    " as shipped with scikit-learn"
)
SCHEMA = ImageSchema(SIDE, SIDE, channels=1, low=0.0, high=FULL)


@dataclass(frozen=True)
class Digits:
    """Odd or even from 8 x 8 pixels of 1797 handwritten digits: a stand-in for medical images.

    The data are those of Alpaydin and Kaynak (1998). A pixel ``pixel_ROW_COLUMN`` is 0 (paper) to
    16 (ink), and 0 to 1 in the feature columns. Hospitals are dealt both classes evenly, so they
    hardly differ.
    """

    n_hospitals: int = 8
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        whole(1, n_hospitals=self.n_hospitals)
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``digits8`` for 8 hospitals; label 1 is odd."""
        records, data_hash = _source()
        rows = np.arange(len(records))
        draws = stream(seed, "split", "digits")
        parts = deal(rows, records.labels, self.n_hospitals, draws)
        width = len(str(self.n_hospitals))
        hospitals = [
            self._hospital(f"hospital_{i:0{width}d}", part, records, seed)
            for i, part in enumerate(parts, start=1)
        ]
        name = f"digits{self.n_hospitals}"
        return Consortium(name, tuple(hospitals), SCHEMA, True, data_hash, SOURCE, "published")

    def _hospital(
        self, name: str, rows: NDArray[np.int64], records: Records, seed: int
    ) -> Hospital:
        train, test = split(rows, records.labels, self.test_fraction, stream(seed, "split", name))
        if not (len(train) and len(test)):
            expected = f"expected fewer, for each to train and test on {len(rows)} images"
            raise InputError("n_hospitals", self.n_hospitals, expected)
        return Hospital(name, name, records.take(train), records.take(test))


@cache
def _source() -> tuple[Records, str]:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    raw = (files("sklearn.datasets.data") / "digits.csv.gz").read_bytes()
    records = Records((images / FULL).astype(np.float32), (digits % 2).astype(np.float32))
    return records, sha256(raw).hexdigest()
