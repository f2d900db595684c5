"""The Wisconsin breast-cancer data of scikit-learn, dealt to made-up hospitals."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim.datasets.table import Rows, Site, Table, consortium, split
from sim.errors import InputError, number, whole
from sim.seeds import stream
from sim.types import Consortium

DRAWS = 10_000
SOURCE = (
    "UCI Breast Cancer Wisconsin (Diagnostic), doi:10.24432/C5DW2B, CC BY 4.0,"
    " as shipped with scikit-learn"
)


@dataclass(frozen=True)
class BreastCancer:
    """Malignant or benign from 30 measurements of cell nuclei of 569 patients.

    The data are those of Wolberg, Street and Mangasarian (1993). Each class is shared out to the
    hospitals in proportions drawn from a symmetric Dirichlet distribution with parameter ``alpha``
    (Yurochkin et al., 2019; alpha as in Hsu et al., 2019): the smaller, the more the hospitals
    differ in size and prevalence, and one may have a single class. Proportions are drawn anew until
    each hospital has ``min_rows`` patients; refuses after 10,000 draws.
    """

    n_hospitals: int = 8
    alpha: float = 0.5
    min_rows: int = 20
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        whole(1, n_hospitals=self.n_hospitals)
        whole(4, min_rows=self.min_rows)
        number(0, open_low=True, alpha=self.alpha)
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``breast8`` for 8 hospitals; label 1 is malignant."""
        table = _source()
        rng = stream(seed, "split", "breast")
        width = len(str(self.n_hospitals))
        names = [f"hospital_{place:0{width}d}" for place in range(1, self.n_hospitals + 1)]
        parts = self._shares(table.labels, rng)
        by_name = [stream(seed, "split", name) for name in names]
        sites = [
            Site(name, name, *split(rows, table.labels, self.test_fraction, draws))
            for name, rows, draws in zip(names, parts, by_name, strict=True)
        ]
        return consortium(f"breast{self.n_hospitals}", table, sites, public=True)

    def _shares(self, labels: NDArray[np.float32], rng: np.random.Generator) -> list[Rows]:
        classes = [rng.permutation(np.flatnonzero(labels == label)) for label in (1, 0)]
        possible = self.n_hospitals * self.min_rows <= len(labels)
        for _ in range(DRAWS if possible else 0):
            ends = np.array([self._ends(len(rows), rng) for rows in classes])
            if np.diff(ends).sum(axis=0).min() >= self.min_rows:
                parts = [np.split(rows, end[1:-1]) for rows, end in zip(classes, ends, strict=True)]
                return [np.concatenate(part) for part in zip(*parts, strict=True)]
        expected = (
            f"expected less, for {self.n_hospitals} hospitals to get it of {len(labels)} patients"
            f" at alpha={self.alpha:g}"
        )
        raise InputError("min_rows", self.min_rows, expected)

    def _ends(self, n_rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        shares = rng.dirichlet(np.full(self.n_hospitals, self.alpha))
        ends = n_rows * np.minimum(np.cumsum(shares), 1)
        return np.array([0, *np.rint(ends[:-1]), n_rows], dtype=np.int64)


@cache
def _source() -> Table:
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    raw = (files(bunch.data_module) / bunch.filename).read_bytes()
    names = [str(name).replace(" ", "_") for name in bunch.feature_names]
    labels = (bunch.target == 0).astype(np.float32)
    fields = pl.DataFrame(bunch.data, schema=names)
    return Table(fields, labels, {}, {}, sha256(raw).hexdigest(), SOURCE)
