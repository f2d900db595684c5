"""The Wisconsin breast-cancer data of scikit-learn, dealt to made-up hospitals."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import numpy as np
import polars as pl

from sim.datasets.sharing_out import drawn, hospital_names
from sim.datasets.table import Site, Table, consortium, split
from sim.errors import number, whole
from sim.seeds import stream
from sim.types import Consortium

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
        names = hospital_names(self.n_hospitals)
        parts = drawn(table.labels, self.n_hospitals, self.alpha, self.min_rows, rng)
        by_name = [stream(seed, "split", name) for name in names]
        sites = [
            Site(name, name, *split(rows, table.labels, self.test_fraction, draws))
            for name, rows, draws in zip(names, parts, by_name, strict=True)
        ]
        return consortium(
            f"breast{self.n_hospitals}", table, sites, public=True, provenance="published"
        )


@cache
def _source() -> Table:
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    raw = (files(bunch.data_module) / bunch.filename).read_bytes()
    names = [str(name).replace(" ", "_") for name in bunch.feature_names]
    labels = (bunch.target == 0).astype(np.float32)
    fields = pl.DataFrame(bunch.data, schema=names)
    return Table(fields, labels, {}, {}, sha256(raw).hexdigest(), SOURCE)
