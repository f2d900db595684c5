"""Made-up patients of as many hospitals as wanted, for questions of scale and of heterogeneity."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim import limits
from sim.datasets.table import Site, Table, consortium, split
from sim.errors import InputError, number, whole
from sim.seeds import stream
from sim.types import Consortium

MIN_ROWS = 10
# length of the common weights: the standard deviation of log odds in an average hospital
SIGNAL = 2.0


@dataclass(frozen=True)
class Synthetic:
    """Made-up patients with Gaussian features and logistic labels.

    Every draw is from a named stream, those of a hospital from one of its name. Common weights: a
    random direction of length 2. Each hospital has feature means with standard deviation ``shift``
    and weights that lie off the common ones by a random vector of expected squared length
    ``shift**2``. Features are normal with unit variance around the means; a label is 1 with
    probability ``expit(features @ weights)``. Its patients number ``n_records`` times a log-normal
    factor of mean 1 and log standard deviation ``size_spread``, rounded, at least 10.
    """

    n_hospitals: int = 20
    n_records: int = 100
    n_features: int = 10
    shift: float = 0.5
    size_spread: float = 0.0
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        whole(1, n_hospitals=self.n_hospitals, n_features=self.n_features)
        whole(MIN_ROWS, n_records=self.n_records)
        number(0, shift=self.shift)
        number(0, 3, size_spread=self.size_spread)
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)
        cells = self.n_hospitals * self.n_records * self.n_features
        if self.n_hospitals > limits.HOSPITALS or cells > limits.CELLS:
            cells_allowed = f"{limits.CELLS:,} values (records x features)"
            expected = f"expected at most {limits.HOSPITALS:,} hospitals, and {cells_allowed}"
            raise InputError("n_hospitals", self.n_hospitals, expected)

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed; its hash is that of the parameters and the seed.

        Raises ``InputError``, before any patient is drawn, for sizes that are too large together.
        """
        width = len(str(self.n_hospitals))
        names = [f"hospital_{place:0{width}d}" for place in range(1, self.n_hospitals + 1)]
        n_records = sum(self._size(stream(seed, "synthetic", name)) for name in names)
        if n_records * self.n_features > limits.CELLS:
            here = f"{n_records:,} records are drawn with seed={seed}"
            expected = f"expected at most {limits.CELLS:,} values (records x features), and {here}"
            raise InputError("size_spread", self.size_spread, expected)
        direction = stream(seed, "synthetic", "weights").normal(size=self.n_features)
        weights = SIGNAL * direction / np.linalg.norm(direction)
        drawn = [self._patients(weights, stream(seed, "synthetic", name)) for name in names]
        columns = [f"x{i}" for i in range(1, self.n_features + 1)]
        features = pl.DataFrame(np.concatenate([x for x, _ in drawn]), schema=columns)
        labels = np.concatenate([y for _, y in drawn])
        described = json.dumps(asdict(self) | {"seed": seed}, sort_keys=True)
        data_hash = sha256(described.encode()).hexdigest()
        table = Table(features, labels, {}, {}, data_hash, f"drawn from {described}")
        ends = np.cumsum([len(y) for _, y in drawn])
        sites = list[Site]()
        for name, (_, own), end in zip(names, drawn, ends, strict=True):
            rows = np.arange(end - len(own), end)
            draws = stream(seed, "split", name)
            sites.append(Site(name, name, *split(rows, labels, self.test_fraction, draws)))
        return consortium("synthetic", table, sites, public=True, provenance="synthetic")

    def _size(self, rng: np.random.Generator) -> int:
        """How many patients a hospital has: the first draw of its stream."""
        factor = np.exp(self.size_spread * rng.normal() - self.size_spread**2 / 2)
        return max(MIN_ROWS, round(float(self.n_records * factor)))

    def _patients(
        self, weights: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        from scipy.special import expit

        n_records = self._size(rng)
        means = self.shift * rng.normal(size=self.n_features)
        own = weights + self.shift * rng.normal(size=self.n_features) / np.sqrt(self.n_features)
        features = means + rng.normal(size=(n_records, self.n_features))
        return features, (rng.random(len(features)) < expit(features @ own)).astype(np.float32)
